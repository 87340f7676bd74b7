"""The same request gives the same numbers in training and in serving."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch

from encoders.spaces.space import Calibration, PairCalibration, SpaceManifest
from engine.catalog.ingest import INDEXED_AT
from engine.catalog.items import ItemTable
from engine.core.deadline import Deadline
from engine.core.types import Event, EventKind, Query, ReasonKind
from engine.encode.encoding import DirectEncoder
from engine.learn.fit import FitSettings, fit
from engine.learn.learned import VersionRanker
from engine.learn.log import KIND_OF, event_log, events_of
from engine.learn.network.train import TrainSettings, logits_of
from engine.learn.network.train_taste import TasteSettings
from engine.learn.ranker import Cases
from engine.learn.rows.dataset import RowSettings
from engine.learn.splits import ALL_POSITIVES
from engine.query.resolve import QuerySignals, resolve
from engine.query.settings import FuseSettings
from engine.rerank.collate import collate
from engine.rerank.content import ContentScorer
from engine.rerank.served import LearnedModel
from engine.store.base import Point
from engine.store.memory import MemoryStore
from tests.learn.world import catalogue, walks
from tests.tiny import concept_space


def calibration() -> Calibration:
    """Of a space in which all pairs of modalities behave alike."""
    pair = PairCalibration(mean=0.1, std=0.3, weight=1.0)
    return {(one, two): pair for one in catalogue().vectors for two in catalogue().vectors}


def sources_of(events: Sequence[Event], items: ItemTable) -> QuerySignals:
    """What the pipeline makes of a history, each event weighing the same."""
    rows = items.rows([event.item for event in events if event.item is not None])[::-1]  # newest first
    return QuerySignals(
        (ReasonKind.EVENT,) * len(rows),
        np.arange(len(rows), dtype=np.intp)[::-1],
        np.ones(len(rows)),
        {m: items.vectors[m][rows] for m in items.vectors},
        {m: items.present[m][rows] for m in items.vectors},
        (),
    )


FIELDS = {"group": "category", "price": "number"}


@pytest.mark.parametrize("known", [0, 1, 8])
def test_serving_sees_what_training_saw(known: int) -> None:
    """Of people who are new too, and of those who did one thing."""
    items = catalogue()
    log = walks(items)
    settings = FitSettings(
        fields=FIELDS,  # type: ignore[arg-type]
        rows=RowSettings("time", steps=6, folds=4),
        training=TrainSettings(epochs=1, batch=32),
        taste=TasteSettings(epochs=1),
        width=16,
    )
    content = ContentScorer(calibration(), FuseSettings())
    version = fit(log, items, replace(settings, content=content)).version
    person = 7
    history = np.flatnonzero(log.user == person)[:known]
    moment = datetime.fromtimestamp(float(log.time[-1]), UTC) + timedelta(hours=3)

    ranker = VersionRanker(version, ALL_POSITIVES, content)
    ranker.fit(log, items)
    nothing = np.zeros(0, np.intp)
    (example,) = ranker.examples(Cases(np.array([person]), np.array([moment.timestamp()]), (history,), (nothing,)))

    store = MemoryStore(fingerprint="f", dimension=16, modalities=tuple(items.vectors))
    since = [datetime.fromtimestamp(at, UTC).isoformat() for at in items.indexed_at.tolist()]
    store.upsert(
        [
            Point(
                name,
                {m: items.vectors[m][row] for m in items.vectors if items.present[m][row]},
                {**items.payloads[row], INDEXED_AT: since[row]},
            )
            for row, name in enumerate(items.ids)
        ]
    )
    model = LearnedModel(version, "v", "f", store, clock=lambda: moment)
    events = events_of(log, history)
    signals = sources_of(events, items)
    found = store.candidates([items.ids[row] for row in example.request.candidates.tolist()])
    scores = content.scores(example.request.tokens, example.request.candidates, ranker.point_in_time.table)
    candidates = replace(found, scores=scores)
    person_read = model.reader.person(Query(history=events), signals)
    request, table = model.reader.request(person_read, candidates)

    np.testing.assert_array_equal(request.ids, example.request.ids)
    np.testing.assert_array_equal(request.tokens.kinds, example.request.tokens.kinds)
    np.testing.assert_allclose(request.tokens.gaps, example.request.tokens.gaps, atol=1e-3)
    np.testing.assert_allclose(
        request.dense.astype(np.float16).astype(np.float32), example.request.dense.astype(np.float32), atol=2e-3
    )
    with torch.inference_mode():
        served = version.network(collate([request], table))[0].numpy()
    (trained,) = logits_of(version.network, [example], ranker.point_in_time.table)
    np.testing.assert_allclose(served, trained, atol=5e-3)


def test_candidates_of_the_counts_are_those_of_training() -> None:
    items = catalogue()
    log = walks(items)
    assert len(event_log([])) == 0
    settings = FitSettings(
        rows=RowSettings("time", steps=6, folds=4), training=TrainSettings(epochs=1), taste=None, width=16
    )
    version = fit(log, items, settings).version
    history = np.flatnonzero(log.user == 3)
    moment = datetime.fromtimestamp(float(log.time[history[-1]]), UTC) + timedelta(hours=1)
    store = MemoryStore(fingerprint="f", dimension=16, modalities=tuple(items.vectors))
    model = LearnedModel(version, "v", "f", store, clock=lambda: moment)
    events = events_of(log, history)
    seen = [event.item for event in events if event.item is not None]
    found = set(model.read(Query(history=events), sources_of(events, items), seen).items)
    ranker = VersionRanker(version, ALL_POSITIVES)
    ranker.fit(log, items)
    nothing = np.zeros(0, np.intp)
    (example,) = ranker.examples(Cases(np.array([3]), np.array([moment.timestamp()]), (history,), (nothing,)))
    assert found
    assert found.isdisjoint(seen)
    assert found <= {items.ids[row] for row in example.request.candidates.tolist()}


def test_serving_reads_as_much_of_a_history_as_training() -> None:
    """Through `resolve`: ratings of three stars, which weigh nothing, and more events than are used."""
    items = catalogue()
    log = walks(items, people=30)
    kind = np.where(np.arange(len(log)) % 3 == 0, KIND_OF[EventKind.RATE], log.kind)
    log = replace(log, kind=kind, value=np.where(kind == KIND_OF[EventKind.RATE], 3.0, np.nan))
    fuse = FuseSettings(max_events=7)
    content = ContentScorer(calibration(), fuse)
    rows, training = RowSettings(steps=6, folds=4), TrainSettings(epochs=1)
    settings = FitSettings(rows=rows, training=training, width=16, content=content)
    version = fit(log, items, settings).version
    history = np.flatnonzero(log.user == 3)
    moment = datetime.fromtimestamp(float(log.time[history[-1]]), UTC) + timedelta(hours=1)
    ranker = VersionRanker(version, ALL_POSITIVES, content)
    ranker.fit(log, items)
    nothing = np.zeros(0, np.intp)
    (example,) = ranker.examples(Cases(np.array([3]), np.array([moment.timestamp()]), (history,), (nothing,)))
    assert len(history) > 7 == len(example.request.tokens.rows)

    store = MemoryStore(fingerprint="f", dimension=16, modalities=tuple(items.vectors))
    store.upsert(
        [
            Point(name, {m: items.vectors[m][row] for m in items.vectors if items.present[m][row]}, {})
            for row, name in enumerate(items.ids)
        ]
    )
    query = Query(history=events_of(log, history))
    manifest = SpaceManifest("f", 16, {modality: {} for modality in items.vectors}, calibration())
    nobody = DirectEncoder(concept_space())  # there is nothing to encode
    signals = resolve(query, nobody, manifest, store, fuse, moment, Deadline())
    person = LearnedModel(version, "v", "f", store, clock=lambda: moment).reader.person(query, signals)
    np.testing.assert_array_equal(person.tokens.kinds, example.request.tokens.kinds)
    np.testing.assert_allclose(person.tokens.gaps, example.request.tokens.gaps, atol=1e-3)
    assert len(person.positive) == len(ranker.point_in_time.liked(history[-7:]))
