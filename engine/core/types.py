"""What flows through the engine: items, events, queries, candidates, recommendations."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import NewType

import numpy as np
import numpy.typing as npt

from encoders.types import Content, Floats, Modality, Rows
from engine.core.errors import InvalidItemError
from engine.core.filters import Filter

ItemId = NewType("ItemId", str)
UserId = NewType("UserId", str)

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Payload = Mapping[str, Json]
"""What an item carries besides its contents: title, category, price. Keys that begin with `_` are the engine's."""

MAX_ID_BYTES = 512
MAX_PARTS = 64
"""Contents of one modality that an item may have, and passages of its text, whatever the settings say."""

UNTRAINED = "untrained"
"""Said instead of a model version where none answers."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something that can be recommended. It has at least one content; several of a modality are its parts, in order.

    Raises:
        InvalidItemError: if the id is empty or too long, there is no content or more than `MAX_PARTS` of a modality,
            or a payload key begins with `_`.
    """

    id: ItemId
    contents: tuple[Content, ...]
    payload: Payload = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_id(self.id)
        modalities = [content.modality for content in self.contents]
        if not modalities:
            raise InvalidItemError(f"item {self.id!r} has no content", "give it a text, an image or an audio")
        if len(modalities) > MAX_PARTS:
            check_parts(self.contents, MAX_PARTS)
        reserved = [key for key in self.payload if key.startswith("_")]
        if reserved:
            raise InvalidItemError(f"payload key {reserved[0]!r} begins with _", "rename it", field="payload")


def check_parts(contents: Sequence[Content], most: int) -> None:
    """Refuse an item with too many contents of one modality.

    Raises:
        InvalidItemError: if it has more than `most`.
    """
    for modality, count in Counter(content.modality for content in contents).items():
        if count > most:
            problem = f"item has {count} contents of modality {modality}, the limit is {most}"
            raise InvalidItemError(problem, "send fewer, or raise index.max_parts", field="contents")


def check_id(item_id: str) -> None:
    """Refuse an id that cannot name an item.

    Raises:
        InvalidItemError: if it is empty, longer than `MAX_ID_BYTES` in UTF-8, or not valid Unicode.
    """
    try:
        size = len(item_id.encode())
    except UnicodeEncodeError:
        raise InvalidItemError(f"item id {item_id!r} is not valid Unicode", "remove surrogates", field="id") from None
    if size == 0 or "\0" in item_id:
        raise InvalidItemError("item id is empty or holds NUL", "give every item an id of its own", field="id")
    if size > MAX_ID_BYTES:
        raise InvalidItemError(f"item id has {size} bytes, the limit is {MAX_ID_BYTES}", "shorten it", field="id")


class EventKind(StrEnum):
    """What a person did: the kinds that every deployment has; more are declared, see `engine.core.kinds`.

    `SEARCH` and `UPLOAD` carry a content, the others name an item.
    """

    IMPRESSION = "impression"
    VIEW = "view"
    CLICK = "click"
    LIKE = "like"
    PURCHASE = "purchase"
    RATE = "rate"
    SKIP = "skip"
    DISLIKE = "dislike"
    SEARCH = "search"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class Event:
    """Something a person did: with an item, or with a content of their own (a search text, an upload)."""

    kind: str
    """One of `EventKind`, or one that the deployment declares."""
    item: ItemId | None = None
    content: "Content | VectorInput | None" = None
    """A content of their own; in a stored history a picture or sound is its vector."""
    time: datetime | None = None
    """When, with a time zone; None means now."""
    value: float | None = None
    """A rating's stars, a view's seconds, a purchase's price; None if the kind says it all."""
    id: str = ""
    request_id: str = ""
    """The request whose answer the person acted on."""
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VectorInput:
    """A vector of the space, made elsewhere: (d,) float32, with the modality whose cone it lies in."""

    modality: Modality
    values: Floats
    fingerprint: str = ""
    """The space it was made in; "" trusts the caller."""


