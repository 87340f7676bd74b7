"""Weights of events, interests, and their shares."""

from datetime import timedelta

import numpy as np
import pytest

from engine.core.types import Event, EventKind, ItemId, ReasonKind
from engine.query.fuse import Intent, fuse
from engine.query.resolve import QuerySignals, event_weight, newest
from engine.query.settings import FuseSettings
from engine.query.similarity import calibrate_signals
from tests.query.scene import NOW, A, I, T, event
from tests.tiny import concept_audio, concept_image, concept_space, concept_text

MAKERS = {T: concept_text, I: concept_image, A: concept_audio}


def signals(*given: tuple[str, object, float], query: int = 0) -> QuerySignals:
    """Sources of (concept, modality, weight); the first `query` of them are query parts."""
    space = concept_space()
    made = space.encode([MAKERS[m](concept, 20 + n) for n, (concept, m, _) in enumerate(given)])
    modalities = [m for _, m, _ in given]
    present = {m: np.array([m is one for one in modalities]) for m in space.modalities}
    return QuerySignals(
        tuple(ReasonKind.QUERY if n < query else ReasonKind.EVENT for n in range(len(given))),
        np.arange(len(given)),
        np.array([weight for _, _, weight in given]),
        {m: made * present[m][:, None] for m in space.modalities},
        present,
        (),
    )


def fused(given: QuerySignals, settings: FuseSettings | None = None) -> Intent:
    settings = settings or FuseSettings()
    space = concept_space()
    return fuse(given, calibrate_signals(given, space.calibration, space.modalities, settings.correlation), settings)


@pytest.mark.parametrize(
    ("kind", "days", "value", "expected"),
    [
        (EventKind.LIKE, 0, None, 2.0),
        (EventKind.LIKE, 30, None, 1.0),
        (EventKind.PURCHASE, 60, 99.0, 0.75),
        (EventKind.DISLIKE, 0, None, -2.0),
        (EventKind.IMPRESSION, 0, None, 0.0),
        (EventKind.RATE, 0, 5.0, 1.0),
        (EventKind.RATE, 0, 3.0, 0.0),
        (EventKind.RATE, 30, 1.0, -0.5),
        (EventKind.RATE, 0, None, 1.0),
        (EventKind.CLICK, -10, None, 1.0),
    ],
)
def test_event_weight(kind, days, value, expected):
    assert event_weight(event(kind, "x", days, value), NOW, FuseSettings()) == pytest.approx(expected)


def test_newest_first_and_of_one_time_the_later():
    events = [event(EventKind.CLICK, "x", days) for days in (3, 1, 2, 1)]
    assert newest(events, NOW) == [3, 1, 2, 0]
    undated = [Event(EventKind.CLICK, item=ItemId("x")), event(EventKind.CLICK, "x", 1)]
    late = Event(EventKind.CLICK, item=ItemId("x"), time=NOW + timedelta(days=5))
    assert newest([*undated, late], NOW) == [2, 0, 1]


def test_interests_are_concepts_not_modalities_and_the_heaviest_come_first():
    given = signals(
        ("bird", T, 1.0), ("piano", T, 2.0), ("bird", I, 1.0), ("piano", A, 2.0), ("bird", A, 1.0), ("car", I, 0.1)
    )
    intent = fused(given)
    assert [rows.tolist() for rows in intent.interests] == [[1, 3], [0, 2, 4], [5]]
    assert intent.query_weight == 0.0


def test_beyond_the_most_interests_the_heaviest_are_kept_not_merged():
    given = signals(("bird", T, 1.0), ("piano", T, 3.0), ("car", T, 2.0), ("bell", T, 0.5))
    intent = fused(given, FuseSettings(max_interests=2))
    assert [rows.tolist() for rows in intent.interests] == [[1], [2]]


def test_shares_go_with_the_root_of_weight_and_lose_what_was_disliked():
    even = fused(signals(("bird", T, 1.0), ("piano", T, 0.25)))
    assert even.shares == pytest.approx([2 / 3, 1 / 3])
    against = fused(signals(("bird", T, 1.0), ("piano", T, 0.25), ("bird", I, -0.75)))
    assert against.interests[0].tolist() == [0]
    assert against.shares == pytest.approx([0.5, 0.5], abs=1e-6)
    hated = fused(signals(("bird", T, 1.0), ("piano", T, 0.1), ("bird", I, -1.0)))
    assert hated.shares == pytest.approx([0.5, 0.5], abs=1e-6)  # down to a tenth, no further
    elsewhere = fused(signals(("bird", T, 1.0), ("piano", T, 0.25), ("car", I, -1.0)))
    assert elsewhere.shares == pytest.approx([2 / 3, 1 / 3])


def test_a_query_and_a_history():
    given = signals(("bird", T, 2.0), ("car", T, -1.0), ("piano", T, 3.0), ("bell", T, -1.5), query=2)
    intent = fused(given)
    assert intent.parts.tolist() == [0]
    assert [rows.tolist() for rows in intent.interests] == [[2]]
    assert intent.negatives.tolist() == [1, 3]
    assert intent.strengths == pytest.approx([0.5, 0.5])  # each beside the largest of its kind
    assert intent.query_weight == FuseSettings().query_weight
    assert intent.shares.size == 0
    assert intent.search_weights().shape == (1, 4)


@pytest.mark.parametrize(
    ("given", "query", "weight", "empty"),
    [
        ([("bird", T, 1.0)], 1, 1.0, False),
        ([("bird", T, 1.0)], 0, 0.0, False),
        ([("bird", T, -1.0)], 0, 0.0, True),
        ([("bird", T, 1.0), ("car", T, -1.0)], 1, 1.0, False),
    ],
)
def test_the_weight_of_the_query(given, query, weight, empty):
    intent = fused(signals(*given, query=query))
    assert (intent.query_weight, intent.empty) == (weight, empty)


def test_weights_count_only_beside_each_other_however_small():
    big = fused(signals(("bird", T, 1.0), ("bird", I, 0.5), ("piano", T, 0.25)))
    tiny = fused(signals(("bird", T, 1e-300), ("bird", I, 0.5e-300), ("piano", T, 0.25e-300)))
    assert tiny.combinations() == pytest.approx(big.combinations())
    assert np.isfinite(tiny.combinations()).all()
    faded = fused(signals(("bird", T, 1.0), ("piano", T, 1e-9)))
    assert [rows.tolist() for rows in faded.interests] == [[0]]
