"""Payload fields as numbers, whatever an item says."""

from datetime import UTC, datetime

import numpy as np
import pytest

from encoders.types import Modality
from engine.core.types import Event, EventKind, ItemId, Query
from engine.encode.encoding import DirectEncoder
from engine.query.models import Fixed
from engine.query.pipeline import Engine
from engine.rerank.fields import FieldScales, fit_scales
from engine.rerank.served import LearnedModel
from engine.store.base import Point
from engine.store.memory import MemoryStore
from tests.models.versions import untaught
from tests.tiny import CONCEPTS, concept_space, concept_text

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ABSURD = (10**400, -(10**400), 1e300, -1e300, True, "7", None, [7])


def test_what_is_no_sensible_number_is_none() -> None:
    payloads = [{"price": value} for value in (7.0, 9, *ABSURD)]
    column = FieldScales({}, {"price": (5.0, 2.0)}).apply(payloads).numbers["price"]
    assert column[:2].tolist() == [1.0, 2.0]
    assert np.isnan(column[2:]).all()


def test_one_absurd_number_spoils_no_scale() -> None:
    known = [{"price": 3.0}, {"price": 7.0}]
    assert fit_scales([*known, {"price": 10**400}], {"price": "number"}).numbers == {"price": (5.0, 2.0)}


@pytest.mark.parametrize("price", [1e300, -1e39, 2**63 - 1])
def test_an_absurd_number_fails_no_request(price: float) -> None:
    space = concept_space()
    store = MemoryStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
    for concept in CONCEPTS:
        vector = {Modality.TEXT: space.encode([concept_text(concept)])[0]}
        store.upsert([Point(ItemId(concept), vector, {"price": price})])
    model = LearnedModel(untaught(store), "v", space.fingerprint, store)
    engine = Engine(DirectEncoder(space), space.manifest, store, models=Fixed(model))
    liked = Event(EventKind.LIKE, ItemId(CONCEPTS[0]), time=NOW)
    assert engine.recommend(Query(history=(liked,), limit=4)).tier == "full"