@dataclass(frozen=True, slots=True)
class QueryPart:
    """One part of an explicit query: a content, an item of the catalogue, or a vector.

    A negative weight asks for less of it.
    """

    source: Content | ItemId | VectorInput
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """What may be shown, and how varied it should be; a request's own, None takes the settings' value."""

    exclude: tuple[ItemId, ...] = ()
    """Items that must not be shown."""
    include_seen: bool = False
    """Whether items of the history may be shown again."""
    diversity: float | None = None
    """0 ranks by score alone, 1 by difference alone (maximal marginal relevance), among the best ones."""
    max_per_value: Mapping[str, int] = field(default_factory=dict)
    """At most so many results with the same value of a payload field."""
    min_score: float | None = None
    """Results that score lower are left out: fewer results rather than noise."""
    max_false_positive_rate: float | None = None
    """Results whose relevance is less than 1 minus this are left out, where there is a query: 0.01, say, lets one in
    a hundred queries that nothing fits find something all the same."""


@dataclass(frozen=True, slots=True)
class Query:
    """A request for recommendations, or for a search if it has parts and no history."""

    parts: tuple[QueryPart, ...] = ()
    history: tuple[Event, ...] = ()
    filter: Filter | None = None
    limit: int = 20
    user: UserId = UserId("")
    modalities: tuple[Modality, ...] = ()
    """The item modalities to search in; empty means all."""
    policy: PolicyOptions = field(default_factory=PolicyOptions)
    context: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    """The version of the model to answer with; `UNTRAINED` for none, "" for the one that the user gets."""
    half_life_days: float | None = None
    """An event this old counts half; None takes the setting's value."""
    shown: frozenset[bytes] = frozenset()
    """The marks of what earlier pages of this list showed, see `mark_of`: the answer is what follows."""

    @property
    def depth(self) -> int:
        """Positions of the list, from its beginning to the end of this page."""
        return len(self.shown) + self.limit


def mark_of(item: ItemId) -> bytes:
    """What a page token knows an item by: 8 bytes, so that two of a list of 1,000 are alike once in 10¹³ lists."""
    return blake2b(item.encode(), digest_size=8).digest()


@dataclass(frozen=True, slots=True)
class Parts:
    """The further parts of some of n items, in columns: p rows with at most one part of each modality.

    The first part of each modality is the item's own vector; the k-th row of an item has the k-th of each after it.
    """

    owners: Rows
    """(p,): the item of each row, ascending."""
    vectors: Mapping[Modality, Floats]
    """Per modality (p, d); a row is zeros where `present` is False."""
    present: Mapping[Modality, npt.NDArray[np.bool_]]
    """Per modality (p,)."""

    def take(self, index: Rows) -> "Parts | None":
        """Those of the items at these rows, with the new rows as owners; None if there are none."""
        starts = np.searchsorted(self.owners, index)
        counts = np.searchsorted(self.owners, index, side="right") - starts
        owners = np.repeat(np.arange(len(index), dtype=np.intp), counts)
        if not len(owners):
            return None
        rows = np.arange(len(owners)) + np.repeat(starts - (counts.cumsum() - counts), counts)
        return Parts(
            owners,
            {modality: matrix[rows] for modality, matrix in self.vectors.items()},
            {modality: mask[rows] for modality, mask in self.present.items()},
        )


@dataclass(frozen=True, slots=True)
class Candidates:
    """Items under consideration, in columns. Stages hand them on with what their scores mean.

    Shapes: n candidates, d dimensions.
    """

    ids: tuple[ItemId, ...]
    scores: Floats
    """(n,), higher is better."""
    vectors: Mapping[Modality, Floats]
    """Per modality (n, d), of its first part; a row is zeros where `present` is False, and is not to be read."""
    present: Mapping[Modality, npt.NDArray[np.bool_]]
    """Per modality (n,): whether the item has that modality."""
    payloads: tuple[Payload, ...]
    parts: Parts | None = None
    """What they have besides; None where no item has more than one part of a modality."""

    def __len__(self) -> int:
        return len(self.ids)

    def scored(self, scores: Floats) -> "Candidates":
        """The same with these scores (n,)."""
        return replace(self, scores=scores)

    def take(self, rows: Sequence[int] | npt.NDArray[np.intp]) -> "Candidates":
        """The candidates at these rows, in this order."""
        index = np.asarray(rows, np.intp)
        listed = index.tolist()
        return Candidates(
            tuple(map(self.ids.__getitem__, listed)),
            self.scores[index],
            {modality: matrix.take(index, axis=0) for modality, matrix in self.vectors.items()},
            {modality: mask[index] for modality, mask in self.present.items()},
            tuple(map(self.payloads.__getitem__, listed)),
            None if self.parts is None else self.parts.take(index),
        )


