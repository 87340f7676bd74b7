"""The same request gives the same numbers in training and in serving."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch

from encoders.spaces.space import Calibration, PairCalibration, SpaceManifest, unit
from encoders.types import Floats, Modality
from engine.catalog.ingest import INDEXED_AT
from engine.catalog.items import ItemTable
from engine.core.deadline import Deadline
from engine.core.filters import FieldKind
from engine.core.types import (
    Candidates,
    Event,
    EventKind,
    Query,
    ReasonKind,
    UserId,
    VectorInput,
)
from engine.encode.encoding import DirectEncoder
from engine.events.types import Impression, UserEvent
from engine.learn.fit import FitSettings, fit
from engine.learn.learned import VersionRanker
from engine.learn.log import KIND_OF, EventLog, event_log, events_of, user_events
from engine.learn.network.train import TrainSettings, logits_of
from engine.learn.network.train_towers import TwoTowerSettings
from engine.learn.ranker import Cases
from engine.learn.rows.dataset import RowSettings
from engine.learn.splits import ALL_POSITIVES
from engine.query import stages
from engine.query.models import Fixed
from engine.query.pipeline import Engine
from engine.query.resolve import QuerySignals, resolve
from engine.query.settings import FuseSettings
from engine.rerank import features
from engine.rerank.content import ContentScorer
from engine.rerank.drift import history_mean
from engine.rerank.features import FEATURES, CatalogueFields, Feature, Inputs
from engine.rerank.served import LearnedModel
from engine.rerank.table import RankingInput, Table
from engine.rerank.two_towers import TwoTowerModel
from engine.rerank.user import UserFeatures
from engine.rerank.version import Version
from engine.store.base import Point
from engine.store.memory import MemoryStore
from tests.learn.world import catalogue, walks
from tests.tiny import concept_space


def calibration() -> Calibration:
    """Of a space in which all pairs of modalities behave alike."""
    pair = PairCalibration(mean=0.1, std=0.3, weight=1.0)
    return {(one, two): pair for one in catalogue().vectors for two in catalogue().vectors}


MANIFEST = SpaceManifest("f", 16, {modality: {} for modality in catalogue().vectors}, calibration())


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
ALL, KNOWN = 120, 96
"""Items; those of them that anybody acted on."""
STEPS: tuple[tuple[EventKind, float | None], ...] = (
    (EventKind.CLICK, None),
    (EventKind.DISLIKE, None),
    (EventKind.CLICK, None),
    (EventKind.RATE, 5.0),
    (EventKind.LIKE, None),
    (EventKind.DISLIKE, None),
    (EventKind.RATE, 2.0),
    (EventKind.CLICK, None),
)
"""What everybody does after a search."""
WHOLE = 1 + len(STEPS)


def varied() -> tuple[ItemTable, EventLog, list[Impression]]:
    """A world in which every feature says something: many kinds of events, lists, items of different ages."""
    items = catalogue(ALL)
    items = replace(items, indexed_at=items.indexed_at - 3600.0 * np.arange(ALL))
    asked = VectorInput(Modality.TEXT, unit(items.vectors[Modality.TEXT][[4, 9]].sum(axis=0, keepdims=True))[0])
    events: list[UserEvent] = []
    lists, done = list[Impression](), Counter[UserId]()
    for number, (user, event) in enumerate((one.user, one.event) for one in user_events(walks(catalogue(KNOWN)))):
        assert event.item is not None and event.time is not None
        if not done[user]:
            search = Event(EventKind.SEARCH, content=asked, time=event.time - timedelta(minutes=1))
            events.append(UserEvent(user, search))
        kind, value = STEPS[done[user]]
        done[user] += 1
        request = f"r{number}" if kind is EventKind.CLICK else ""
        if request:
            shown = tuple(dict.fromkeys([event.item, items.ids[number % KNOWN]]))
            said = tuple(range(1, len(shown) + 1)), (1.0,) * len(shown), "m", "full"
            lists.append(Impression(request, user, shown, *said, event.time - timedelta(seconds=1)))
        events.append(UserEvent(user, replace(event, kind=kind, value=value, request_id=request)))
    return items, event_log(events), lists


@dataclass(frozen=True)
class Made:
    """A request as numbers, by item: c items, f features."""

    names: list[str]
    request: RankingInput
    logits: np.ndarray
    """(c, outcomes)."""
    history: Floats | None
    """(d,): the mean of the history, which drift is measured by."""

    @property
    def order(self) -> np.ndarray:
        return np.argsort(self.names)


@dataclass(frozen=True)
class World:
    """A trained version, and what it was trained on."""

    items: ItemTable
    log: EventLog
    content: ContentScorer
    version: Version

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(float(self.log.time[-1]), UTC) + timedelta(hours=3)

    def history(self, known: int) -> np.ndarray:
        """The last events of somebody who acts on items with pictures, rows of the log."""
        pictured = self.items.present[Modality.IMAGE][self.items.rows(self.log.items)]
        acted = self.log.item >= 0
        mine = np.flatnonzero(self.log.user == self.log.user[acted][pictured[self.log.item[acted]].argmax()])
        assert len(mine) == WHOLE
        return mine[WHOLE - known :]

    def trained(self, known: int) -> Made:
        """The request of a person with so many events as training makes it, all unseen items being candidates."""
        history = self.history(known)
        ranker = VersionRanker(self.version, ALL_POSITIVES, self.content)
        ranker.fit(self.log, self.items)
        unseen = np.setdiff1d(np.arange(ALL), ranker.point_in_time.seen(history))
        times = np.array([self.moment.timestamp()])
        nobody = np.zeros(1, np.int64)
        cases = Cases(nobody, times, (history,), (unseen[:0],), shown=(unseen,))
        (example,) = ranker.examples(cases)
        (logits,) = logits_of(self.version.network, [example], ranker.point_in_time.table)
        mean = history_mean(example.request.tokens, ranker.point_in_time.table)
        return Made([self.items.ids[row] for row in example.request.candidates], example.request, logits, mean)

    def served(self, known: int, late: float = 0.0, fuse: FuseSettings | None = None, payload: str = "") -> Made:
        """The same request as the engine makes it: resolved, fused, retrieved, scored, reranked.

        Args:
            known: events of the history.
            late: seconds by which the model's clock is wrong.
            fuse: settings other than those that training knew.
            payload: a field that is another in the store.
        """
        items, fingerprint = self.items, MANIFEST.fingerprint
        store = MemoryStore(fingerprint=fingerprint, dimension=16, modalities=tuple(items.vectors))
        points = []
        for row, name in enumerate(items.ids):
            vectors = {m: items.vectors[m][row] for m in items.vectors if items.present[m][row]}
            since = datetime.fromtimestamp(float(items.indexed_at[row]), UTC).isoformat()
            changed = {payload: items.payloads[0][payload]} if payload else {}
            points.append(Point(name, vectors, {**items.payloads[row], INDEXED_AT: since, **changed}))
        store.index_fields({INDEXED_AT: FieldKind.DATETIME})
        store.upsert(points)
        moment = self.moment + timedelta(seconds=late)
        model = LearnedModel(self.version, "v", fingerprint, store, clock=lambda: moment)
        made: list[Made] = []
        full, read = model.tiers[0], model.reader.ranking_input

        def reading(user: UserFeatures, candidates: Candidates) -> tuple[RankingInput, Table]:
            request, table = read(user, candidates)
            with torch.inference_mode():
                mean = history_mean(request.tokens, table)
                made.append(Made(list(candidates.ids), request, full.logits(request, table), mean))
            return request, table

        model.reader.ranking_input = reading  # type: ignore[method-assign]
        engine = Engine(
            DirectEncoder(concept_space()),  # there is nothing to encode
            MANIFEST,
            store,
            fuse_settings=fuse,
            models=Fixed(model),
            clock=lambda: self.moment,
        )
        query = Query(history=events_of(self.log, self.history(known)), limit=ALL)
        assert engine.recommend(query).tier == "full"
        (one,) = made
        return one


@pytest.fixture(scope="module")
def world() -> World:
    items, log, lists = varied()
    content = ContentScorer(MANIFEST.calibration, FuseSettings())
    settings = FitSettings(
        fields=FIELDS,  # type: ignore[arg-type]
        rows=RowSettings("time", steps=6, folds=4),
        training=TrainSettings(epochs=1, batch=32),
        towers=TwoTowerSettings(epochs=1),
        width=16,
        content=content,
    )
    return World(items, log, content, fit(log, items, settings, impressions=lists).version)


@pytest.fixture(scope="module")
def trained(world: World) -> Made:
    return world.trained(WHOLE)


def differing(trained: Made, served: Made, features: Sequence[str]) -> set[str]:
    """The features of which serving makes something else than training."""
    assert sorted(trained.names) == sorted(served.names)
    mine, theirs = (one.request.dense[one.order].astype(np.float16).astype(np.float32) for one in (trained, served))
    same = np.isclose(mine, theirs, rtol=2e-3, atol=2e-4).all(axis=0)
    return {name for name, alike in zip(features, same.tolist(), strict=True) if not alike}


@pytest.mark.parametrize("known", [0, 1, WHOLE])
def test_serving_sees_what_training_saw(world: World, known: int) -> None:
    """Of people who are new too, and of those who did one thing."""
    trained, served = world.trained(known), world.served(known)
    assert differing(trained, served, world.version.features) == set()
    mine, theirs = trained.request, served.request
    np.testing.assert_array_equal(theirs.ids[served.order], mine.ids[trained.order])
    np.testing.assert_array_equal(theirs.tokens.kinds, mine.tokens.kinds)
    np.testing.assert_array_equal(theirs.tokens.values, mine.tokens.values)
    np.testing.assert_allclose(theirs.tokens.gaps, mine.tokens.gaps, atol=1e-3)
    np.testing.assert_allclose(served.logits[served.order], trained.logits[trained.order], atol=5e-3)
    assert (trained.history is None) == (served.history is None) == (known == 0)
    if trained.history is not None and served.history is not None:
        np.testing.assert_allclose(served.history, trained.history, atol=1e-5)


SHAPE = CatalogueFields((Modality.TEXT, Modality.IMAGE), ("group",), ("price",))


@pytest.mark.parametrize(
    ("family", "row"),
    [pytest.param(one, row, id=name) for one in FEATURES for row, name in enumerate(one.names(SHAPE))],
)
def test_a_feature_that_drifts_is_caught(
    world: World, trained: Made, monkeypatch: pytest.MonkeyPatch, family: Feature, row: int
) -> None:
    """Each feature, one after the other, is a tenth larger in serving than it was in training."""

    def drifting(inputs: Inputs) -> Floats:
        found = np.array(family.rows(inputs), np.float32)
        found[row] *= 1.1
        return found

    drifted = tuple(replace(one, rows=drifting) if one is family else one for one in FEATURES)
    monkeypatch.setattr(features, "FEATURES", drifted)
    assert family.names(SHAPE)[row] in differing(trained, world.served(WHOLE), world.version.features)


@pytest.mark.parametrize(
    ("name", "drift"),
    [
        ("content", {"fuse": FuseSettings(weights={EventKind.DISLIKE: -0.01})}),
        ("content", {"fuse": FuseSettings(half_life_days=0.05)}),
        ("gap", {"late": 30 * 86400.0}),
        ("age", {"late": 86400.0}),
        ("popularity_30d", {"late": 30 * 86400.0}),
        ("group_recent", {"payload": "group"}),
        ("price_value", {"payload": "price"}),
    ],
)
def test_what_serving_does_otherwise_is_caught(
    world: World, trained: Made, name: str, drift: dict[str, object]
) -> None:
    assert name in differing(trained, world.served(WHOLE, **drift), world.version.features)  # type: ignore[arg-type]


def test_another_score_in_the_pipeline_is_caught(
    world: World, trained: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage that scores candidates leaves the dislikes out."""
    real, nothing = stages.score, np.zeros(0, np.intp)
    monkeypatch.setattr(stages, "score", lambda intent, *rest: real(replace(intent, negatives=nothing), *rest))
    assert "content" in differing(trained, world.served(WHOLE), world.version.features)


