"""The simulated world: what is true in it, what its people do, and what can be measured of both."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.types import Modality, Text
from engine.catalog.items import ItemTable
from engine.core.types import Event, EventKind, ItemId, UserId, VectorInput
from engine.events.files import import_events, read_events
from engine.events.sql import SqlEventStore
from engine.events.types import OutcomeKind
from engine.learn.log import event_log
from engine.learn.simulate.config import WorldConfig
from engine.learn.simulate.errors import SimulationError
from engine.learn.simulate.loop import Diary, run_loop, simulate
from engine.learn.simulate.measure import ndcg_of
from engine.learn.simulate.output import into_file, into_store
from engine.learn.simulate.serving import ExploringServe, OracleServe, PopularServe, RandomServe, Shown
from engine.learn.simulate.visits import period, rounds
from engine.learn.simulate.world import World

FINGERPRINT = "0123456789abcdef" * 2
SMALL = WorldConfig(users=40, topics=12, seed=3)
REACTIONS = {EventKind.CLICK, EventKind.LIKE, EventKind.PURCHASE, EventKind.SKIP, EventKind.DISLIKE}


@cache
def catalogue(size: int = 200, dimension: int = 24, clusters: int = 10) -> ItemTable:
    """Items in clusters: nearly all have a picture, the others and half of all a text; each modality in its cone."""
    random = np.random.default_rng(5)
    cluster = random.integers(0, clusters, size)
    pictured = random.random(size) < 0.9
    vectors, present = {}, {}
    for modality, has in ((Modality.IMAGE, pictured), (Modality.TEXT, ~pictured | (random.random(size) < 0.5))):
        middle = random.standard_normal((clusters, dimension)) + 2 * random.standard_normal(dimension)
        matrix = middle[cluster] + 0.7 * random.standard_normal((size, dimension))
        matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        vectors[modality] = np.where(has[:, None], matrix, 0).astype(np.float32)
        present[modality] = has
    return ItemTable(
        tuple(ItemId(f"item-{number}") for number in range(size)),
        vectors,
        present,
        tuple({"title": f"thing {number} of kind {kind}"} for number, kind in enumerate(cluster)),
        np.full(size, np.nan),
    )


@cache
def world(**changes: float | str) -> World:
    return World(catalogue(), replace(SMALL, **changes), FINGERPRINT)  # type: ignore[arg-type]


@cache
def log_of(serve: str = "random", lists: int = 1500) -> Diary:
    here = world()
    popular = PopularServe(here)
    if serve == "popular":
        return simulate(here, popular, lists, watch=popular.learn)
    return simulate(here, OracleServe(here) if serve == "oracle" else RandomServe(here), lists)


def said(diary: Diary) -> list[tuple[object, ...]]:
    """All that a diary's events say, in a form that can be compared."""
    found = []
    for user, event in ((one.user, one.event) for one in diary.events):
        content: object = event.content
        if isinstance(content, VectorInput):
            content = content.modality, content.values.tobytes(), content.fingerprint
        found.append((user, event.kind, event.item, content, event.time, event.id, event.request_id))
    return found


# The truth ---------------------------------------------------------------------------------------------------


def test_equal_seeds_make_equal_worlds_and_diaries_and_others_do_not() -> None:
    here, again, other = (World(catalogue(), replace(SMALL, seed=seed), FINGERPRINT) for seed in (3, 3, 4))
    first, second, third = (simulate(one, RandomServe(one), 100) for one in (here, again, other))
    assert said(first) == said(second)
    assert first.impressions == second.impressions
    assert np.array_equal(first.measured.ndcg, second.measured.ndcg)
    assert here.name != other.name
    assert {one.user for one in first.events}.isdisjoint(one.user for one in third.events)
    assert [one.items for one in first.impressions] != [one.items for one in third.impressions]


def test_random_items_are_clicked_at_the_base_rate() -> None:
    for rate in (0.02, 0.2):
        here = world(base_rate=rate)
        times = np.full(40, (here.config.start + here.config.end) / 2)
        assert here.truth(np.arange(40), times).click.mean() == pytest.approx(rate, rel=0.01)


