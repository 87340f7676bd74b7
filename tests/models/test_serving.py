"""What serves: swaps under load, refusals, the share of a trial, and the tiers of a model."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from structlog.testing import capture_logs

from encoders.types import Modality
from engine.core.deadline import Deadline
from engine.core.errors import CancelledError, DeadlineError, NotFoundError
from engine.core.types import Candidates, ItemId, PolicyOptions, Query, QueryPart, ReasonKind, UserId
from engine.encode.encoding import DirectEncoder
from engine.models.card import CARD, ModelCard
from engine.models.errors import CheckpointError, ModelError
from engine.models.loaded import Loader
from engine.models.registry import POINTER, Registry
from engine.models.serving import Serving
from engine.query.models import Contribution, Fixed, ServedModel
from engine.query.pipeline import Engine
from engine.query.reranker import Reranker
from engine.query.resolve import QuerySignals
from engine.rerank.learned import TimedNetwork
from tests.models.versions import (
    FILE,
    KIND,
    LOADERS,
    Direction,
    DirectionModel,
    draft,
    load_direction,
    make,
    weights_of,
)
from tests.query.scene import NOW, A, I, Scene, T, concepts_of, scene
from tests.tiny import concept_space, concept_text, tiny_space

PARTS = (QueryPart(concept_text("bird", 3)), QueryPart(concept_text("car", 3)), QueryPart(concept_text("cat", 3)))


@pytest.fixture(scope="module")
def small() -> Scene:
    return scene(("bird", "car", "cat"), each=6, modalities=((Modality.TEXT,), (Modality.IMAGE,)))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


@pytest.fixture
def serving(registry: Registry) -> Iterator[Serving]:
    with_standby = opened(registry)
    yield with_standby
    with_standby.close()


def opened(registry: Registry, loaders: dict[str, Loader] = LOADERS, **options: object) -> Serving:
    made = Serving(registry, loaders, concept_space().fingerprint, poll_seconds=0.02, **options)  # type: ignore[arg-type]
    made.start()
    return made


def engine_of(small: Scene, models: object, **options: object) -> Engine:
    space = concept_space()
    return Engine(DirectEncoder(space), space.manifest, small.store, clock=lambda: NOW, models=models, **options)  # type: ignore[arg-type]


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def model_of(serving: Serving, user: str = "ann") -> ServedModel | None:
    with serving.use(user) as lease:
        return lease.model


def query(user: str = "ann") -> Query:
    return Query(PARTS, limit=4, user=UserId(user))


def test_without_a_model_the_order_is_the_retrievals(small: Scene, serving: Serving) -> None:
    plain = small.engine.recommend(query())
    found = engine_of(small, serving).recommend(query())
    assert [result.item for result in found.results] == [result.item for result in plain.results]
    assert (found.model, found.tier, found.compared_model) == ("untrained", "retrieval", "")


def test_the_version_that_serves_decides_the_order(small: Scene, serving: Serving) -> None:
    engine = engine_of(small, serving)
    for concept in ("cat", "bird", "car"):
        version = make(serving.registry, concept).version
        serving.promote(version)
        found = engine.recommend(query())
        assert concepts_of(found)[0] == concept
        assert (found.model, found.tier) == (version, "full")
    assert serving.rollback() == version
    assert concepts_of(engine.recommend(query()))[0] == "bird"


def test_the_rules_of_a_request_hold_whatever_the_model_says(small: Scene) -> None:
    space = concept_space()
    model = DirectionModel("v1", space.fingerprint, weights_of("car", space))
    pictures = [point.id for point in small.store.scroll(limit=99, with_vectors=True).points if I in point.vectors]
    texts = [point.id for point in small.store.scroll(limit=99, with_vectors=True).points if T in point.vectors]
    model.contribution = Contribution(model.contribution.rerankers, [*pictures, *texts])
    engine = engine_of(small, Fixed(model))
    for parts in (PARTS, ()):
        found = engine.recommend(Query(parts, limit=20, modalities=(I,)))
        assert found.tier == "full" and {result.item for result in found.results} <= set(pictures)
    about_birds = PARTS[:1]
    plain = small.engine.recommend(Query(about_birds, limit=40))
    least = sorted(result.score for result in plain.results)[-4]
    policy = PolicyOptions(min_score=least)
    enough = {result.item for result in small.engine.recommend(Query(about_birds, limit=40, policy=policy)).results}
    found = engine.recommend(Query(about_birds, limit=40, policy=policy))
    assert found.tier == "full"
    assert {result.item for result in found.results} == enough and len(enough) == 4


def test_a_version_orders_what_a_person_without_history_gets(small: Scene, serving: Serving) -> None:
    plain = small.engine.recommend(Query(limit=3))
    engine = engine_of(small, serving)
    for concept in ("cat", "bird"):
        version = make(serving.registry, concept).version
        serving.promote(version)
        found = engine.recommend(Query(limit=40))
        assert (found.model, found.tier) == (version, "full")
        liked = [name == concept for name in concepts_of(found)]
        assert liked == sorted(liked, reverse=True) and any(liked)
        assert {reason.kind for result in found.results for reason in result.reasons} <= {
            reason.kind for result in plain.results for reason in result.reasons
        }


def test_only_what_the_cold_start_would_show_by_itself_is_popular_or_new(small: Scene) -> None:
    space = concept_space()
    model = DirectionModel("v1", space.fingerprint, weights_of("bird", space))
    model.contribution = Contribution(
        model.contribution.rerankers, [point.id for point in small.store.scroll(limit=999).points]
    )
    plain = PolicyOptions(diversity=0.0)
    learned = 0
    for modality in (T, I, A):
        query = Query(limit=3, modalities=(modality,), policy=plain)
        cold = {result.item for result in small.engine.recommend(replace(query, limit=6)).results}  # overfetched
        for result in engine_of(small, Fixed(model)).recommend(query).results:
            (reason,) = result.reasons
            assert (reason.kind is ReasonKind.LEARNED) == (result.item not in cold)
            learned += reason.kind is ReasonKind.LEARNED
    assert learned


def test_a_person_without_history_gets_a_version_of_the_trial(small: Scene, serving: Serving) -> None:
    """A list of a trial is counted for the version that its person gets."""
    old, new = (make(serving.registry, concept).version for concept in ("cat", "bird"))
    serving.promote(old)
    serving.registry.change(lambda pointer: pointer.tried(new, 0.5))
    serving.refresh()
    engine = engine_of(small, serving)
    for user in (f"person-{row}" for row in range(20)):
        found = engine.recommend(Query(limit=3, user=UserId(user)))
        assert found.tier == "full"
        assert (found.model, found.compared_model) == ((old, new), (new, old))[
            serving.registry.pointer().version_of(user) == new
        ]


def test_another_process_promotes_and_rolls_back(registry: Registry, serving: Serving) -> None:
    other = Registry(registry.path)
    a, b = (make(other, concept).version for concept in ("bird", "car"))
    for version in (a, b):
        other.change(lambda pointer, version=version: pointer.promoted(version))
        until(lambda version=version: serving.version == version)
    other.change(lambda pointer: pointer.tried(a, 1.0))
    until(lambda: serving.candidate == a)
    other.change(lambda pointer: pointer.rolled_back())
    until(lambda: (serving.version, serving.candidate) == (a, ""))


def test_a_swap_closes_a_model_once_nobody_uses_it(registry: Registry) -> None:
    serving = opened(registry, standby=False)
    a, b = (make(registry, concept).version for concept in ("bird", "car"))
    serving.promote(a)
    old = model_of(serving)
    assert isinstance(old, DirectionModel)
    with serving.use("ann") as held:
        assert held.model is old
        serving.promote(b)
        assert model_of(serving) is not old
        assert not old.closed
    assert old.closed
    new = model_of(serving)
    assert isinstance(new, DirectionModel)
    with serving.use("ann"):
        serving.close()
        assert not new.closed
    assert new.closed


def test_going_back_needs_no_loading(registry: Registry) -> None:
    loads: list[str] = []

    def counting(folder: Path, card: ModelCard) -> ServedModel:
        loads.append(card.version)
        return load_direction(folder, card)

    a, b, c = (make(registry, concept).version for concept in ("bird", "car", "cat"))
    serving = opened(registry, {KIND: counting})
    for version in (a, b):
        serving.promote(version)
    standing = serving._loaded.get(a).model  # type: ignore[union-attr]
    serving.rollback()
    assert loads == [a, b]
    assert model_of(serving) is standing
    serving.promote(b)
    serving.promote(c)
    standing = serving._loaded.get(b).model  # type: ignore[union-attr]
    serving.close()
    assert isinstance(standing, DirectionModel)
    assert standing.closed
    loads.clear()
    again = opened(registry, {KIND: counting})
    until(lambda: loads == [c, b])  # after a restart it is loaded behind what serves
    again.close()


def corrupt(folder: Path) -> None:
    path = folder / FILE
    path.write_bytes(path.read_bytes()[:-4])


def test_what_cannot_be_loaded_is_refused_and_what_serves_goes_on(registry: Registry, serving: Serving) -> None:
    good, bad = make(registry, "bird").version, make(registry, "car").version
    foreign = make(registry, "cat", fingerprint=tiny_space().fingerprint).version
    strange = make(registry, "cat", kind="tree").version
    unreadable = registry.create(draft(), lambda folder: (folder / FILE).write_bytes(b"no weights")).version  # type: ignore[arg-type, return-value]
    wrong_keys = registry.create(draft(), lambda folder: save_file({"x": np.ones(3)}, folder / FILE)).version
    corrupt(registry.path / bad)
    serving.promote(good)
    before = registry.pointer()
    for version, says in (
        (bad, f"{FILE} of model version {bad} is corrupt"),
        (foreign, f"{tiny_space().fingerprint}, this engine's space is {concept_space().fingerprint}"),
        (strange, "of kind 'tree', this release loads direction"),
        (unreadable, f"{unreadable} cannot be loaded"),
        (wrong_keys, "KeyError"),
    ):
        with pytest.raises(CheckpointError, match=says):
            serving.promote(version)
        assert serving.version == good
        assert registry.pointer() == before
        with capture_logs() as logs:
            registry.change(lambda pointer, version=version: pointer.promoted(version))  # from another process
            until(lambda: any(line["event"] == "model refused" for line in logs))
        assert serving.version == good
        registry.change(lambda pointer: pointer.rolled_back())
    with pytest.raises(NotFoundError):
        serving.promote("gone")
    registry.change(lambda pointer: pointer.tried(bad, 1.0))
    until(lambda: registry.stamp() == serving._stamp)
    with serving.use("ann") as lease:
        assert lease.model is not None
        assert (lease.model.version, lease.compared_model) == (good, "")


def test_a_broken_pointer_changes_nothing(registry: Registry, serving: Serving) -> None:
    good = make(registry, "bird").version
    serving.promote(good)
    with capture_logs() as logs:
        (registry.path / POINTER).write_text("{")
        until(lambda: logs)
    assert (logs[0]["event"], logs[0]["log_level"]) == ("model pointer refused", "error")
    assert serving.version == good
    with pytest.raises(CheckpointError):
        serving.rollback()


def test_at_the_start_the_latest_that_loads_serves(registry: Registry) -> None:
    names = [make(registry, concept).version for concept in ("bird", "car", "cat")]
    for version in names:
        registry.change(lambda pointer, version=version: pointer.promoted(version))
    for version in names[1:]:
        corrupt(registry.path / version)
    serving = opened(registry)
    assert serving.version == names[0]
    serving.close()
    (registry.path / names[0] / CARD).unlink()
    serving = opened(registry)
    assert serving.version == ""
    serving.close()


def test_going_back_to_nothing_is_going_back_to_the_untrained(registry: Registry, serving: Serving) -> None:
    version = make(registry, "bird").version
    assert serving.promote(version) == ""
    assert serving.rollback() == version
    assert serving.version == ""
    assert model_of(serving) is None
    with pytest.raises(ModelError):
        serving.rollback()


def test_going_back_to_a_corrupt_version_is_refused(registry: Registry) -> None:
    serving = opened(registry, standby=False)
    a, b = (make(registry, concept).version for concept in ("bird", "car"))
    serving.promote(a)
    serving.promote(b)
    corrupt(registry.path / a)
    with pytest.raises(CheckpointError, match="corrupt"):
        serving.rollback()
    assert (serving.version, registry.pointer().serving) == (b, b)
    serving.close()


def test_a_trial_names_both_versions_and_divides_people(small: Scene, serving: Serving) -> None:
    old, new = (make(serving.registry, concept).version for concept in ("bird", "car"))
    serving.promote(old)
    serving.registry.change(lambda pointer: pointer.tried(new, 0.5))
    serving.refresh()
    engine = engine_of(small, serving)
    seen = {}
    for user in (f"person-{row}" for row in range(40)):
        found = [engine.recommend(query(user)) for _ in range(2)]
        assert found[0].model == found[1].model
        assert {found[0].model, found[0].compared_model} == {old, new}
        assert concepts_of(found[0])[0] == {old: "bird", new: "car"}[found[0].model]
        seen[user] = found[0].model
    assert set(seen.values()) == {old, new}
    assert engine.recommend(query("")).model == old
    serving.registry.change(lambda pointer: pointer.untried())
    serving.refresh()
    assert {engine.recommend(query(user)).model for user in seen} == {old}
    assert engine.recommend(query()).compared_model == ""


def test_a_first_version_may_be_tried_beside_nothing(small: Scene, serving: Serving) -> None:
    new = make(serving.registry, "car").version
    serving.registry.change(lambda pointer: pointer.tried(new, 0.5))
    serving.refresh()
    engine = engine_of(small, serving)
    found = [engine.recommend(query(f"person-{row}")) for row in range(40)]
    assert {(answer.model, answer.compared_model) for answer in found} == {(new, "untrained"), ("untrained", new)}


def test_swaps_while_many_ask_drop_nothing(small: Scene, registry: Registry) -> None:
    """A model fails if it is used after it was closed, and then another tier would answer."""
    serving = opened(registry, standby=False)
    concept_of = {make(registry, concept).version: concept for concept in ("bird", "car", "cat")}
    serving.promote(next(iter(concept_of)))
    engine, done = engine_of(small, serving), threading.Event()

    def ask(user: str) -> set[str]:
        seen: set[str] = set()
        while not done.is_set():
            found = engine.recommend(query(user))
            assert found.tier == "full"
            assert concepts_of(found)[0] == concept_of[found.model]
            seen.add(found.model)
        return seen

    with ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(ask, f"person-{row}") for row in range(6)]
        try:
            for _ in range(10):
                for version in concept_of:
                    serving.promote(version)
        finally:
            done.set()
        assert set().union(*(one.result(20) for one in asking)) == set(concept_of)
    serving.close()


# Tiers -------------------------------------------------------------------------------------------------------


class TieredModel(DirectionModel):
    """A slow tier that likes cats, a fast one that likes cars."""

    def __init__(self, *rerankers: Callable[["TieredModel"], Reranker]) -> None:
        super().__init__("v1", concept_space().fingerprint, weights_of("cat", concept_space()))
        self.contribution = Contribution(tuple(make_one(self) for make_one in rerankers))


class Failing(Direction):
    """Raises what it is told to, once it is asked."""

    error: Exception = RuntimeError("broken weights")
    asked = 0

    def rerank(self, query: Query, signals: QuerySignals, candidates: Candidates) -> Candidates:
        self.asked += 1
        raise self.error


class Helpless(DirectionModel):
    """Raises what it is told to, asked what it adds."""

    def __init__(self, error: Exception) -> None:
        super().__init__("v1", concept_space().fingerprint, weights_of("cat", concept_space()))
        self._error = error

    def contribute(self, query: Query, signals: QuerySignals, exclude: Sequence[ItemId]) -> Contribution:
        raise self._error


class Unsound(Direction):
    """Scores that are no numbers."""

    def rerank(self, query: Query, signals: QuerySignals, candidates: Candidates) -> Candidates:
        scored = super().rerank(query, signals, candidates)
        scored.scores[0] = np.nan
        return scored


def full(kind: type[Direction] = Direction, seconds: float = 0.0) -> Callable[[TieredModel], Reranker]:
    return lambda model: kind(model, weights_of("cat", concept_space()), "full", seconds)


def distilled(seconds: float = 0.0) -> Callable[[TieredModel], Reranker]:
    return lambda model: Direction(model, weights_of("car", concept_space()), "small", seconds)


@pytest.mark.parametrize(
    ("left", "share", "tier"),
    [(None, 0.5, "full"), (100.0, 0.5, "full"), (60.0, 0.5, "small"), (60.0, 1.0, "full"), (30.0, 0.1, "retrieval")],
)
def test_the_best_tier_that_the_deadline_leaves_time_for_answers(
    small: Scene, left: float | None, share: float, tier: str
) -> None:
    model = TieredModel(full(seconds=40.0), distilled(seconds=5.0))
    found = engine_of(small, Fixed(model), deadline_share=share).recommend(query(), Deadline(left))
    assert found.tier == tier
    assert found.model == "v1"
    if tier != "retrieval":
        assert concepts_of(found)[0] == {"full": "cat", "small": "car"}[tier]


def test_a_tier_that_was_slow_once_is_tried_again() -> None:
    now = [0.0]
    tier = TimedNetwork("v1", "full", lambda request, _: request.dense, lambda: now[0])
    assert tier.seconds == 0
    tier.took(1.2)  # the first request of all
    assert tier.seconds == 1.2
    now[0] = 60
    assert tier.seconds == pytest.approx(0.3)
    for _ in range(3):
        tier.took(0.01)
    assert tier.seconds == 0.01


@pytest.mark.parametrize("kind", [Failing, Unsound])
def test_a_tier_that_fails_is_logged_once_and_the_next_one_answers(small: Scene, kind: type[Direction]) -> None:
    engine = engine_of(small, Fixed(TieredModel(full(kind), distilled())))
    with capture_logs() as logs:
        assert {engine.recommend(query()).tier for _ in range(3)} == {"small"}
    assert [(line["event"], line["version"], line["tier"]) for line in logs] == [("reranker failed", "v1", "full")]
    only = engine_of(small, Fixed(TieredModel(full(kind))))
    assert only.recommend(query()).tier == "retrieval"


@pytest.mark.parametrize("error", [DeadlineError("late"), CancelledError("gone")])
def test_a_call_that_is_over_falls_to_no_other_tier(small: Scene, error: Exception) -> None:
    class Over(Failing):
        pass

    Over.error = error
    with pytest.raises(type(error)):
        engine_of(small, Fixed(TieredModel(full(Over), distilled()))).recommend(query())
    with pytest.raises(type(error)):
        engine_of(small, Fixed(Helpless(error))).recommend(query())


def test_a_model_that_adds_nothing_is_logged_once_and_the_retrieval_answers(small: Scene) -> None:
    engine = engine_of(small, Fixed(Helpless(ValueError("no"))))
    with capture_logs() as logs:
        assert {engine.recommend(query()).tier for _ in range(3)} == {"retrieval"}
    assert [(line["event"], line["version"]) for line in logs] == [("contribution failed", "v1")]
