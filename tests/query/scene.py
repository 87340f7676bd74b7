"""A small catalogue in a small real space, and an engine over it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from encoders.types import Content, Modality
from engine.core.filters import FieldKind
from engine.core.types import Event, EventKind, ItemId, Json, PolicyOptions, Query, QueryPart, Recommendations
from engine.encode.encoding import DirectEncoder
from engine.query.pipeline import Engine
from engine.query.settings import FuseSettings, PolicySettings, RetrieveSettings
from engine.store.base import Point
from engine.store.memory import MemoryStore
from tests.tiny import CONCEPTS, concept_audio, concept_image, concept_space, concept_text

NOW = datetime(2026, 6, 1, tzinfo=UTC)
T, I, A = Modality.TEXT, Modality.IMAGE, Modality.AUDIO  # noqa: E741
MAKERS = {T: concept_text, I: concept_image, A: concept_audio}
SCHEMA = {
    "concept": FieldKind.KEYWORD,
    "number": FieldKind.INTEGER,
    "popularity": FieldKind.INTEGER,
    "_indexed_at": FieldKind.DATETIME,
}
MIXED = ((T,), (I,), (A,), (T, I), (T, I, A))


@dataclass
class Scene:
    """A store and the ways to fill and ask it."""

    store: MemoryStore
    engine: Engine

    def add(self, concept: str, number: int, modalities: Sequence[Modality], **fields: Json) -> ItemId:
        """Index an item that shows a concept in some modalities."""
        name = ItemId(f"{concept}-{number}")
        contents: list[Content] = [MAKERS[m](concept, number) for m in modalities]
        vectors = dict(zip(modalities, concept_space().encode(contents), strict=True))
        time = (NOW - timedelta(days=100) + timedelta(minutes=self.store.count())).isoformat()
        own: dict[str, Json] = {"concept": concept, "number": number, "_indexed_at": time, **fields}
        self.store.upsert([Point(name, vectors, own)])
        return name

    def ask(self, **query: object) -> Recommendations:
        """Ask the engine; keywords are those of `Query`."""
        return self.engine.recommend(Query(**query))  # type: ignore[arg-type]

    def search(self, content: Content, limit: int = 10, **policy: object) -> Recommendations:
        """Search by one content."""
        options = PolicyOptions(**policy)  # type: ignore[arg-type]
        return self.ask(parts=(QueryPart(content),), limit=limit, policy=options)


def scene(
    concepts: Iterable[str] = CONCEPTS,
    each: int = 20,
    modalities: Sequence[Sequence[Modality]] = MIXED,
    fuse: FuseSettings | None = None,
    policy: PolicySettings | None = None,
    retrieve: RetrieveSettings | None = None,
) -> Scene:
    """A catalogue of `each` items per concept, whose modalities take turns."""
    space = concept_space()
    store = MemoryStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
    store.index_fields(SCHEMA)
    engine = Engine(
        DirectEncoder(space),
        space.manifest,
        store,
        fuse_settings=fuse,
        policy_settings=policy,
        retrieve_settings=retrieve,
        clock=lambda: NOW,
    )
    made = Scene(store, engine)
    for concept in concepts:
        for number in range(each):
            made.add(concept, number, modalities[number % len(modalities)])
    return made


def event(kind: EventKind, item: str, days: float = 0.0, value: float | None = None) -> Event:
    """Something done with an item, so many days ago."""
    return Event(kind, item=ItemId(item), time=NOW - timedelta(days=days), value=value)


def likes(concept: str, numbers: Iterable[int], days: float = 0.0) -> tuple[Event, ...]:
    """Likes of items of a concept."""
    return tuple(event(EventKind.LIKE, f"{concept}-{number}", days) for number in numbers)


def concepts_of(answer: Recommendations) -> list[str]:
    """The concept of each result, in order."""
    return [str(result.payload["concept"]) for result in answer.results]


def names_of(answer: Recommendations) -> list[ItemId]:
    """The item of each result, in order."""
    return [result.item for result in answer.results]