def test_another_learned_query_vector_is_caught(world: World, trained: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serving forgets the temperature."""
    scores = TwoTowerModel.scores
    monkeypatch.setattr(TwoTowerModel, "scores", lambda self, *given: scores(self, *given) * self.temperature)
    assert (
        {"two_tower"}
        <= differing(trained, world.served(WHOLE), world.version.features)
        <= {"two_tower", "two_tower_z"}
    )


def test_candidates_of_the_counts_are_those_of_training() -> None:
    items = catalogue()
    log = walks(items)
    assert len(event_log([])) == 0
    settings = FitSettings(
        rows=RowSettings("time", steps=6, folds=4), training=TrainSettings(epochs=1), towers=None, width=16
    )
    version = fit(log, items, settings).version
    history = np.flatnonzero(log.user == 3)
    moment = datetime.fromtimestamp(float(log.time[history[-1]]), UTC) + timedelta(hours=1)
    store = MemoryStore(fingerprint="f", dimension=16, modalities=tuple(items.vectors))
    model = LearnedModel(version, "v", "f", store, clock=lambda: moment)
    events = events_of(log, history)
    seen = [event.item for event in events if event.item is not None]
    found = set(model.contribute(Query(history=events), sources_of(events, items), seen).items)
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
    log = walks(items, users=30)
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
    nobody = DirectEncoder(concept_space())  # there is nothing to encode
    signals = resolve(query, nobody, MANIFEST, store, fuse, moment, Deadline())
    user = LearnedModel(version, "v", "f", store, clock=lambda: moment).reader.user(query, signals)
    np.testing.assert_array_equal(user.tokens.kinds, example.request.tokens.kinds)
    np.testing.assert_allclose(user.tokens.gaps, example.request.tokens.gaps, atol=1e-3)
    assert len(user.positive) == len(ranker.point_in_time.liked(history[-7:]))
