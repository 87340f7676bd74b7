"""Deletes what left the catalogue."""

from engine.store.base import VectorStore
from indexers.errors import PruneError
from indexers.seen import IdSet

_PAGE = 1000
_LARGEST_SHARE = 0.5


def prune(store: VectorStore, seen: IdSet, *, nameless: int, force: bool = False, dry_run: bool = False) -> int:
    """Delete the points whose ids a catalogue does not name, and say how many.

    Rows that failed keep their points: they are still in the catalogue.

    Args:
        store: the store.
        seen: the ids of all rows of the catalogue, read to its end.
        nameless: rows that failed before their id was known.
        force: delete in spite of that, and however many.
        dry_run: only count.

    Raises:
        PruneError: if a row's id is unknown, or over half of the store would go. Nothing is deleted.
    """
    if nameless and not force:
        problem = f"pruning stopped: {nameless} rows have no readable id, so their items look as if they had left"
        raise PruneError(problem, "correct the rows named in the dead letters, or use --force")
    with IdSet() as gone:
        collect_extra(store, seen, gone)
        have = store.count()
        if len(gone) > have * _LARGEST_SHARE and not force:
            problem = f"pruning stopped: it would delete {len(gone)} of {have} items"
            raise PruneError(problem, "check that this is the right catalogue and store, or use --force")
        if dry_run:
            return len(gone)
        return sum(store.delete(page) for page in gone.pages(_PAGE))


def collect_extra(store: VectorStore, seen: IdSet, extra: IdSet) -> None:
    """Put the ids of the store that are not in `seen` into `extra`."""
    cursor: str | None = None
    while True:
        page = store.scroll(cursor=cursor, limit=_PAGE)
        for item_id in seen.missing(point.id for point in page.points):
            extra.add(item_id)
        cursor = page.next_cursor
        if cursor is None:
            return
