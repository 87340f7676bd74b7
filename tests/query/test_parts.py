"""Items with several parts of a modality: the best one counts, and reasons name it."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.types import Content, Floats, Modality
from engine.catalog.ingest import keys_of, point_of
from engine.core.types import Candidates, Item, ItemId, Query, QueryPart
from engine.encode.encoding import DirectEncoder
from engine.query.models import Fixed
from engine.query.pipeline import Engine
from engine.query.similarity import CalibratedSignals, best_of_chances, calibrate_signals
from engine.rerank.served import LearnedModel
from engine.store.base import Point
from engine.store.columns import columns_of
from tests.models.versions import untaught
from tests.query.scene import NOW, Scene, scene
from tests.store.implementations import unit_vectors
from tests.tiny import concept_image, concept_space, concept_text

T, I = Modality.TEXT, Modality.IMAGE  # noqa: E741
D = 16


def item(seed: int, texts: int, images: int) -> Point:
    """A point of random vectors, so many of each modality."""
    vectors = unit_vectors(seed, texts + images, D)
    given = {m: rows for m, rows in ((T, vectors[:texts]), (I, vectors[texts:])) if len(rows)}
    return Point(
        ItemId(str(seed)),
        {m: rows[0] for m, rows in given.items()},
        {},
        {m: r[1:] for m, r in given.items() if len(r) > 1},
    )


def single(points: Sequence[Point]) -> Candidates:
    return columns_of(points, D, (T, I))


def every_choice(point: Point) -> list[Point]:
    """The item with one part of each modality, in every way."""
    texts, images = point.parts(T), point.parts(I)
    return [
        Point(point.id, {**({T: t} if t is not None else {}), **({I: i} if i is not None else {})})
        for t in (list(texts) or [None])
        for i in (list(images) or [None])
    ]


def signals_of(points: Sequence[Point], correlation: float = 1.0) -> CalibratedSignals:
    """Ready to be held against items, whose parts are repetitions: as many chances as one, if they correlate by 1."""
    calibration = concept_space().calibration
    return calibrate_signals(single([Point(p.id, p.vectors) for p in points]), calibration, (T, I), correlation)


counts = st.tuples(st.integers(0, 3), st.integers(0, 5)).filter(any)


@settings(max_examples=50, deadline=None)
@given(
    items=st.lists(counts, min_size=1, max_size=6), asked=st.lists(counts, min_size=1, max_size=3), copy=st.booleans()
)
def test_similarity_is_that_of_the_best_choice_of_parts(
    items: list[tuple[int, int]], asked: list[tuple[int, int]], copy: bool
) -> None:
    points = [item(seed, *one) for seed, one in enumerate(items)]
    signals = [item(100 + seed, *one) for seed, one in enumerate(asked)]
    if copy and len(points[-1].parts(I)):  # recognition counts as well
        signals.append(Point(ItemId("copy"), {I: points[-1].parts(I)[-1]}))
    calibrated, found = signals_of(signals), single(points)
    choices = [single(every_choice(point)) for point in points]
    for name in ("similarity", "relatedness"):
        wanted = np.stack([getattr(calibrated, name)(one).max(axis=1) for one in choices], axis=1)
        np.testing.assert_allclose(getattr(calibrated, name)(found), wanted, atol=1e-2)  # rounding, near a copy
    np.testing.assert_allclose(calibrated.terms(found).sum(axis=0), calibrated.similarity(found), atol=1e-2)


@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_the_best_of_several_is_as_improbable_as_it_is_said_to_be(count: int) -> None:
    drawn = np.random.default_rng(0).standard_normal((count, 1, 200_000), np.float32).max(axis=0)
    z = best_of_chances(drawn, np.full(drawn.shape[1], float(count)))
    for value, share in ((0.5, 0.3085), (1.0, 0.1587), (2.0, 0.0228)):
        assert np.mean(z > value) == pytest.approx(share, abs=0.002)
    steps = best_of_chances(np.linspace(-20, 40, 601, dtype=np.float32)[None], np.full(601, float(count)))[0]
    assert np.isfinite(steps).all()
    assert (np.diff(steps) > 0).all()


def test_several_chances_are_discounted_and_one_is_not() -> None:
    points = [item(1, 0, 1), item(2, 0, 5), item(3, 3, 1)]
    asked = [item(9, 1, 0)]
    plain, fair = signals_of(asked).terms(single(points)), signals_of(asked, 0.5).terms(single(points))
    columns = signals_of(asked).modalities.index(T), signals_of(asked).modalities.index(I)
    assert fair[columns[1], 0, 0] == pytest.approx(plain[columns[1], 0, 0])
    discounted = best_of_chances(plain[columns[1]][:, 1:2], np.array([5**0.5]))
    assert fair[columns[1], 0, 1] == pytest.approx(float(discounted[0, 0]), abs=1e-4)
    assert fair[columns[1], 0, 1] < plain[columns[1], 0, 1]


@settings(max_examples=30, deadline=None)
@given(items=st.lists(counts, min_size=1, max_size=6))
def test_the_part_that_answers_is_the_nearest(items: list[tuple[int, int]]) -> None:
    points = [item(seed, *one) for seed, one in enumerate(items)]
    vector = unit_vectors(999, 1, D)[0]
    calibrated = signals_of([Point(ItemId("asked"), {I: vector})])
    answering = calibrated.answering(single(points))
    for column, modality in enumerate(calibrated.modalities):
        for row, point in enumerate(points):
            parts = point.parts(modality)
            assert answering[column, 0, row] == (int((parts @ vector).argmax()) if len(parts) else 0)


def test_items_of_one_part_each_are_scored_as_without_parts() -> None:
    points = [item(seed, 1, 1) for seed in range(9)]
    found = single(points)
    assert found.parts is None
    assert not signals_of(points).answering(found).any()


def with_parts(made: Scene, name: str, contents: Sequence[Content], **media: list[str]) -> ItemId:
    """Index an item of these contents."""
    one = Item(ItemId(name), tuple(contents))
    vectors: list[Floats] = list(concept_space().encode(contents))
    paths = {Modality(modality): found for modality, found in media.items()}
    made.store.upsert([point_of(one, dict(zip(keys_of(one), vectors, strict=True)), media=paths)])
    return one.id


@pytest.fixture
def made() -> Scene:
    """A catalogue of one part each, and an item of three pictures and two texts."""
    made = scene(each=10)
    pictures = [concept_image("bird", 70), concept_image("car", 71), concept_image("flower", 72)]
    texts = [concept_text("bird", 70), concept_text("car", 71)]
    with_parts(made, "several", [*texts, *pictures], image=["front.png", "side.png", "back.png"])
    return made


@pytest.mark.parametrize(("concept", "seed", "part"), [("bird", 70, 0), ("car", 71, 1), ("flower", 72, 2)])
def test_each_picture_finds_its_item_and_is_named(made: Scene, concept: str, seed: int, part: int) -> None:
    answer = made.search(concept_image(concept, seed))
    first = answer.results[0]
    assert first.item == "several"
    (reason,) = first.reasons
    assert reason.modality is I
    assert reason.found is not None
    assert (reason.found.index, reason.found.path) == (part, ("front.png", "side.png", "back.png")[part])


def test_the_part_is_named_whoever_orders_the_results(made: Scene) -> None:
    space = concept_space()
    model = LearnedModel(untaught(made.store), "v", space.fingerprint, made.store, clock=lambda: NOW)
    engine = Engine(DirectEncoder(space), space.manifest, made.store, models=Fixed(model), clock=lambda: NOW)
    answer = engine.recommend(Query((QueryPart(concept_image("car", 71)),), limit=10))
    (found,) = [one for one in answer.results if one.item == "several"]
    assert answer.tier == "full"
    assert found.reasons[0].found is not None
    assert found.reasons[0].found.index == 1


def test_the_passage_that_answers_is_named(made: Scene) -> None:
    said = concept_text("car", 71)
    answer = made.ask(parts=(QueryPart(said),), modalities=(T,))
    found = next(one for one in answer.results if one.item == "several").reasons[0].found
    assert found is not None
    assert (found.index, found.text) == (1, said.text)
    (point,) = made.store.retrieve([ItemId("several")])
    assert point is not None
    assert str(point.payload["_text"])[found.start : found.stop] == said.text


def test_an_item_of_one_part_names_none(made: Scene) -> None:
    assert all(
        reason.found is None
        for result in made.search(concept_image("bird", 3)).results
        if result.item != "several"
        for reason in result.reasons
    )