def test_tastes_drift_and_stand_still_without_drift() -> None:
    users, month = np.arange(40), 30 * 86400.0

    def angles(here: World, seconds: float) -> np.ndarray:
        begin, then = (
            here.tastes.directions(here.field, Modality.IMAGE, users, np.full(40, after)) for after in (0.0, seconds)
        )
        lengths = np.linalg.norm(begin, axis=-1)
        assert np.allclose(np.linalg.norm(then, axis=-1), lengths, atol=1e-5)
        return np.arccos(np.clip((begin * then).sum(-1), -1, 1))[lengths > 0.5]

    drifting, still = world(drift=0.3), world(drift=0.0)
    turned = angles(drifting, month)
    assert (turned > 0.14).all()
    assert (turned < 0.46).all()
    assert np.allclose(angles(drifting, 2 * month), 2 * turned, atol=1e-3)
    assert angles(drifting, 1000 * month).max() == pytest.approx(np.pi / 2, abs=1e-3)
    assert angles(still, 1000 * month).max() < 1e-3
    end = datetime.fromtimestamp(drifting.config.end, UTC)
    later = datetime.fromtimestamp(drifting.config.end + 3 * month, UTC)
    user = drifting.users[0]
    assert np.abs(drifting.oracle(user, end) - drifting.oracle(user, later)).max() > 0.05
    assert np.array_equal(still.oracle(still.users[0], end), still.oracle(still.users[0], later))


def test_a_person_who_cares_about_pictures_only_is_not_moved_by_texts() -> None:
    here = World(catalogue(), replace(SMALL, quality=0.0, dislike=0.0), FINGERPRINT)
    image = list(here.field.vectors).index(Modality.IMAGE)
    here.tastes.focus[:] = 0
    here.tastes.focus[:, image] = 1
    unseen = np.flatnonzero(~here.items.present[Modality.IMAGE])
    click = here.truth(np.arange(40), np.full(40, here.config.end)).click
    assert len(unseen) > 3
    assert np.allclose(click[:, unseen], click[:, unseen[:1]])
    assert click.std(axis=1).min() > 0.01


def test_what_is_disliked_appeals_less() -> None:
    harmless, real = world(dislike=0.0), world(dislike=3.0)
    users, times = np.arange(40), np.full(40, real.config.start)
    truth = real.truth(users, times)
    odds, other = (np.log(one / (1 - one)) for one in (truth.click, harmless.truth(users, times).click))
    change = odds - other
    assert np.ptp(change[truth.disliked <= 1]) < 1e-3
    assert (change[truth.disliked > 1.5] < change[truth.disliked <= 1].min() - 1).all()


def test_good_items_appeal_to_all_and_their_vectors_do_not_tell() -> None:
    here = world()
    click = here.truth(np.arange(40), np.full(40, here.config.start)).click
    assert np.corrcoef(here.appeal, np.log(click / (1 - click)).mean(axis=0))[0, 1] > 0.5
    plain = world(quality=0.0)
    assert np.array_equal(plain.field.vectors[Modality.IMAGE], here.field.vectors[Modality.IMAGE])


# The oracle --------------------------------------------------------------------------------------------------


def test_the_oracle_has_all_of_its_own_ndcg_and_random_lists_far_less() -> None:
    assert np.nanmin(log_of("oracle").measured.ndcg) == pytest.approx(1)
    assert log_of("oracle").measured.mean_precision == pytest.approx(1)
    assert log_of("random").measured.share_of_oracle < 0.3
    assert log_of("oracle").measured.click_rate > 3 * log_of("random").measured.click_rate


def test_popular_lists_beat_random_ones_where_quality_counts() -> None:
    here = world(quality=2.0)
    popular = PopularServe(here)
    better = simulate(here, popular, 1500, watch=popular.learn).measured
    random = simulate(here, RandomServe(here), 1500).measured
    assert 1.5 * random.share_of_oracle < better.share_of_oracle < 1
    assert random.click_rate < better.click_rate


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 30), positions=st.integers(1, 12))
def test_no_list_exceeds_the_best_one(seed: int, size: int, positions: int) -> None:
    random = np.random.default_rng(seed)
    gain = random.random(size) * (random.random(size) < 0.7)
    rows = random.permutation(size)[: random.integers(0, size + 1)]
    value, best = ndcg_of(gain, rows, positions), ndcg_of(gain, np.argsort(-gain), positions)
    if gain.any():
        assert best == pytest.approx(1)
        assert -1e-9 <= value <= 1 + 1e-9
        better = [*rows[:0], int(np.argmax(gain)), *rows[rows != np.argmax(gain)]]
        assert ndcg_of(gain, better, positions) >= value - 1e-9
    else:
        assert np.isnan(value)
        assert np.isnan(best)


