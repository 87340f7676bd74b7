"""A small but whole deployment: a catalogue, people, served lists, and a version that was trained with two towers."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import numpy as np

from engine import opening
from engine.catalog.ingest import point_of
from engine.catalog.items import read_items
from engine.compose.engine import open_serving
from engine.compose.tenant import backups
from engine.config.settings import Settings
from engine.core.filters import FieldKind
from engine.core.types import Event, EventKind, Item, ItemId, UserId
from engine.events.base import EventStore
from engine.events.sql import SqlEventStore
from engine.events.types import UserEvent
from engine.learn.fit import FitSettings, fit
from engine.learn.log import event_log
from engine.learn.network.train import TrainSettings
from engine.learn.network.train_towers import TwoTowerSettings
from engine.learn.rows.dataset import RowSettings
from engine.models.card import CardDraft
from engine.rerank.served import LearnedModel
from engine.rerank.version import KIND, save_version
from engine.service.server import Door, ServerOptions
from engine.store.base import VectorStore
from tests.service.running import Running, running
from tests.tiny import CONCEPTS, concept_audio, concept_image, concept_png, concept_space, concept_text
from triveni.v1 import content_pb2, event_pb2, filter_pb2, recommendation_pb2

SPACE = concept_space()
VERSION = "two-towers"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
ITEMS = 5 * len(CONCEPTS)
QUICK = FitSettings(
    fields={"price": "number", "concept": "category"},
    rows=RowSettings("time", steps=3, folds=3),
    training=TrainSettings(epochs=1, batch=32),
    towers=TwoTowerSettings(epochs=1),
    width=16,
)


def fill(settings: Settings) -> None:
    """Index, let people act, train, and promote."""
    with (
        closing(opening.open_store(settings, SPACE)) as store,
        closing(opening.open_events(settings)) as events,
    ):
        _index(store)
        _act(events)
        items, log = read_items(store), event_log(events.export())
        version = fit(log, items, QUICK).version
    registry = opening.registry(settings)
    draft = CardDraft(kind=KIND, fingerprint=SPACE.fingerprint)
    registry.create(draft, lambda folder: save_version(version, folder), version=VERSION)
    registry.change(lambda pointer: pointer.promoted(VERSION))


def _index(store: VectorStore) -> None:
    store.index_fields({"price": FieldKind.FLOAT, "concept": FieldKind.KEYWORD})
    for row in range(ITEMS):
        concept, seed = CONCEPTS[row % len(CONCEPTS)], row // len(CONCEPTS)
        contents = (
            concept_text(concept, seed),
            *([concept_image(concept, seed)] if seed % 2 else []),
            *([concept_audio(concept, seed)] if seed == 2 else []),
        )
        item = Item(ItemId(f"i{row}"), contents, {"price": float(row), "concept": concept})
        encoded = SPACE.encode(contents)
        vectors = {one.modality: vector for one, vector in zip(contents, encoded, strict=True)}
        store.upsert([point_of(item, vectors)])  # type: ignore[arg-type]


def _act(events: SqlEventStore) -> None:
    random = np.random.default_rng(5)
    did: list[UserEvent] = []
    for user in range(24):
        row, time = int(random.integers(ITEMS)), NOW - timedelta(days=float(random.uniform(5, 60)))
        for _ in range(6):
            event = Event(EventKind.CLICK, ItemId(f"i{row}"), time=time)
            did.append(UserEvent(UserId(f"u{user}"), event))
            row, time = (row + len(CONCEPTS)) % ITEMS, time + timedelta(minutes=float(random.uniform(1, 30)))
    events.record(did)


def requests(count: int = 100) -> list[recommendation_pb2.RecommendRequest]:
    """People with and without a history, with words, pictures, items and filters."""
    made = []
    for row in range(count):
        request = recommendation_pb2.RecommendRequest(limit=10, user_id=f"u{row % 27}" if row % 4 else "")
        concept = CONCEPTS[row % len(CONCEPTS)]
        content = (
            content_pb2.Content(text=f"a small {concept}")
            if row % 2
            else content_pb2.Content(image=concept_png(concept, 7))
        )
        if row % 3 == 0:
            request.parts.append(recommendation_pb2.QueryPart(content=content))
        if row % 5 == 0:
            request.history.add(kind=event_pb2.EVENT_KIND_LIKE, item_id=f"i{row % ITEMS}")
        if row % 7 == 0:
            request.filter.CopyFrom(filter_pb2.Filter(range=filter_pb2.Range(field="price", gte=10.0)))
        made.append(request)
    return made


@contextmanager
def serving(
    settings: Settings, store: VectorStore, events: EventStore, doors: Sequence[Door] = ()
) -> Iterator[Running]:
    """A server over open stores, with the clock of the tests, once its version does all that it can."""
    with closing(open_serving(settings, SPACE, store)) as models:
        models.start()
        with models.use("") as lease:
            assert isinstance(lease.model, LearnedModel)
            until = time.monotonic() + 30
            while not lease.model.ready:
                assert time.monotonic() < until
                time.sleep(0.01)
        options = ServerOptions(address="127.0.0.1:0")
        parts = {"serving": models, "backup": backups(settings, store), "clock": lambda: NOW, "doors": doors}
        with running(SPACE, store, events, options, **parts) as server:  # type: ignore[arg-type]
            yield server


def answers(server: Running, count: int = 100) -> list[list[tuple[str, float]]]:
    """What the recorded requests are answered with: ids and scores, best first."""
    found = [server.recommendations.Recommend(request, timeout=30) for request in requests(count)]
    assert {one.model for one in found} == {VERSION}
    assert {one.tier for one in found} == {"full"}
    return [[(result.item_id, result.score) for result in one.results] for one in found]
