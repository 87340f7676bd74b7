"""Reasons, checked by taking away what they name and asking again."""

from dataclasses import replace

import numpy as np
import pytest

from encoders.types import Modality
from engine.core.deadline import Deadline
from engine.core.types import Event, EventKind, PolicyOptions, Query, QueryPart, ReasonKind, Recommendations
from engine.encode.encoding import DirectEncoder
from engine.query.explain import MAX_REASONS, explain, falls
from engine.query.fuse import Intent, fuse
from engine.query.resolve import QuerySignals, resolve
from engine.query.score import score
from engine.query.settings import FuseSettings
from engine.query.similarity import calibrate_signals, nearness, recognition, spread
from tests.query.scene import NOW, Scene, event, likes, scene
from tests.tiny import CONCEPTS, concept_audio, concept_image, concept_space, concept_text

HISTORY = (
    *likes("bird", [0, 4], days=3),
    Event(EventKind.SEARCH, content=concept_text("bird", 40), time=NOW),
    Event(EventKind.UPLOAD, content=concept_image("piano", 41), time=NOW),
    Event(EventKind.UPLOAD, content=concept_audio("piano", 42), time=NOW),
    event(EventKind.PURCHASE, "piano-3", days=10),
    event(EventKind.CLICK, "car-2"),
    event(EventKind.DISLIKE, "tree-4"),
)


@pytest.fixture(scope="module")
def mixed() -> Scene:
    return scene()


def scores(answer: Recommendations) -> dict[str, float]:
    return {result.item: result.score for result in answer.results}


def without(query: Query, index: int) -> Query:
    """The query without an event, which stays seen."""
    gone = query.history[index].item
    exclude = (gone,) if gone is not None else ()
    return replace(
        query,
        history=tuple(event for n, event in enumerate(query.history) if n != index),
        policy=replace(query.policy, exclude=exclude),
    )


def test_without_the_event_named_first_the_score_falls_most(mixed: Scene):
    query = Query(history=HISTORY, limit=20, policy=PolicyOptions(diversity=0.0))
    answer = mixed.engine.recommend(query)
    whole = scores(mixed.engine.recommend(replace(query, limit=200)))
    ablated = [scores(mixed.engine.recommend(replace(without(query, n), limit=200))) for n in range(len(HISTORY))]
    assert len({result.reasons[0].index for result in answer.results}) >= 3
    for result in answer.results:
        fall = [whole[result.item] - rest.get(result.item, -9.0) for rest in ablated]
        first = result.reasons[0]
        assert first.kind is ReasonKind.EVENT
        assert fall[first.index] == pytest.approx(max(fall), abs=1e-3)
        named = [fall[reason.index] for reason in result.reasons]
        shares = [reason.share for reason in result.reasons]
        assert shares == pytest.approx(np.array(named) / sum(named), abs=0.02)


def test_without_the_part_named_first_the_score_falls_most(mixed: Scene):
    parts = (
        QueryPart(concept_text("bell", 43)),
        QueryPart(concept_image("bell", 44), 0.4),
        QueryPart(concept_audio("rain", 45), 0.7),
    )
    query = Query(parts=parts, limit=10, policy=PolicyOptions(diversity=0.0))
    answer = mixed.engine.recommend(query)
    whole = scores(mixed.engine.recommend(replace(query, limit=240)))
    ablated = [
        scores(mixed.engine.recommend(replace(query, parts=parts[:n] + parts[n + 1 :], limit=240))) for n in range(3)
    ]
    for result in answer.results:
        fall = [whole[result.item] - rest[result.item] for rest in ablated]
        assert fall[result.reasons[0].index] == pytest.approx(max(fall), abs=1e-3)


def test_shares_sum_to_one_and_fall(mixed: Scene):
    parts = (QueryPart(concept_text("bell", 46)), QueryPart(concept_image("fish", 47), -0.5))
    many = likes("bird", range(20)) + likes("cat", range(5), days=40)
    for query in (Query(history=many), Query(history=HISTORY, parts=parts), Query(parts=parts), Query()):
        answer = mixed.engine.recommend(query)
        assert answer.results
        for result in answer.results:
            shares = [reason.share for reason in result.reasons]
            assert sum(shares) == pytest.approx(1.0)
            assert shares == sorted(shares, reverse=True)
            assert 1 <= len(shares) <= MAX_REASONS


