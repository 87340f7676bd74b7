"""Answers: what was recommended or found, and why."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from triveni.client import show
from triveni.client.brief import Brief
from triveni.client.contents import Modality

Row = TypeVar("Row")


class Rows(Sequence[Row]):
    """A list of results, which prints as a table, in a notebook too."""

    __slots__ = ()

    @property
    @abstractmethod
    def _rows(self) -> Sequence[Row]: ...

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return self._rows[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    @abstractmethod
    def _table(self) -> show.Table: ...

    def __str__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()


def _clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02}"


@dataclass(frozen=True, slots=True, repr=False)
class ItemPart(Brief):
    """One of several pictures, sounds or passages of an item."""

    index: int
    """The position of its content among those of the modality, from 0."""
    path: str = ""
    """Of its file below the catalogue's root."""
    text: str = ""
    """The beginning of the passage."""
    start: int = 0
    """Where the passage begins in the item's text, characters."""
    end: int = 0
    passage: int = 0
    """Of a long text or sound, which was split: which of its passages, from 1; else 0."""
    start_seconds: float = 0.0
    """Where a passage of a sound begins."""
    end_seconds: float = 0.0

    def name(self, modality: str) -> str:
        """What people call it: "image 2 (shoes/back.jpg)", "text, passage 3 (“It ends …”)", "audio, 1:20 to 1:30"."""
        said = self.path or (f"“{self.text.strip()}”" if self.text else "")
        number = f" {self.index + 1}" if self.index or not self.passage else ""
        within = f", passage {self.passage}" if self.passage else ""
        if self.end_seconds:
            within = f", {_clock(self.start_seconds)} to {_clock(self.end_seconds)}"
        return f"{modality}{number}{within}" + (f" ({said})" if said else "")


@dataclass(frozen=True, slots=True, repr=False)
class Reason(Brief):
    """Why an item is shown."""

    kind: Literal["query", "event", "popular", "fresh", "learned", "unspecified"]
    label: str
    """In words, such as "like 42"."""
    share: float
    """The part of the score that falls away without it; the shares of a result sum to 1."""
    index: int = -1
    """Which part of the query, or event of the request, from 0."""
    event_id: str = ""
    """Of an event that was recorded before."""
    modality: Modality | None = None
    """The modality of the item that answered most."""
    modality_shares: Mapping[Modality, float] = field(default_factory=dict)
    words_share: float = 0.0
    """The part of it that is due to words which the query and the item share."""
    words: tuple[str, ...] = ()
    """Those words, the longest first, where their part is at least a quarter."""
    part: ItemPart | None = None
    """Where the item has several parts of that modality: which of them answered best."""

    def __str__(self) -> str:
        by = f" by its words: {', '.join(self.words)}" if self.words else ""
        if self.part is not None and self.modality and not by:
            by = f" by {self.part.name(self.modality)}"
        return f"{self.label} {self.share:.0%}{by}" if self.kind in ("query", "event") else self.label


@dataclass(frozen=True, slots=True)
class Result:
    """A recommended or found item."""

    rank: int
    """From 1."""
    id: str
    score: float
    """Higher is better; comparable within one answer."""
    text: str = ""
    """The beginning of the item's text, at most 200 characters."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()
    image_path: str = ""
    """Of the item's picture, below the catalogue's root."""
    audio_path: str = ""
    propensity: float = 1.0
    """The probability with which this place shows this item."""
    relevance: float | None = None
    """How sure it is that the item fits the query, from 0 to 1; None where nothing is asked for."""

    @property
    def title(self) -> str:
        """What the item is called: its payload's title or name, else its text, else its id."""
        return show.title(self.payload, self.text, self.id)

    def __repr__(self) -> str:
        return f"Result({self.rank}, {self.id!r}, {self.title!r}, score={self.score:.3g})"


@dataclass(frozen=True, slots=True, repr=False)
class Skipped(Brief):
    """An event that could not be used."""

    reason: str
    index: int = -1
    """In the request's history, from 0; -1 for one that was recorded before."""
    event_id: str = ""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Answer(Rows[Result]):
    """The results of `recommend` or `search`, best first."""

    results: tuple[Result, ...]
    request_id: str
    """Names this answer in the events that follow from it: `record(..., request=answer)`."""
    model: str = ""
    """The version of the model that answers; "untrained" where there is none."""
    tier: str = ""
    """The stage that decided the order: full, small, retrieval or cold."""
    fingerprint: str = ""
    """Of the space that answered."""
    skipped: tuple[Skipped, ...] = ()
    compared_model: str = ""
    """While a challenger is on trial: the version that others get."""
    media: Path | None = None
    """The folder of the catalogue's media here, for thumbnails."""
    no_match: bool = False
    """Whether nothing fits the query, as sure as `max_false_positive_rate` asks it to be."""
    next_page_token: str = ""
    """Whether the list goes on; `Client.pages` gives what follows."""
    following: Callable[[], Generator[Any, Any, Answer]] | None = None
    """The plan of the next page."""

    @property
    def _rows(self) -> Sequence[Result]:
        return self.results

    def __repr__(self) -> str:
        ids = ", ".join(repr(result.id) for result in self.results[:3]) + (", …" if len(self) > 3 else "")
        return f"Answer({len(self)} results: {ids}; tier={self.tier!r}, request_id={self.request_id!r})"

    def _table(self) -> show.Table:
        rows = [
            (str(one.rank), f"{one.score:.2f}", one.id, one.title, "; ".join(map(str, one.reasons[:2])))
            for one in self.results
        ]
        notes = [f"left out: {one.reason}" for one in self.skipped]
        empty = "nothing fits" if self.no_match else "no results"
        table = show.Table(("#", "score", "id", "title", "why"), rows, notes, right=(0, 1), empty=empty)
        if self.media is None:
            return table
        return table.with_pictures(show.thumbnails(self.media, [one.image_path for one in self.results]))
