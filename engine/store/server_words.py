"""The words of the items of a collection on a server: a sparse vector, made of their payloads."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from qdrant_client import QdrantClient, models

from engine.core.errors import StoreError
from engine.core.types import Payload
from engine.store.server_collection import ServerCollection
from engine.store.words import FORM, WORDS, words_of

_PAGE = 256
_KEY = "words"
"""Of the collection's metadata: which fields, in which form, and whether all items have theirs."""


class ServerWords:
    """Makes the words of items as they are written, and of those that are there.

    Args:
        collection: the collection.
    """

    def __init__(self, collection: ServerCollection) -> None:
        self._collection = collection
        self._about: Mapping[str, Any] = {}

    def learn(self, metadata: Mapping[str, Any]) -> None:
        """Take note of what the collection says of its words now: another process may have changed it."""
        self._about = metadata.get(_KEY) or {}

    @property
    def _made(self) -> tuple[str, ...]:
        """The fields whose words an item gets when it is written."""
        return tuple(self._about.get("fields", ())) if self._about.get("form") == FORM else ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields whose words all items have."""
        return self._made if self._about.get("whole") else ()

    def put(self, payloads: Iterable[Payload], vectors: Sequence[dict[str, Any]]) -> None:
        """Add to the vectors of points that are about to be written their words."""
        for payload, named in zip(payloads, vectors, strict=True) if self._made else ():
            words = words_of(payload, self._made)
            if words.indices:
                named[WORDS] = models.SparseVector(indices=words.indices, values=words.values)

    def index(self, fields: Sequence[str], written: Callable[[int], None]) -> None:
        """Make the words of all items; see `VectorStore.index_words`."""
        wanted = tuple(dict.fromkeys(fields))
        about = self._collection.call(lambda qdrant: qdrant.get_collection(self._collection.name))
        self.learn(about.config.metadata or {})
        if self.fields == wanted:
            return
        self._add()
        self._note(wanted, whole=False)
        self._fill(written)
        self._note(wanted, whole=True)

    def _note(self, fields: tuple[str, ...], *, whole: bool) -> None:
        about = {"fields": [*fields], "form": FORM, "whole": whole}
        self._collection.call(lambda qdrant: qdrant.update_collection(self._collection.name, metadata={_KEY: about}))

        def shows(qdrant: QdrantClient) -> bool:
            return (qdrant.get_collection(self._collection.name).config.metadata or {}).get(_KEY) == about

        self._collection.settle(shows, f"the words of {self._collection.name}")
        self._about = about

    def _add(self) -> None:
        """Let points have words, where the collection was made without."""

        def there(qdrant: QdrantClient) -> bool:
            return WORDS in (qdrant.get_collection(self._collection.name).config.params.sparse_vectors or {})

        if self._collection.call(there):
            return
        config = models.SparseVectorNameConfig(sparse=models.SparseVectorConfig(modifier=models.Modifier.IDF))
        try:
            self._collection.call(lambda qdrant: qdrant.create_vector_name(self._collection.name, WORDS, config))
        except StoreError as error:
            if not self._collection.call(there):  # else a try whose answer was lost has done it
                raise StoreError(
                    f"words cannot be added ({error})", "it takes qdrant 1.18 or later, or a new collection"
                ) from error
        self._collection.settle(there, f"the words of {self._collection.name}")

    def _fill(self, written: Callable[[int], None]) -> None:
        offset: Any = None
        while True:
            records, offset = self._collection.call(self._page(offset))
            vectors: list[dict[str, Any]] = [{} for _ in records]
            self.put((record.payload or {} for record in records), vectors)
            keys = [str(record.id) for record in records]
            self._write({key: named for key, named in zip(keys, vectors, strict=True) if named})
            self._clear([key for key, named in zip(keys, vectors, strict=True) if not named])
            written(len(records))
            if offset is None:
                return

    def _page(self, offset: Any) -> Callable[[QdrantClient], Any]:
        name = self._collection.name
        return lambda qdrant: qdrant.scroll(name, limit=_PAGE, offset=offset, with_payload=True)

    def _write(self, vectors: Mapping[str, Any]) -> None:
        """Of those points that are there; the server refuses others, who may go at any moment."""
        while vectors:
            changes = [models.PointVectors(id=key, vector=named) for key, named in vectors.items()]
            try:
                self._collection.call(_update(self._collection.name, changes))
                return
            except StoreError:
                left = self._there(vectors)
                if len(left) == len(vectors):
                    raise
                vectors = left

    def _there(self, vectors: Mapping[str, Any]) -> dict[str, Any]:
        name, keys = self._collection.name, [*vectors]
        found = self._collection.read(lambda points: points.get(name, keys, payload=False, vectors=()))
        return {key: vectors[key] for key in found.keys}

    def _clear(self, keys: Sequence[Any]) -> None:
        """Take the words from points that have none in these fields."""
        if keys:
            name = self._collection.name
            self._collection.call(lambda qdrant: qdrant.delete_vectors(name, [WORDS], [*keys], wait=True))


def _update(collection: str, changes: list[models.PointVectors]) -> Callable[[QdrantClient], object]:
    return lambda qdrant: qdrant.update_vectors(collection, changes, wait=True)
