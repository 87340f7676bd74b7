"""Merging of hits."""

import numpy as np

from encoders.types import Modality
from engine.core.types import ItemId
from engine.query.relevance import Background
from engine.query.retrieve import hits_each, merge
from engine.store.base import Hits, Point
from engine.store.memory import MemoryStore
from tests.tiny import CONCEPTS, concept_image, concept_space, concept_text


def hits(**scores: float) -> Hits:
    return Hits(tuple(ItemId(name) for name in scores), np.array(list(scores.values()), np.float32))


def merged(found: list[Hits], owners: list[int], limit: int, correlation: float = 0.5, **columns: list[float]):
    ones = np.ones(len(found), np.float32)
    lengths = np.array(columns["lengths"], np.float32) if "lengths" in columns else ones
    offsets = np.array(columns["offsets"], np.float32) if "offsets" in columns else ones * 0
    return set(merge(found, lengths, offsets, np.array(owners), limit, correlation))


def test_the_best_of_each_interest():
    found = [hits(a=0.9, b=0.8, c=0.7), hits(d=0.3, e=0.2, a=0.1)]
    assert merged(found, [0, 1], 2) == {"a", "b", "d", "e"}
    assert merged(found, [0, 1], 1) == {"a", "d"}
    assert merged(found, [0, 1], 9) == {"a", "b", "c", "d", "e"}


def test_cosines_are_made_comparable_before_they_are_merged():
    found = [hits(a=0.9, b=0.8), hits(c=0.3, d=0.2)]
    assert merged(found, [0, 0], 2) == {"a", "b"}
    assert merged(found, [0, 0], 2, lengths=[1, 9], offsets=[0.5, 0]) == {"c", "d"}


def test_two_modalities_say_more_than_one():
    found = [hits(a=0.5, b=0.49), hits(b=0.49, c=0.48)]
    assert merged(found, [0, 0], 1, correlation=0.0) == {"b"}
    assert merged(found, [0, 0], 1, correlation=1.0) == {"a"}


def test_a_similarity_below_that_of_one_modality_takes_nothing_away():
    assert merged([hits(a=0.5, b=0.4), hits(a=-0.9)], [0, 0], 1) == {"a"}


def test_no_hits():
    assert merged([hits(), hits()], [0, 1], 5) == set()


def test_what_one_modality_finds_first_is_kept_whatever_the_others_say():
    middling = {f"m{n}": 0.9 - n / 1000 for n in range(30)}
    found = [hits(**middling), hits(copy=0.5, next=0.4)]
    assert "copy" in merged(found, [0, 0], 10)
    assert "next" not in merged(found, [0, 0], 10)
    assert len(merged(found, [0, 0], 10)) == 10


def test_searches_bring_fewer_hits_where_items_have_several_modalities():
    assert [hits_each(100, per_item) for per_item in (1.0, 2.2, 3.0)] == [100, 63, 50]
    assert hits_each(1, 3.0) == 1


def test_modalities_of_an_item_are_counted_as_the_catalogue_has_them():
    space = concept_space()
    store = MemoryStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
    every = tuple(Modality)
    assert Background(store, space.manifest.calibration, 0.5).per_item(every) == 1
    contents = [concept_text(CONCEPTS[0]), concept_image(CONCEPTS[0])]
    vectors = {one.modality: space.encode([one])[0] for one in contents}
    store.upsert([Point(ItemId("both"), vectors), Point(ItemId("text"), {Modality.TEXT: vectors[Modality.TEXT]})])
    background = Background(store, space.manifest.calibration, 0.5)
    assert background.per_item(every) == 1.5
    assert background.per_item((Modality.IMAGE,)) == background.per_item((Modality.AUDIO,)) == 1
