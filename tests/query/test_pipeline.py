"""What a person gets for what they gave."""

from datetime import timedelta

import numpy as np
import pytest

from encoders.errors import ContentError, SpaceError
from encoders.types import Audio, Image, Text
from engine.core.deadline import Deadline
from engine.core.errors import CancelledError, DeadlineError, InvalidQueryError, NotFoundError
from engine.core.filters import Match, Not, Range
from engine.core.types import (
    Candidates,
    Event,
    EventKind,
    ItemId,
    PolicyOptions,
    Query,
    QueryPart,
    ReasonKind,
    VectorInput,
)
from engine.encode.encoding import DirectEncoder
from engine.query import popular
from engine.query.pipeline import Engine
from engine.query.settings import FuseSettings
from engine.store.memory import MemoryStore
from tests.query.scene import (
    MAKERS,
    MIXED,
    NOW,
    A,
    I,
    Scene,
    T,
    concepts_of,
    event,
    likes,
    names_of,
    scene,
)
from tests.tiny import concept_audio, concept_image, concept_space, concept_text, tiny_space


@pytest.fixture(scope="module")
def mixed() -> Scene:
    return scene()


class TestSearch:
    @pytest.mark.parametrize("make", [concept_text, concept_image, concept_audio])
    def test_any_modality_finds_items_of_any_modality(self, mixed: Scene, make):
        answer = mixed.search(make("drum", 77), limit=20, diversity=0.0)
        assert concepts_of(answer) == ["drum"] * 20
        assert answer.tier == "retrieval"
        assert answer.model == "untrained"
        assert answer.fingerprint == concept_space().fingerprint

    def test_each_content_of_an_item_finds_that_item_first(self, mixed: Scene):
        for concept in ("bird", "bell", "piano"):
            for number in range(20):
                for modality in MIXED[number % len(MIXED)]:
                    answer = mixed.search(MAKERS[modality](concept, number), limit=3)
                    assert names_of(answer)[0] == f"{concept}-{number}", modality
                    assert answer.results[0].reasons[0].modality is modality

    def test_a_text_over_texts_and_pictures_does_not_return_texts_only(self):
        pool = scene(each=20, modalities=[(T,), (I,)])
        found = names_of(pool.search(concept_text("cat", 50), limit=20))
        pictures = sum(int(name.split("-")[1]) % 2 for name in found)
        assert 6 <= pictures <= 14
        space = concept_space()  # by raw cosines it would have been texts only
        query = space.encode([concept_text("cat", 50)])[0]
        texts = space.encode([concept_text("cat", number) for number in range(0, 20, 2)]) @ query
        images = space.encode([concept_image("cat", number) for number in range(1, 20, 2)]) @ query
        assert texts.min() > images.max()

    def test_several_parts_count_by_weight(self, mixed: Scene):
        parts = (QueryPart(concept_text("car", 60), 1.0), QueryPart(concept_image("tree", 60), 0.2))
        assert concepts_of(mixed.ask(parts=parts, limit=5)) == ["car"] * 5
        swapped = tuple(QueryPart(part.source, 1.2 - part.weight) for part in parts)
        assert concepts_of(mixed.ask(parts=swapped, limit=5)) == ["tree"] * 5

    def test_a_negative_part_pushes_away(self, mixed: Scene):
        wanted = (QueryPart(concept_text("car", 61)), QueryPart(concept_text("tree", 61)))
        assert "tree" in concepts_of(mixed.ask(parts=wanted, limit=20))
        unwanted = QueryPart(concept_image("tree", 62), -1.0)
        assert "tree" not in concepts_of(mixed.ask(parts=(*wanted, unwanted), limit=20))

    def test_an_item_as_a_part_finds_its_like_but_not_itself(self, mixed: Scene):
        part = QueryPart(ItemId("bell-4"))
        answer = mixed.ask(parts=(part,), limit=19)
        assert set(concepts_of(answer)) == {"bell"}
        assert "bell-4" not in names_of(answer)
        shown = mixed.ask(parts=(part,), limit=1, policy=PolicyOptions(include_seen=True))
        assert names_of(shown) == ["bell-4"]

    def test_a_vector_finds_what_its_content_finds(self, mixed: Scene):
        content = concept_audio("train", 63)
        vector = concept_space().encode([content])[0]
        by_vector = VectorInput(A, vector * 7, concept_space().fingerprint)
        assert names_of(mixed.ask(parts=(QueryPart(by_vector),))) == names_of(mixed.ask(parts=(QueryPart(content),)))

    def test_only_the_modalities_asked_for_are_searched(self, mixed: Scene):
        answer = mixed.ask(parts=(QueryPart(concept_text("fish", 64)),), modalities=(A,), limit=8)
        assert set(concepts_of(answer)) == {"fish"}
        assert all(int(name.split("-")[1]) % 5 in (2, 4) for name in names_of(answer))
        assert {reason.modality for result in answer.results for reason in result.reasons} == {A}


