"""Whether requests are still like those of training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from encoders.types import Modality
from engine.core.types import Event, EventKind, ItemId, Query
from engine.encode.encoding import DirectEncoder
from engine.query.models import Fixed, Watching
from engine.query.pipeline import Engine
from engine.rerank.drift import ENOUGH, QUERY, SCORE, Reference, reference_of, stability_index
from engine.rerank.served import LearnedModel
from engine.rerank.version import load_version, save_version
from engine.store.base import Point
from engine.store.memory import MemoryStore
from tests.models.versions import untaught
from tests.tiny import CONCEPTS, concept_space, concept_text

BOUNDS = np.arange(1, 10) / 10


def test_the_index_is_near_nothing_for_the_same_distribution_and_large_for_another() -> None:
    drawn = np.random.default_rng(0).uniform(size=2000)
    assert stability_index(drawn, BOUNDS) < 0.02
    assert 0.02 < stability_index(drawn * 0.8, BOUNDS) < stability_index(drawn * 0.5, BOUNDS)
    assert stability_index(np.full(2000, 0.99), BOUNDS) > 1


def test_the_index_is_that_of_the_book() -> None:
    """By hand: half of what is seen lies in the first range, the rest evenly in the others."""
    counts = np.array([500] + [1000 // 18] * 9)
    values = np.repeat(np.arange(10) / 10 + 0.05, counts)
    share = (counts + 0.5) / (counts.sum() + 5)
    by_hand = sum((one - 0.1) * np.log(one / 0.1) for one in share)
    assert stability_index(values, BOUNDS) == pytest.approx(by_hand)


def test_too_few_rows_are_no_reference() -> None:
    vector = np.ones(3, np.float32)
    assert reference_of([vector] * (ENOUGH - 1), [0.0] * ENOUGH) is None
    assert reference_of([vector, None] * ENOUGH, [0.0] * ENOUGH) is not None


def test_a_version_tells_how_far_its_requests_are_from_its_training(tmp_path: Path) -> None:
    space = concept_space()
    store = MemoryStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
    vectors = {concept: space.encode([concept_text(concept)])[0] for concept in CONCEPTS[:2]}
    for concept, vector in vectors.items():
        store.upsert([Point(ItemId(concept), {Modality.TEXT: vector})])
    first, other = vectors
    about = np.random.default_rng(1).normal(size=(400, space.dimension)).astype(np.float32) * 0.02
    reference = reference_of([vectors[first] + noise for noise in about], np.linspace(-1, 1, 400).tolist())
    save_version(replace(untaught(store), reference=reference), tmp_path)
    model = LearnedModel(load_version(tmp_path), "v", space.fingerprint, store)
    assert isinstance(model, Watching)
    engine = Engine(DirectEncoder(space), space.manifest, store, models=Fixed(model))
    assert model.drift() == {}, "nobody has asked"

    def ask(concept: str, times: int) -> None:
        for _ in range(times):
            engine.recommend(Query(history=(Event(EventKind.LIKE, ItemId(concept)),), limit=1))

    ask(other, ENOUGH)
    drift = model.drift()
    assert drift.keys() == {QUERY, SCORE}
    assert drift[QUERY] > 1, "all ask about something else"


def test_a_version_of_before_says_nothing(tmp_path: Path) -> None:
    space = concept_space()
    store = MemoryStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
    store.upsert([Point(ItemId("bird"), {Modality.TEXT: space.encode([concept_text("bird")])[0]})])
    save_version(untaught(store), tmp_path)
    version = load_version(tmp_path)
    assert version.reference is None
    assert LearnedModel(version, "v", space.fingerprint, store).drift() == {}


def test_a_reference_is_read_as_it_was_written(tmp_path: Path) -> None:
    space = concept_space()
    store = MemoryStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
    store.upsert([Point(ItemId("bird"), {Modality.TEXT: space.encode([concept_text("bird")])[0]})])
    reference = Reference(np.arange(4, dtype=np.float32), {QUERY: BOUNDS, SCORE: BOUNDS - 1})
    save_version(replace(untaught(store), reference=reference), tmp_path)
    read = load_version(tmp_path).reference
    assert read is not None
    np.testing.assert_array_equal(read.centre, reference.centre)
    assert read.bounds.keys() == reference.bounds.keys()
    for name, bounds in reference.bounds.items():
        np.testing.assert_array_equal(read.bounds[name], bounds)