def test_ndcg_of_a_list_computed_by_hand() -> None:
    gain = np.array([0.5, 0.0, 1.0, 0.25])
    assert ndcg_of(gain, [0, 2], 2) == pytest.approx((0.5 + 1 / np.log2(3)) / (1 + 0.5 / np.log2(3)))
    assert ndcg_of(gain, [2], 2) == pytest.approx(1 / (1 + 0.5 / np.log2(3)))
    assert ndcg_of(gain, [1], 1) == 0


# Position bias -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("look", "eta"), [("power", 1.0), ("power", 0.5), ("log", 1.0), ("always", 1.0)])
def test_places_are_looked_at_as_stated(look: str, eta: float) -> None:
    here = world(look=look, eta=eta, skip=0.0, annoyed=0.0)
    count = 3000
    position = np.arange(1, 11)
    stated = {"power": position**-eta, "log": 1 / np.log2(position + 1), "always": np.ones(10)}[look]
    measured = simulate(here, RandomServe(here), count).measured
    assert measured.shown.all()
    looked = measured.looked.mean(axis=0)
    assert (np.abs(looked - stated) <= 4 * np.sqrt(stated * (1 - stated) / count)).all()


def test_clicks_by_place_are_biased_and_inverse_propensity_weights_correct_them() -> None:
    """Random lists show the same items in all positions, so only the bias can tell positions apart."""
    here = world(base_rate=0.2, skip=0.0, annoyed=0.0)
    count = 6000
    measured = simulate(here, RandomServe(here), count).measured
    assert measured.shown.all()
    clicks, examination = measured.clicked.mean(axis=0), here.examination(10)
    error = np.sqrt(clicks * (1 - clicks) / count)
    assert clicks[0] - clicks[9] > 8 * error[0]
    corrected = clicks / examination
    mean = np.average(corrected, weights=(examination / error) ** 2)
    assert (np.abs(corrected - mean) <= 4 * error / examination).all()


def test_servers_meet_the_same_chance() -> None:
    here = world()
    first, second = (run_loop(here, serve(here), 3).measured for serve in (RandomServe, OracleServe))
    assert np.array_equal(first.user, second.user)
    assert np.array_equal(first.time, second.time)
    assert np.array_equal(first.looked, second.looked)
    assert not np.array_equal(first.clicked, second.clicked)


# What people do ----------------------------------------------------------------------------------------------


def test_events_make_sense() -> None:
    diary = log_of("popular", 3000)
    kinds = {one.event.kind for one in diary.events}
    assert kinds == REACTIONS | {EventKind.SEARCH, EventKind.UPLOAD}
    lists = {one.request_id: one for one in diary.impressions}
    titles = {payload["title"] for payload in world().items.payloads}
    assert len({one.event.id for one in diary.events}) == len(diary.events)
    for user, event in ((one.user, one.event) for one in diary.events):
        assert event.time is not None
        match event.kind:
            case EventKind.SEARCH:
                assert isinstance(event.content, Text)
                assert event.content.text in titles
            case EventKind.UPLOAD:
                assert isinstance(event.content, VectorInput)
                assert np.linalg.norm(event.content.values) == pytest.approx(1, abs=1e-5)
                assert event.content.fingerprint == FINGERPRINT
            case _:
                shown = lists[event.request_id]
                assert shown.user == user
                assert event.item in shown.items
                assert event.time > shown.time
    clicks = {(one.event.request_id, one.event.item) for one in diary.events if one.event.kind is EventKind.CLICK}
    assert len(clicks) == diary.measured.clicked.sum()
    for one in diary.events:
        if one.event.kind in {EventKind.LIKE, EventKind.PURCHASE}:
            assert (one.event.request_id, one.event.item) in clicks


def test_nobody_acts_on_an_item_in_two_lists() -> None:
    for serve in ("random", "oracle"):
        acted = {
            (one.user, one.event.item, one.event.request_id)
            for one in log_of(serve).events
            if one.event.kind in REACTIONS
        }
        assert len({(user, item) for user, item, _ in acted}) == len(acted)