class TestHistory:
    def test_ten_birds_and_ten_pianos_give_at_least_six_of_each(self, mixed: Scene):
        answer = mixed.ask(history=likes("bird", range(10)) + likes("piano", range(10)), limit=20)
        found = concepts_of(answer)
        assert len(found) == 20
        assert found.count("bird") >= 6
        assert found.count("piano") >= 6

    def test_a_search_a_click_and_two_uploads_are_all_history(self, mixed: Scene):
        history = (
            Event(EventKind.SEARCH, content=concept_text("bell", 70)),
            event(EventKind.CLICK, "flower-3"),
            Event(EventKind.UPLOAD, content=concept_image("fish", 70)),
            Event(EventKind.UPLOAD, content=concept_audio("train", 70)),
        )
        answer = mixed.ask(history=history, limit=20)
        assert set(concepts_of(answer)) == {"bell", "flower", "fish", "train"}
        first = {str(result.payload["concept"]): result.reasons[0].index for result in answer.results}
        assert first == {"bell": 0, "flower": 1, "fish": 2, "train": 3}

    def test_a_text_a_picture_and_a_sound_of_one_thing_are_one_interest(self, mixed: Scene):
        history = (
            Event(EventKind.SEARCH, content=concept_text("dog", 71)),
            Event(EventKind.UPLOAD, content=concept_image("dog", 71)),
            Event(EventKind.UPLOAD, content=concept_audio("dog", 71)),
            event(EventKind.CLICK, "rain-0"),
        )
        alone = FuseSettings(max_interests=1)
        answer = scene(concepts=["dog", "rain"], fuse=alone).ask(history=history, limit=10)
        assert set(concepts_of(answer)) == {"dog"}
        assert {reason.index for result in answer.results for reason in result.reasons} == {0, 1, 2}
        assert len(set(concepts_of(mixed.ask(history=history, limit=10)))) == 2

    def test_a_dislike_pushes_its_like_away(self, mixed: Scene):
        liked = likes("cat", [0]) + likes("bell", [0])
        before = mixed.ask(history=liked, limit=12)
        after = mixed.ask(history=(*liked, event(EventKind.DISLIKE, "cat-3")), limit=12)
        assert concepts_of(before).count("cat") == 6
        assert concepts_of(after).count("cat") < 6
        drop = {name.item: name.score for name in before.results}
        lower = [drop[r.item] - r.score for r in after.results if r.item in drop and r.payload["concept"] == "cat"]
        same = [drop[r.item] - r.score for r in after.results if r.item in drop and r.payload["concept"] == "bell"]
        assert min(lower, default=1.0) > 0.5
        assert same == pytest.approx([0.0] * len(same), abs=1e-4)

    def test_a_bad_rating_is_a_dislike_and_a_good_one_a_like(self, mixed: Scene):
        good = mixed.ask(history=(event(EventKind.RATE, "tree-1", value=5.0),), limit=5)
        assert concepts_of(good) == ["tree"] * 5
        liked = (*likes("tree", [0]), event(EventKind.RATE, "tree-1", value=1.0))
        assert mixed.ask(history=liked, limit=1).results[0].score < good.results[0].score - 1
        assert mixed.ask(history=(event(EventKind.RATE, "tree-1", value=1.0),), limit=5).tier == "cold"

    def test_what_is_recent_gets_more_places(self, mixed: Scene):
        history = likes("car", range(3), days=240) + likes("bell", range(3), days=1)
        found = concepts_of(mixed.ask(history=history, limit=20))
        assert found.count("bell") > 3 * found.count("car") > 0
        turned = likes("car", range(3), days=1) + likes("bell", range(3), days=240)
        found = concepts_of(mixed.ask(history=turned, limit=20))
        assert found.count("car") > 3 * found.count("bell") > 0

    def test_ages_count_only_beside_each_other(self, mixed: Scene):
        now = mixed.ask(history=likes("car", range(3)), limit=5)
        ancient = mixed.ask(history=likes("car", range(3), days=20_000), limit=5)
        assert names_of(now) == names_of(ancient)
        assert [r.score for r in ancient.results] == pytest.approx([r.score for r in now.results], rel=1e-4)

    def test_a_time_in_the_future_is_now(self, mixed: Scene):
        future = (Event(EventKind.LIKE, item=ItemId("car-0"), time=NOW + timedelta(days=999)), *likes("bell", [0]))
        found = concepts_of(mixed.ask(history=future, limit=10))
        assert found.count("car") == found.count("bell") == 5

    def test_only_the_newest_events_count(self):
        few = scene(concepts=["car", "bell", "cat"], fuse=FuseSettings(max_events=2))
        history = likes("car", [0], days=1) + likes("bell", [0], days=9) + likes("cat", [0], days=2)
        answer = few.ask(history=history, limit=10)
        assert set(concepts_of(answer)) == {"car", "cat"}
        assert answer.skipped == ((1, "only the newest 2 events are used"),)

    def test_events_that_weigh_nothing_take_no_place(self):
        few = scene(concepts=["car", "bell"], fuse=FuseSettings(max_events=2))
        shown = tuple(event(EventKind.IMPRESSION, f"bell-{number}") for number in range(5))
        answer = few.ask(history=(*likes("car", [0], days=3), *shown), limit=5)
        assert concepts_of(answer) == ["car"] * 5
        assert answer.skipped == ()

    def test_query_and_history_are_mixed(self, mixed: Scene):
        answer = mixed.ask(parts=(QueryPart(concept_text("drum", 72)),), history=likes("rain", range(4)), limit=10)
        assert concepts_of(answer) == ["drum"] * 10
        reasons = [reason for result in answer.results for reason in result.reasons]
        assert {reason.kind for reason in reasons} == {ReasonKind.QUERY, ReasonKind.EVENT}

    def test_stored_vectors_of_another_space_shape_or_modality_are_skipped_and_named(self, mixed: Scene):
        own = concept_space().fingerprint
        vector = concept_space().encode([concept_text("drum")])[0]
        uploads = (
            VectorInput(T, vector, "another"),
            VectorInput(T, vector[:-1], own),
            VectorInput(T, vector, own),
        )
        history = tuple(Event(EventKind.UPLOAD, content=upload) for upload in uploads)
        answer = mixed.ask(history=history, limit=3)
        assert [index for index, _ in answer.skipped] == [0, 1]
        assert "another" in answer.skipped[0][1]
        assert "dimension" in answer.skipped[1][1]
        assert all(reason.index == 2 for result in answer.results for reason in result.reasons)

    def test_events_that_cannot_be_used_are_skipped_and_named(self, mixed: Scene):
        history = (
            event(EventKind.LIKE, "no-such-item"),
            Event(EventKind.UPLOAD, content=Image(b"not an image")),
            *likes("cat", [0]),
            Event(EventKind.UPLOAD, content=Audio(b"")),
            Event(EventKind.CLICK),
        )
        answer = mixed.ask(history=history, limit=5)
        assert concepts_of(answer) == ["cat"] * 5
        assert [index for index, _ in answer.skipped] == [0, 1, 3, 4]
        assert answer.skipped[0][1] == "item 'no-such-item' is not in the catalogue: index it first, or leave it out"
        assert "image" in answer.skipped[1][1]
        assert answer.skipped[3][1] == "click event has neither an item nor a content"