class Tier(StrEnum):
    """The stage that decided the order of an answer. Rerankers of other distributions may name others."""

    FULL = "full"
    """The whole network of a version."""
    SMALL = "small"
    """The network that was distilled from it."""
    RETRIEVAL = "retrieval"
    """Similarity alone: there is no model, or no time for it."""
    COLD = "cold"
    """Popularity or age: no reranker answered, and nothing is known that the user likes; dislikes may be. Where a
    reranker answers such a request, the tier is its own."""


class ReasonKind(StrEnum):
    """Where a reason points to."""

    QUERY = "query"
    """`Reason.index` is the position in `Query.parts`."""
    EVENT = "event"
    """`Reason.index` is the position in `Query.history`."""
    POPULAR = "popular"
    FRESH = "fresh"
    LEARNED = "learned"
    """What others did speaks for it, through a trained model; nothing of the request alone does."""


NOTABLE = 0.25
"""A modality is named in a reason, wherever people read it, if it gives at least this part of it."""


@dataclass(frozen=True, slots=True)
class FoundPart:
    """One of several pictures, sounds or passages of an item."""

    index: int
    """Its content's position among those of the modality, from 0."""
    path: str = ""
    """Of its file below the catalogue's root, where it was indexed from one."""
    text: str = ""
    """The beginning of the passage, of a text."""
    start: int = 0
    """Where a passage begins in the item's text, characters."""
    stop: int = 0
    """Where it ends."""
    passage: int = 0
    """Which passage of its content, from 1; 0 of a content that was not split."""
    seconds: tuple[float, float] = (0, 0)
    """Where a passage of a sound begins and ends."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an item is shown."""

    kind: ReasonKind
    index: int = -1
    modality: Modality | None = None
    """The modality of the item that answered, the one that contributed most."""
    share: float = 1.0
    """The part of the score that falls away without this query part or event; shares of a result sum to 1."""
    by_modality: tuple[float, ...] = ()
    """How much each modality of the item speaks for it, in the order of `Modality`; they sum to 1. Empty where the
    kind says it all."""
    words_share: float = 0.0
    """The part of it that is due to words that the query and the item share; the rest is due to meanings."""
    words: tuple[str, ...] = ()
    """Those words, the longest first, as they are compared; only where their part is `NOTABLE`."""
    part: int = 0
    """Of an item with several parts of `modality`, which row of them answered, from 0; see `found`."""
    found: "FoundPart | None" = None
    """What that is; None where the item has but one part of the modality."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A result."""

    item: ItemId
    score: float
    rank: int
    """From 1 over all pages of a list."""
    payload: Payload
    reasons: tuple[Reason, ...]
    media: Mapping[Modality, str] = field(default_factory=dict)
    """Paths of its picture and sound below the catalogue's root, where it was indexed from files."""
    text: str = ""
    """The beginning of its text."""
    propensity: float = 1.0
    """The probability with which its place shows it: 1 where nothing is drawn at random."""
    relevance: float | None = None
    """How sure it is that it fits the query, 0 to 1; None without a query. See `engine.query.relevance`."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage that a request went through."""

    name: str
    count: int
    """How many it gave."""
    seconds: float
    """How long it took."""


@dataclass(frozen=True, slots=True)
class Interest:
    """Events of a history that are alike, and are searched for together."""

    weight: float
    """The part of the weight of all liked events."""
    events: tuple[Reason, ...]
    """The events, the heaviest first; their shares sum to 1."""
    nearest: tuple[ItemId, ...]
    """The candidates nearest to its vector, the nearest first."""


@dataclass(frozen=True, slots=True)
class Recommendations:
    """The answer to a query."""

    results: tuple[Recommendation, ...]
    request_id: str
    fingerprint: str
    """The space that answered."""
    model: str
    """The version of the model that the person gets; `UNTRAINED` where there is none."""
    tier: str
    """The stage that decided the order; see `Tier`."""
    skipped: tuple[tuple[int, str], ...] = ()
    """(position in the history, reason) of events that could not be used."""
    compared_model: str = ""
    """While a challenger is tried on a share of people: the model version that the others get. Else ""."""
    stages: Sequence[Stage] = ()
    """What the request went through, in order, the last one in all; only where it was asked for."""
    interests: tuple[Interest, ...] = ()
    """What the history came to, the heaviest first; only where it was asked for."""
    full: bool = False
    """Whether as many were chosen as were asked for: the list may go on."""
    no_match: bool = False
    """Whether nothing fits the query, as sure as `max_false_positive_rate` asks it to be."""