def test_the_modality_named_is_the_one_that_answered(mixed: Scene):
    answer = mixed.ask(parts=(QueryPart(concept_image("cat", 48)),), limit=20)
    for result in answer.results:
        number = int(str(result.payload["number"])) % 5
        has = {0: ("text",), 1: ("image",), 2: ("audio",), 3: ("text", "image"), 4: ("text", "image", "audio")}[
            number
        ]
        assert result.reasons[0].modality in has


def test_modalities_share_a_reason_by_what_they_give_to_its_similarity(mixed: Scene):
    part = QueryPart(concept_text("cat", 48))
    answer = mixed.ask(parts=(part,), limit=20)
    space = concept_space()
    query = space.encode([part.source])[0]
    for result in answer.results:
        (reason,) = result.reasons
        item = mixed.store.candidates([result.item])
        given = []
        for modality in Modality:
            pair = space.calibration[Modality.TEXT, modality]
            cosine = float(item.vectors[modality][0] @ query)
            z = max((cosine - pair.mean) / pair.std, 0)
            given.append((pair.weight, pair.weight * z, cosine) if item.present[modality][0] else (0, 0, 0))
        weights, given, cosines = (np.array(column) for column in zip(*given, strict=True))
        given = given / spread(weights, 0.5)
        given[0] += recognition(
            cosines[:1], nearness(space.calibration[Modality.TEXT, Modality.TEXT], Modality.TEXT)
        )[0]
        assert reason.by_modality == pytest.approx(np.array(given) / sum(given), abs=1e-3)
        assert reason.modality is tuple(Modality)[int(np.argmax(reason.by_modality))]
    assert max(sum(share > 0.1 for share in result.reasons[0].by_modality) for result in answer.results) == 3


def _resolved(mixed: Scene, query: Query) -> tuple[QuerySignals, Intent]:
    space = concept_space()
    encoder = DirectEncoder(space)
    signals = resolve(query, encoder, space.manifest, mixed.store, FuseSettings(), NOW, Deadline())
    settings = FuseSettings()
    return signals, fuse(signals, calibrate_signals(signals, space.calibration, space.modalities, 0.5), settings)


def test_falls_are_the_difference_of_two_scores_with_the_interests_as_they_are(mixed: Scene):
    parts = (QueryPart(concept_text("bell", 49)), QueryPart(concept_text("bird", 49), 0.5))
    signals, intent = _resolved(mixed, Query(history=HISTORY, parts=parts))
    assert len(intent.interests) == 3
    items = mixed.store.candidates([f"{c}-{n}" for c in ("bird", "piano", "car", "fish") for n in range(20)])
    whole = score(intent, items)
    fall = falls(intent, whole, np.arange(len(items)))
    for source in range(len(signals.kinds)):
        if source in intent.negatives:
            assert not fall[source].any()
            continue
        groups = [rows[rows != source] for rows in intent.interests]
        less = replace(
            intent,
            parts=intent.parts[intent.parts != source],
            interests=tuple(rows for rows in groups if len(rows)),
        )
        expected = whole.total - score(less, items).total
        assert fall[source] == pytest.approx(expected, abs=1e-3)


def test_where_nothing_lifts_an_item_the_least_bad_is_named(mixed: Scene):
    signals, intent = _resolved(mixed, Query(history=likes("bird", [0])))
    items = mixed.store.candidates([f"{concept}-{n}" for concept in CONCEPTS for n in range(20)])
    scores = score(intent, items)
    rows = np.argsort(scores.total)[:3]
    assert scores.total[rows].max() < 0
    reasons = explain(intent, signals, scores, items.take(rows), rows)
    assert [[(r.index, r.share) for r in one] for one in reasons] == [[(0, 1.0)]] * 3
    assert all(sum(reason.by_modality) == pytest.approx(1.0) for (reason,) in reasons)