def test_results_say_where_the_files_of_an_item_are():
    made = scene(each=2)
    name = made.add("bird", 90, (T, I), _image="birds/90.png")
    (result,) = made.search(concept_text("bird", 90), limit=1).results
    assert result.item == name
    assert result.media == {I: "birds/90.png"}
    assert not any(key.startswith("_") for key in result.payload)


class TestWhatMayBeShown:
    def test_seen_items_are_left_out_unless_asked_for(self, mixed: Scene):
        history = likes("bird", range(10))
        seen = {f"bird-{number}" for number in range(10)}
        assert not seen & set(names_of(mixed.ask(history=history, limit=50)))
        again = mixed.ask(history=history, limit=50, policy=PolicyOptions(include_seen=True))
        assert seen <= set(names_of(again))

    def test_even_events_without_weight_are_seen(self, mixed: Scene):
        history = (event(EventKind.IMPRESSION, "bird-0"), *likes("bird", [1]))
        assert "bird-0" not in names_of(mixed.ask(history=history, limit=18))

    def test_exclusions_hold_also_for_the_cold(self, mixed: Scene):
        unwanted = tuple(ItemId(f"cat-{number}") for number in range(15))
        options = PolicyOptions(exclude=unwanted)
        answer = mixed.ask(parts=(QueryPart(concept_text("cat", 80)),), limit=30, policy=options)
        assert not set(unwanted) & set(names_of(answer))
        newest = names_of(mixed.ask(limit=3))
        left = mixed.ask(limit=3, policy=PolicyOptions(exclude=tuple(newest)))
        assert len(left.results) == 3
        assert not set(newest) & set(names_of(left))

    @pytest.mark.parametrize("history", [(), likes("bird", [0, 1])])
    def test_filters_hold(self, mixed: Scene, history):
        answer = mixed.ask(history=history, filter=Match("concept", "cat"), limit=10)
        assert concepts_of(answer) == ["cat"] * 10
        answer = mixed.ask(history=history, filter=Not(Range("number", gte=3)), limit=10)
        assert all(int(str(result.payload["number"])) < 3 for result in answer.results)

    def test_a_cap_holds(self, mixed: Scene):
        options = PolicyOptions(max_per_value={"concept": 2}, diversity=0.0)
        found = concepts_of(mixed.ask(history=likes("bird", range(5)), limit=20, policy=options))
        assert len(found) == 20
        assert found[:2] == ["bird", "bird"]
        assert max(found.count(name) for name in found) == 2

    def test_it_abstains_rather_than_return_noise(self):
        cats = scene(concepts=["cat"], each=10)
        assert len(cats.search(concept_text("cat", 90), min_score=3.0).results) == 10
        assert cats.search(concept_text("rain", 90), min_score=3.0).results == ()

    def test_engine_fields_are_not_shown(self, mixed: Scene):
        for answer in (mixed.ask(limit=3), mixed.search(concept_text("cat", 91))):
            assert all(not key.startswith("_") for result in answer.results for key in result.payload)

    def test_an_item_is_recommendable_the_moment_it_is_indexed(self):
        growing = scene(concepts=["car"], each=5)
        history = (Event(EventKind.SEARCH, content=concept_text("bird", 92)),)
        assert "bird" not in concepts_of(growing.ask(history=history))
        growing.add("bird", 0, (A,))
        assert names_of(growing.ask(history=history))[0] == "bird-0"
        assert names_of(growing.ask(limit=1)) == ["bird-0"]


