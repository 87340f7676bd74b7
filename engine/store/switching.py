"""Lets the collection of another space serve, while nobody can write into the one before."""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from encoders.errors import TriveniError
from encoders.types import Modality
from engine.core.errors import StoreInUseError
from engine.core.types import ItemId
from engine.store.base import VectorStore
from engine.store.collections import Collections

_PAGE = 1024
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Switched:
    """What changed."""

    before: str | None
    """The fingerprint that served before."""
    left: int | None = 0
    """Items that the collection before has, and the one that serves now has not; None if it cannot be read."""
    examples: tuple[ItemId, ...] = ()
    """Some of them."""


def switch(
    held: Collections, name: str, *, fingerprint: str, dimension: int, modalities: Sequence[Modality]
) -> Switched:
    """Let the collection of a space serve under a name from now on; see `open_store` for the arguments.

    Both collections are open meanwhile, so of embedded ones no server has either: what it was sent and acknowledged
    would else lie where nobody looks any more. A Qdrant server does not tell who writes: see `StillServes`.

    Raises:
        NotFoundError: if the space has no collection of that name.
        StoreInUseError: if another process has one of the two open; the one before serves on.
    """
    before = held.current(name)
    if before == fingerprint or all((one.name, one.fingerprint) != (name, fingerprint) for one in held.all()):
        held.switch(name, fingerprint)  # which says that there is none
        return Switched(before)
    with ExitStack() as opened:
        try:
            old = held.open_current(name)
        except StoreInUseError as error:
            raise StoreInUseError(
                f"not switched yet, as what the server is sent goes into the collection that serves: {error.problem}",
                "stop that server, `triveni space switch`, and start it again",
            ) from None
        except TriveniError:  # damaged, or written by another version: the way out of that is this
            held.switch(name, fingerprint)
            return Switched(before, None)
        if old is not None:
            opened.enter_context(closing(old))
        new = held.open(name, fingerprint=fingerprint, dimension=dimension, modalities=modalities)
        opened.enter_context(closing(new))
        held.switch(name, fingerprint)  # first: what a server has acknowledged until then is counted
        left, examples = (0, ()) if old is None else _missing(old, new)
    return Switched(before, left, examples)


def _missing(old: VectorStore, new: VectorStore) -> tuple[int, tuple[ItemId, ...]]:
    """How many items of one store another has not, and the first of them."""
    first: list[ItemId] = []
    count, cursor = 0, None
    while True:
        page = old.scroll(cursor=cursor, limit=_PAGE, with_payload=False)
        ids = [point.id for point in page.points]
        found = new.retrieve(ids, with_vectors=False, with_payload=False, once=True)
        missing = [item for item, one in zip(ids, found, strict=True) if one is None]
        count += len(missing)
        first += missing[: _EXAMPLES - len(first)]
        cursor = page.next_cursor
        if cursor is None:
            return count, tuple(first)
