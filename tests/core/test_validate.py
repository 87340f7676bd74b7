"""Queries that are refused, each with the error and message that a caller can act on."""

import re
from datetime import datetime

import numpy as np
import pytest

from encoders.errors import SpaceError, VectorError
from encoders.spaces.space import Space
from encoders.types import Floats, Text
from engine.core.errors import InvalidQueryError
from engine.core.types import Event, EventKind, ItemId, PolicyOptions, Query, QueryPart, VectorInput
from engine.core.validate import check_query
from tests.query.scene import NOW, A, I, T
from tests.tiny import concept_space, tiny_space

SPACE = concept_space()
GOOD = np.ones(64, np.float32)


def vector(values: Floats, fingerprint: str = "", modality=T) -> Query:
    return Query(parts=(QueryPart(Text("x")), QueryPart(VectorInput(modality, values, fingerprint))))


def click(**fields: object) -> Query:
    return Query(history=(Event(EventKind.RATE, item=ItemId("x"), **fields),))  # type: ignore[arg-type]


BAD = [
    (Query(limit=0), InvalidQueryError, "query.limit", "limit is 0: send 1 to 1000"),
    (Query(limit=-3), InvalidQueryError, "query.limit", "limit is -3: send 1 to 1000"),
    (Query(limit=1_000_000), InvalidQueryError, "query.limit", "limit is 1000000: send 1 to 1000"),
    (
        Query(parts=(QueryPart(Text("x")),) * 65),
        InvalidQueryError,
        "query.parts",
        "query has 65 parts: send 64 at most",
    ),
    (
        Query(history=(Event(EventKind.LIKE, item=ItemId("x")),) * 10_001),
        InvalidQueryError,
        "query.history",
        "query has 10001 events: send 10000 at most",
    ),
    (
        Query(policy=PolicyOptions(exclude=(ItemId("x"),) * 10_001)),
        InvalidQueryError,
        "query.policy.exclude",
        "query has 10001 excluded items: send 10000 at most",
    ),
    (
        Query(parts=(QueryPart(Text("x"), float("nan")),)),
        InvalidQueryError,
        "query.parts[0].weight",
        "weight is nan: send a finite number",
    ),
    (
        Query(parts=(QueryPart(Text("x")), QueryPart(Text("x"), float("inf")))),
        InvalidQueryError,
        "query.parts[1].weight",
        "weight is inf: send a finite number",
    ),
    (
        vector(np.ones(7, np.float32)),
        VectorError,
        "query.parts[1].vector",
        "vector has dimension 7, space concepts-64 has 64: encode the content with this space",
    ),
    (
        vector(np.full(64, np.nan, np.float32)),
        VectorError,
        "query.parts[1].vector",
        "vector holds NaN or infinity, or is all zeros: send finite, non-zero numbers",
    ),
    (
        vector(np.zeros(64, np.float32)),
        VectorError,
        "query.parts[1].vector",
        "vector holds NaN or infinity, or is all zeros: send finite, non-zero numbers",
    ),
    (
        vector(GOOD, tiny_space().fingerprint),
        SpaceError,
        "query.parts[1].vector",
        f"vector is of space {tiny_space().fingerprint}, this is space {SPACE.fingerprint} (concepts-64): "
        "encode the content with this space",
    ),
    (
        click(value=float("inf")),
        InvalidQueryError,
        "query.history[0].value",
        "value is inf: send a finite number, 0 or more",
    ),
    (click(value=7.0), InvalidQueryError, "query.history[0].value", "rating is 7: send 1 to 5 stars"),
    (
        click(time=datetime(2026, 1, 1)),
        InvalidQueryError,
        "query.history[0].time",
        "time 2026-01-01 00:00:00 has no time zone: add one",
    ),
    (
        Query(policy=PolicyOptions(diversity=1.5)),
        InvalidQueryError,
        "query.policy.diversity",
        "diversity is 1.5: send 0 to 1",
    ),
    (
        Query(policy=PolicyOptions(diversity=float("nan"))),
        InvalidQueryError,
        "query.policy.diversity",
        "diversity is nan: send 0 to 1",
    ),
    (
        Query(policy=PolicyOptions(min_score=float("nan"))),
        InvalidQueryError,
        "query.policy.min_score",
        "min_score is NaN: send a number",
    ),
    (
        Query(policy=PolicyOptions(max_per_value={"category": 0})),
        InvalidQueryError,
        "query.policy.max_per_value[category]",
        "max_per_value of category is 0: send 1 or more",
    ),
]


@pytest.mark.parametrize(("query", "error", "field", "message"), BAD, ids=[case[2] for case in BAD])
def test_bad(query, error, field, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$") as caught:
        check_query(query, SPACE.manifest, 1000)
    assert caught.value.field == field
    assert caught.value.status in ("INVALID_ARGUMENT", "FAILED_PRECONDITION")


def test_a_modality_that_the_space_lacks():
    silent = Space("silent", {m: SPACE.encoder(m) for m in (T, I)}, SPACE.calibration)
    for query, field in (
        (Query(modalities=(T, A)), "query.modalities"),
        (vector(GOOD, modality=A), "query.parts[1].vector"),
    ):
        with pytest.raises(SpaceError, match=r"space silent has no audio encoder: use one of text, image") as caught:
            check_query(query, silent.manifest, 1000)
        assert caught.value.field == field


def test_good():
    event = Event(EventKind.RATE, item=ItemId("x"), time=NOW, value=3.0)
    query = Query(
        parts=(QueryPart(Text("x"), -1.0), QueryPart(VectorInput(A, GOOD, SPACE.fingerprint))),
        history=(event,),
        limit=1000,
        modalities=(T, A),
        policy=PolicyOptions(diversity=1.0, min_score=-np.inf, max_per_value={"a": 1}),
    )
    check_query(query, SPACE.manifest, 1000)