class TestCold:
    def test_nothing_known_gives_what_is_new(self, mixed: Scene):
        answer = mixed.ask(limit=5, policy=PolicyOptions(diversity=0.0))
        assert answer.tier == "cold"
        assert names_of(answer) == [f"rain-{number}" for number in (19, 18, 17, 16, 15)]
        assert {reason.kind for result in answer.results for reason in result.reasons} == {ReasonKind.FRESH}

    def test_what_is_popular_comes_before_what_is_new(self):
        shop = scene(concepts=["cat", "dog"], each=3, modalities=MIXED)
        shop.add("car", 0, (T,), popularity=5)
        shop.add("car", 1, (T,), popularity=50)
        shop.add("bell", 0, (T,))
        answer = shop.ask(limit=4, policy=PolicyOptions(diversity=0.0))
        assert names_of(answer) == ["car-1", "car-0", "bell-0", "dog-2"]
        kinds = [result.reasons[0].kind for result in answer.results]
        assert kinds == [ReasonKind.POPULAR, ReasonKind.POPULAR, ReasonKind.FRESH, ReasonKind.FRESH]

    def test_a_history_of_nothing_usable_is_cold_and_says_what_was_skipped(self, mixed: Scene):
        answer = mixed.ask(history=(event(EventKind.LIKE, "gone"),), limit=3)
        assert answer.tier == "cold"
        assert [index for index, _ in answer.skipped] == [0]

    def test_the_modalities_asked_for_hold(self, mixed: Scene):
        found = names_of(mixed.ask(limit=10, modalities=(A,)))
        assert len(found) == 10
        assert all(int(name.split("-")[1]) % 5 in (2, 4) for name in found)

    def test_a_modality_that_only_old_items_have_is_found(self):
        shop = scene(concepts=["bell"], each=6, modalities=[(A,)])
        for number in range(300):
            shop.add("cat", number, (T,), popularity=number)
        found = names_of(shop.ask(limit=5, modalities=(A,), policy=PolicyOptions(diversity=0.0)))
        assert found == [f"bell-{number}" for number in (5, 4, 3, 2, 1)]

    def test_a_modality_that_only_far_older_items_have_is_found(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(popular, "_MAX_PAGE", 100)
        shop = scene(concepts=["bell"], each=6, modalities=[(A,)])
        for number in range(300):
            shop.add("cat", number, (T,))
        found = names_of(shop.ask(limit=5, modalities=(A,), policy=PolicyOptions(diversity=0.0)))
        assert found == [f"bell-{number}" for number in (5, 4, 3, 2, 1)]
        some = shop.ask(limit=5, modalities=(A,), filter=Range("number", lt=2), policy=PolicyOptions(diversity=0.0))
        assert names_of(some) == ["bell-1", "bell-0"]

    @pytest.mark.parametrize("field", ["concept", "tag"])
    def test_a_cap_holds_over_a_catalogue_that_came_category_by_category(self, field):
        """The newest items are all of one category; with and without an index over the field."""
        shop = scene(concepts=[])
        for concept in ("cat", "dog", "car", "bell"):
            for number in range(60):
                shop.add(concept, number, (T,), tag=[concept])
        answer = shop.ask(limit=8, policy=PolicyOptions(diversity=0.0, max_per_value={field: 2}))
        assert concepts_of(answer) == ["bell", "bell", "car", "car", "dog", "dog", "cat", "cat"]
        assert names_of(answer)[:2] == ["bell-59", "bell-58"]

    def test_values_without_room_are_not_read_again_and_again(self, monkeypatch: pytest.MonkeyPatch):
        """However long a category is: where a filter can leave it out, the next page begins behind it."""
        shop = scene(concepts=["cat", "dog", "car", "bell"], each=60)
        monkeypatch.setattr(popular, "_MAX_PAGE", 40)
        answer = shop.ask(limit=8, policy=PolicyOptions(diversity=0.0, max_per_value={"concept": 2}))
        assert concepts_of(answer) == ["bell", "bell", "car", "car", "dog", "dog", "cat", "cat"]

    def test_a_history_of_dislikes_alone_pushes_away_what_is_like_them(self):
        shop = scene(concepts=["cat", "bell"], each=40)
        everything = PolicyOptions(diversity=0.0, include_seen=True)
        assert concepts_of(shop.ask(limit=10, policy=everything)) == ["bell"] * 10
        hated = (event(EventKind.DISLIKE, "bell-0"), event(EventKind.DISLIKE, "bell-4"))
        answer = shop.ask(history=hated, limit=10, policy=everything)
        assert answer.tier == "cold"
        assert concepts_of(answer) == ["cat"] * 10
        last = concepts_of(shop.ask(history=hated, limit=60, policy=everything))
        assert last.index("bell") >= 40
        assert len(last) == 60

    def test_what_is_disliked_most_comes_last(self):
        shop = scene(concepts=["cat", "bell"], each=20)
        hated = (event(EventKind.DISLIKE, "bell-19"),)
        answer = shop.ask(history=hated, limit=40, policy=PolicyOptions(diversity=0.0, include_seen=True))
        assert names_of(answer)[-1] == "bell-19"
        assert len(answer.results) == 40

    def test_an_empty_catalogue_gives_an_empty_answer(self):
        empty = scene(concepts=[])
        assert empty.ask(limit=5).results == ()
        assert empty.search(concept_text("cat")).results == ()


class TestBadInput:
    @pytest.mark.parametrize("limit", [0, -1, 1_000_000])
    def test_a_limit_out_of_range(self, mixed: Scene, limit):
        with pytest.raises(InvalidQueryError, match=rf"limit is {limit}: send 1 to 1000") as caught:
            mixed.ask(limit=limit)
        assert caught.value.field == "query.limit"

    @pytest.mark.parametrize("content", [Image(b""), Audio(b"RIFF"), Text("")])
    def test_a_part_that_cannot_be_read(self, mixed: Scene, content):
        with pytest.raises(ContentError) as caught:
            mixed.ask(parts=(QueryPart(concept_text("cat")), QueryPart(content)))
        assert caught.value.field == "query.parts[1]"

    def test_a_part_that_is_not_in_the_catalogue(self, mixed: Scene):
        with pytest.raises(NotFoundError, match="item 'lost' is not in the catalogue") as caught:
            mixed.ask(parts=(QueryPart(ItemId("lost")),))
        assert caught.value.field == "query.parts[0]"

    @pytest.mark.parametrize("weight", [-1.0, 0.0])
    def test_only_what_is_not_wanted(self, mixed: Scene, weight):
        with pytest.raises(InvalidQueryError, match="no query part has a positive weight: say what is wanted too"):
            mixed.ask(parts=(QueryPart(concept_text("cat"), weight),))

    def test_an_unknown_filter_field(self, mixed: Scene):
        for query in ({"parts": (QueryPart(concept_text("cat")),)}, {}):
            with pytest.raises(InvalidQueryError, match="colour"):
                mixed.ask(filter=Match("colour", "red"), **query)

    def test_a_store_of_another_space(self):
        other = tiny_space()
        space = concept_space()
        store = MemoryStore(fingerprint=other.fingerprint, dimension=64, modalities=other.modalities)
        with pytest.raises(SpaceError, match=rf"{other.fingerprint}.*{space.fingerprint}"):
            Engine(DirectEncoder(space), space.manifest, store)

    def test_no_time_left(self, mixed: Scene):
        with pytest.raises(DeadlineError, match=r"the deadline passed \d+ ms ago, before"):
            mixed.engine.recommend(Query(history=likes("cat", [0])), Deadline(-0.001))
        assert mixed.ask(history=likes("cat", [0])).results

    def test_no_time_left_for_the_last_step(self):
        shop, late = scene(concepts=["cat"]), Deadline()
        real = shop.store.candidates

        def candidates(*args: object, **kwargs: object) -> Candidates:
            late._until = 0.0  # the time runs out while the store works
            return real(*args, **kwargs)  # type: ignore[arg-type]

        shop.store.candidates = candidates  # type: ignore[method-assign]
        with pytest.raises(DeadlineError, match="before reranking"):
            shop.engine.recommend(Query(limit=3), late)

    def test_a_caller_who_went_away(self, mixed: Scene):
        gone = Deadline()
        gone.cancel()
        with pytest.raises(CancelledError):
            mixed.engine.recommend(Query(), gone)


def test_scores_are_standard_deviations_above_unrelated_items(mixed: Scene):
    answer = mixed.search(concept_text("cat", 95), limit=240, diversity=0.0)
    scores = np.array([r.score for r in answer.results])
    related = np.array([r.payload["concept"] == "cat" for r in answer.results])
    assert scores[related].min() > scores[~related].max()
    assert abs(scores[~related].mean()) < 1
    assert 0.5 < scores[~related].std() < 2


def test_a_modality_that_is_named_twice_counts_once() -> None:
    world, parts = scene(("cat", "car")), (QueryPart(concept_text("cat", 90)),)
    once = world.ask(parts=parts, modalities=(T, I))
    often = world.ask(parts=parts, modalities=(T, I, T, T, I) * 10)
    assert often.results == once.results