def test_nothing_precedes_an_arrival_and_everything_is_in_the_period() -> None:
    here, diary = world(), log_of("popular", 3000)
    came, there = here.user_from, here.item_from
    assert (came > here.config.start).sum() == round(0.3 * 40)
    assert (there > here.config.start).sum() == round(0.1 * 200)
    late: set[str] = set()
    for one in diary.impressions:
        seconds, rows = one.time.timestamp(), here.items.rows(one.items)
        assert (there[rows] <= seconds).all()
        late.update(one.items[position] for position in np.flatnonzero(there[rows] > here.config.start))
    for event in diary.events:
        assert event.event.time is not None
        seconds = event.event.time.timestamp()
        assert came[here.number_of[event.user]] <= seconds <= here.config.end
        if event.event.item is not None:
            assert there[here.items.row_of[event.event.item]] <= seconds
    assert len(late) > 5
    assert np.array_equal(here.items.indexed_at, there)


def test_a_server_is_told_all_that_was_before_and_nothing_else() -> None:
    here = world()
    inner, seen = RandomServe(here), []

    def serve(user: UserId, time: datetime, history: Sequence[Event], /) -> Shown:
        assert all(event.time is not None and event.time < time for event in history)
        times = [event.time for event in history if event.time]
        assert times == sorted(times)
        seen.append((user, len(history)))
        return inner(user, time, history)

    diary = simulate(here, serve, 800)
    last = dict(seen)
    assert sum(length > 0 for _, length in seen) > 400
    assert all(last[user] <= len(diary.histories[user]) for user in last)
    assert sum(map(len, diary.histories.values())) == len(diary.events)
    assert sorted(diary.events, key=lambda one: one.event.time or datetime.max) == list(diary.events)


def test_rounds_go_on_from_a_log() -> None:
    here, log = world(), log_of("popular")
    before = {user: len(events) for user, events in log.histories.items()}
    diary = run_loop(here, RandomServe(here), 4, histories=log.histories, tag="-b")
    assert len(diary.measured) == 4 * 40
    assert min(one.time.timestamp() for one in diary.impressions) >= here.config.end
    assert {user: len(events) for user, events in log.histories.items()} == before
    done = {(one.user, one.event.item) for one in log.events if one.event.item}
    assert done.isdisjoint((one.user, one.event.item) for one in diary.events if one.event.item)
    assert {one.request_id for one in log.impressions}.isdisjoint(one.request_id for one in diary.impressions)


def test_figures_by_person_add_up() -> None:
    measured = log_of("popular").measured
    users = measured.by_user()
    lists = np.bincount(measured.user, minlength=40)[users["user"].astype(int)]
    assert (users["ndcg"] * lists).sum() / lists.sum() == pytest.approx(measured.share_of_oracle)
    assert (users["precision"] * lists).sum() / lists.sum() == pytest.approx(measured.mean_precision)
    assert (users["click_rate"] * lists).sum() / lists.sum() == pytest.approx(measured.click_rate)


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 400), days=st.floats(0.001, 400), seed=st.integers(0, 100))
def test_visits_are_in_order_with_room_between_them(count: int, days: float, seed: int) -> None:
    here = World(catalogue(), replace(SMALL, users=7, days=days, seed=seed), FINGERPRINT)
    for visits in (period(here, count), rounds(here, 3, hours=days * 24)):
        assert (np.diff(visits.time) >= 0).all()
        assert (visits.time - visits.room * 0.25 >= here.user_from[visits.user]).all()
        for user in range(7):
            mine = visits.user == user
            assert (np.diff(visits.time[mine]) >= visits.room[mine][:-1] * 0.99).all()
    visits = period(here, count)
    assert len(visits) == count
    assert (visits.time + visits.room * 0.5 <= here.config.end + 1e-3).all()


# Propensities ------------------------------------------------------------------------------------------------


def test_propensities_are_the_frequencies_of_the_lists() -> None:
    """Each server answers the same question many times; each item's share of each position is its propensity."""
    here, count = world(), 4000
    for serve in (RandomServe(here), PopularServe(here, 0.3), ExploringServe(here, OracleServe(here), 0.3)):
        end = datetime.fromtimestamp(here.config.end, UTC)
        shown = np.zeros((200, 10))
        stated = np.full((200, 10), np.nan)
        for _ in range(count):
            answer = serve(here.users[0], end, ())
            rows = here.items.rows(answer.items)
            assert len(set(rows.tolist())) == 10
            shown[rows, np.arange(10)] += 1
            stated[rows, np.arange(10)] = answer.propensities
        known = ~np.isnan(stated)
        p = stated[known]
        assert known.mean() > 0.9
        expected, spread = count * p, count * p * (1 - p) + (p == 1)
        chi_squared = ((shown[known] - expected) ** 2 / spread).sum()
        assert abs(chi_squared - known.sum()) <= 5 * np.sqrt(2 * known.sum() * (1 + 1 / (2 * expected.min())))


