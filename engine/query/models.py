"""Which model answers whom: what the pipeline asks for, whoever keeps the models (engine/models/serving.py)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from encoders.types import Floats
from engine.core.errors import NotFoundError
from engine.core.types import UNTRAINED, ItemId, Query
from engine.query.reranker import Reranker
from engine.query.resolve import QuerySignals


@dataclass(frozen=True, slots=True)
class ExtraSearch:
    """A search by one of the store's extra vectors."""

    name: str
    vector: Floats
    limit: int


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a model adds to one request."""

    rerankers: tuple[Reranker, ...] = ()
    """Its tiers for this request, the best first."""
    items: Sequence[ItemId] = ()
    """Items that it would consider besides those that searches find, without the excluded; unfiltered."""
    searches: Sequence[ExtraSearch] = ()
    """What it would search for besides."""


@runtime_checkable
class ServedModel(Protocol):
    """A version of the model, loaded. Any number of threads use it at once."""

    @property
    def version(self) -> str:
        """Its name in the registry."""

    @property
    def fingerprint(self) -> str:
        """The space that it is of."""

    def contribute(self, query: Query, signals: QuerySignals, exclude: Sequence[ItemId]) -> Contribution:
        """What it adds to a request.

        Args:
            query: the request.
            signals: its parts and events, with their vectors.
            exclude: items that are not wanted.
        """

    def changed(self, ids: Sequence[ItemId]) -> None:
        """Items were written or deleted: nothing that it remembers of them holds."""

    def close(self) -> None:
        """Let go of what it holds; nobody uses it any more."""


@runtime_checkable
class Watching(Protocol):
    """A version that can tell whether what it is asked is still like what it was trained on."""

    def drift(self) -> Mapping[str, float]:
        """By figure a distance, 0 for none; without figures of which too little is known."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The model that answers one request."""

    model: ServedModel | None = None
    """None where nothing is trained."""
    compared_model: str = ""
    """While a candidate is tried: the version that the other people get, "untrained" for none. Else ""."""


class Models(Protocol):
    """Says which model answers whom."""

    def use(self, user: str, version: str = "") -> AbstractContextManager[Lease]:
        """The model of a user, which is not closed while the context is open.

        Args:
            user: who asks; "" is nobody in particular.
            version: the version that is asked for, `UNTRAINED` for none; "" for the one that the user gets.

        Raises:
            NotFoundError: if there is no such version.
            ModelError: if it cannot be loaded.
        """


class Fixed:
    """One model for everybody; none where nothing is trained."""

    def __init__(self, model: ServedModel | None = None) -> None:
        self._model = model

    @contextmanager
    def use(self, user: str, version: str = "") -> Iterator[Lease]:
        """The model; see `Models.use`."""
        if version == UNTRAINED:
            yield Lease()
            return
        if version and (self._model is None or version != self._model.version):
            have = UNTRAINED if self._model is None else f"{self._model.version} or {UNTRAINED}"
            raise NotFoundError(f"no model version {version[:80]!r}", f"ask for {have}", field="query.model")
        yield Lease(self._model)