def test_popular_lists_follow_what_was_clicked() -> None:
    here = world()
    serve = PopularServe(here, 0.2)
    diary = simulate(here, serve, 2000, watch=serve.learn)
    clicks: dict[str, int] = {}
    for one in diary.events:
        if one.event.kind in {EventKind.CLICK, EventKind.LIKE, EventKind.PURCHASE} and one.event.item:
            clicks[one.event.item] = clicks.get(one.event.item, 0) + 1
    best = sorted(clicks, key=lambda item: -clicks[item])[:30]
    new = serve(here.users[0], datetime.fromtimestamp(here.config.end, UTC), ())
    popular = [item for item, share in zip(new.items, new.propensities, strict=True) if share == 0.8]
    assert len(popular) >= 5
    assert set(popular) <= set(best)


# Into a store and a file -------------------------------------------------------------------------------------


def test_a_diary_goes_into_an_event_store_without_a_rejection(tmp_path: Path) -> None:
    diary = log_of("popular")
    store = SqlEventStore(f"sqlite:///{tmp_path / 'events.db'}")
    assert into_store(diary, store) == len(diary.events)
    assert into_store(diary, store) == 0
    assert {one.kind for one in store.record(diary.events)} == {OutcomeKind.DUPLICATE}
    assert store.stats().impressions == len(diary.impressions)
    followed = [served for served in store.impressions() if served.followed]
    named = sum(bool(one.event.request_id) for one in diary.events)
    assert sum(len(served.followed) for served in followed) == named
    log = event_log(store.export())
    assert len(log) == len(diary.events)
    store.close()


@pytest.mark.parametrize("name", ["events.jsonl", "events.csv", "events.parquet"])
def test_a_file_of_a_diary_is_imported_without_a_rejection(tmp_path: Path, name: str) -> None:
    diary = log_of("popular", 300)
    lines = into_file(diary, tmp_path / name)
    assert lines == len(diary.events) + sum(len(one.items) for one in diary.impressions)
    store = SqlEventStore(f"sqlite:///{tmp_path / 'events.db'}")
    done = import_events(store, read_events(tmp_path / name), lambda line: pytest.fail(str(line.error)))
    assert (done.recorded, done.rejected) == (lines, 0)
    first = diary.impressions[0]
    back = [one.event for one in store.export() if one.event.request_id == first.request_id]
    positions = {
        int(event.context["position"]): (event.item, float(event.context["propensity"]))
        for event in back
        if event.kind is EventKind.IMPRESSION
    }
    assert positions == {
        position: (item, share)
        for position, item, share in zip(first.positions, first.items, first.propensities, strict=True)
    }
    store.close()


# What is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{"users": 0}, {"days": 0.0}, {"eta": -1.0}, {"base_rate": 1.0}, {"look": "never"}, {"new_items": 1.5}],
)
def test_numbers_out_of_range_are_refused_by_name(changes: dict[str, float | str]) -> None:
    with pytest.raises(SimulationError) as caught:
        replace(SMALL, **changes)  # type: ignore[arg-type]
    assert caught.value.field == next(iter(changes))


def test_a_catalogue_that_is_too_small_is_refused() -> None:
    with pytest.raises(SimulationError, match="has 5 items, a simulation needs 20: index more items"):
        World(catalogue().take(np.arange(5)), SMALL, FINGERPRINT)


def test_the_smallest_catalogue_will_do() -> None:
    here = World(catalogue().take(np.arange(20)), replace(SMALL, max_tastes=8), FINGERPRINT)
    diary = simulate(here, PopularServe(here), 300)
    assert len(diary.impressions) == 300
    assert diary.events


def test_lists_that_cannot_be_shown_are_refused() -> None:
    here = world()
    late = here.items.ids[int(np.argmax(here.item_from))]
    for items, said_ in (
        ((ItemId("gone"),), "'gone' is served before it is in the catalogue"),
        ((late,), f"{late!r} is served before"),
        (here.items.ids[:1] * 2, "shows an item twice"),
        (here.items.ids[:11], "11 items"),
    ):

        def serve(
            user: UserId, time: datetime, history: Sequence[Event], /, items: tuple[ItemId, ...] = items
        ) -> Shown:
            return Shown(items, (1.0,) * len(items), "wrong")

        with pytest.raises(SimulationError, match=said_):
            simulate(here, serve, 1)
