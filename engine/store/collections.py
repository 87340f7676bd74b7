"""Which collections there are, and which of them serves.

The items of a space live in a collection of their own, `<name>-<first 12 digits of the fingerprint>`; `<name>` is
an alias of the one that serves. So a new space is indexed beside the old one, and switched to in one step.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from encoders.errors import SpaceError
from encoders.types import Modality
from engine.core.errors import NotFoundError, StoreError
from engine.core.files import write_atomically
from engine.store.base import VectorStore
from engine.store.edge_folder import Building, Description, server_of
from engine.store.edge_space import RESERVE, DiskRoom
from engine.store.layout import Layout
from engine.store.quantization import Quantization
from engine.store.server_alias import StillServes
from engine.store.settings import DEFAULTS, StoreSettings

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

DIGITS = 12

BACKGROUND = 20_000
"""Written points after which an embedded collection builds its search graph by itself."""
CACHE = DEFAULTS.cache_mb << 20
"""Bytes of a server's vectors that are kept in memory."""

_MEDIA_ROOT = "media-root"
"""The file, or the key of a collection's metadata, that says where the paths of pictures and sounds begin."""


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection."""

    name: str
    """The alias that it belongs to."""
    fingerprint: str
    serving: bool


class Collections(Protocol):
    """The collections of one backend."""

    def all(self) -> list[CollectionInfo]:
        """All collections, by name and fingerprint."""

    def current(self, name: str) -> str | None:
        """The fingerprint of the space that serves under a name; None if there is none yet."""

    def switch(self, name: str, fingerprint: str) -> None:
        """Let the collection of a space serve under a name from now on, atomically.

        Raises:
            NotFoundError: if the space has no collection of that name.
        """

    def media_root(self, name: str) -> Path | None:
        """The folder that the paths of pictures and sounds begin in, of the collection that serves under a name.

        None if there is no such collection, or no bulk run has noted one.
        """

    def note_media_root(self, name: str, fingerprint: str, root: Path | None) -> None:
        """Note where the paths of the collection of a space begin, None if in no folder; the last note counts."""

    def open(self, name: str, *, fingerprint: str, dimension: int, modalities: Sequence[Modality]) -> VectorStore:
        """Open the collection of a space, which is made if missing; the alias stays."""

    def open_current(self, name: str) -> VectorStore | None:
        """Open the collection that serves under a name, whatever its space; None if there is none yet."""

    def close(self) -> None:
        """Let go of the connection, if there is one; stores that were opened stay open."""


class EdgeCollections:
    """Folders below one folder; the alias is a file.

    Args:
        root: the folder.
        optimize_after: see `EdgeStore`.
        reserve: bytes of the disk that stay free.
        quantization: see `EdgeStore`.
        build_memory: see `EdgeStore`.
    """

    def __init__(
        self,
        root: Path,
        *,
        optimize_after: int = BACKGROUND,
        reserve: int = RESERVE,
        quantization: Quantization = DEFAULTS.quantization,
        build_memory: int = 0,
    ) -> None:
        self._root = root
        self._optimize_after = optimize_after
        self._reserve = reserve
        self._quantization = quantization
        self._build_memory = build_memory

    def all(self) -> list[CollectionInfo]:
        """All collections, by name and fingerprint."""
        found = []
        for path in sorted(self._root.glob("*/store.json")):
            about = Description.read(path.parent)
            if about is not None:
                name = path.parent.name[: -DIGITS - 1]
                found.append(CollectionInfo(name, about.fingerprint, self.current(name) == about.fingerprint))
        return found

    def current(self, name: str) -> str | None:
        """The fingerprint of the space that serves under a name; None if there is none yet."""
        path = self._alias(name)
        try:
            return str(json.loads(path.read_text())["fingerprint"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} cannot be read ({error})", "remove it, and switch again") from error

    def switch(self, name: str, fingerprint: str) -> None:
        """Let the collection of a space serve under a name from now on; see `Collections.switch`."""
        if not (self._folder(name, fingerprint) / "store.json").is_file():
            raise _missing(name, fingerprint)
        write_atomically(self._alias(name), json.dumps({"fingerprint": fingerprint}))

    def media_root(self, name: str) -> Path | None:
        """Where the paths of the collection that serves under a name begin; see `Collections.media_root`."""
        fingerprint = self.current(name)
        path = self._folder(name, fingerprint or "") / _MEDIA_ROOT
        root = path.read_text(encoding="utf-8") if fingerprint and path.is_file() else ""
        return Path(root) if root else None

    def note_media_root(self, name: str, fingerprint: str, root: Path | None) -> None:
        """Note where the paths of the collection of a space begin, in a file beside its own."""
        write_atomically(self._folder(name, fingerprint) / _MEDIA_ROOT, str(root or ""))

    def open(self, name: str, *, fingerprint: str, dimension: int, modalities: Sequence[Modality]) -> VectorStore:
        """Open the collection of a space, which is made if missing; see `EdgeStore` for errors."""
        from engine.store.edge import EdgeStore

        folder = self._folder(name, fingerprint)
        return EdgeStore(
            folder,
            fingerprint=fingerprint,
            dimension=dimension,
            modalities=modalities,
            quantization=self._quantization,
            build_memory=self._build_memory,
            optimize_after=self._optimize_after,
            room=DiskRoom(folder, self._reserve),
        )

    def server(self, name: str) -> str:
        """The address of the server that has the collection open which serves under a name; "" if nobody has.

        Raises:
            StoreInUseError: if another process has it open, and tells no address.
        """
        fingerprint = self.current(name)
        return "" if fingerprint is None else server_of(self._folder(name, fingerprint))

    def building(self, name: str) -> Building | None:
        """How far the search graphs of the collection that serves under a name are, if somebody builds them now."""
        return Building.read(self._folder(name, self.current(name) or ""))

    def about(self, name: str) -> Description | None:
        """What the collection is that serves under a name, whoever has it open; None if there is none yet."""
        return Description.read(self._folder(name, self.current(name) or ""))

    def open_current(self, name: str) -> VectorStore | None:
        """Open the collection that serves under a name; see `Collections.open_current`."""
        fingerprint = self.current(name)
        about = None if fingerprint is None else Description.read(self._folder(name, fingerprint))
        if about is None:
            return None
        return self.open(name, fingerprint=about.fingerprint, dimension=about.dimension, modalities=about.modalities)

    def close(self) -> None:
        """Nothing is held open."""

    def _folder(self, name: str, fingerprint: str) -> Path:
        return self._root / _collection(name, fingerprint)

    def _alias(self, name: str) -> Path:
        return self._root / f"{name}.alias.json"


class ServerCollections:
    """Collections and aliases of a Qdrant server.

    Args:
        url: see `engine.store.server_client.connect`.
        api_key: "" for none.
        timeout_seconds: of each call.
        layout: how new collections lie on a cluster.
        quantization: see `ServerStore`.
        cache_bytes: of vectors that each store keeps in memory.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str = "",
        timeout_seconds: float = DEFAULTS.timeout_seconds,
        layout: Layout | None = None,
        quantization: Quantization = DEFAULTS.quantization,
        cache_bytes: int = CACHE,
    ) -> None:
        from engine.store.server_client import connect

        self._layout = layout or Layout()
        self._quantization = quantization
        self._cache_bytes = cache_bytes
        self._client = connect(url, api_key=api_key, timeout_seconds=timeout_seconds)

    def all(self) -> list[CollectionInfo]:
        """All collections, by name and fingerprint."""
        from engine.store.server_client import metadata

        aliases = self._aliases()
        found = []
        for collection in sorted(self._taken()):
            name = collection[: -DIGITS - 1]
            try:
                fingerprint = str(metadata(self._client, collection)["fingerprint"])
            except StoreError:
                continue  # another program's
            if collection == _collection(name, fingerprint):
                found.append(CollectionInfo(name, fingerprint, aliases.get(name) == collection))
        return found

    def current(self, name: str) -> str | None:
        """The fingerprint of the space that serves under a name; None if there is none yet."""
        from engine.store.server_client import metadata

        collection = self._aliases().get(name)
        return None if collection is None else str(metadata(self._client, collection)["fingerprint"])

    def switch(self, name: str, fingerprint: str) -> None:
        """Let the collection of a space serve under a name from now on; see `Collections.switch`."""
        from qdrant_client import models

        collection = _collection(name, fingerprint)
        if not self._client.call(lambda qdrant: qdrant.collection_exists(collection)):
            raise _missing(name, fingerprint)
        self._check_free(name)
        changes: list[Any] = []
        if name in self._aliases():
            changes.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=name)))
        alias = models.CreateAlias(collection_name=collection, alias_name=name)
        changes.append(models.CreateAliasOperation(create_alias=alias))
        self._client.call(lambda qdrant: qdrant.update_collection_aliases(changes))
        self._client.settle(lambda qdrant: _aliases(qdrant).get(name) == collection, f"alias {name}")

    def media_root(self, name: str) -> Path | None:
        """Where the paths of the collection that serves under a name begin; see `Collections.media_root`."""
        from engine.store.server_client import metadata

        collection = self._aliases().get(name)
        root = None if collection is None else metadata(self._client, collection).get(_MEDIA_ROOT)
        return Path(str(root)) if root else None

    def note_media_root(self, name: str, fingerprint: str, root: Path | None) -> None:
        """Note where the paths of the collection of a space begin, in its metadata; others there stay."""
        collection, about = _collection(name, fingerprint), {_MEDIA_ROOT: str(root or "")}
        self._client.call(lambda qdrant: qdrant.update_collection(collection, metadata=about))

    def open(self, name: str, *, fingerprint: str, dimension: int, modalities: Sequence[Modality]) -> VectorStore:
        """Open the collection of a space, which is made if missing; see `ServerStore` for errors."""
        from engine.store.server import ServerStore

        self._check_free(name)
        collection = _collection(name, fingerprint)
        return ServerStore(
            self._client,
            collection,
            fingerprint=fingerprint,
            dimension=dimension,
            modalities=modalities,
            layout=self._layout,
            quantization=self._quantization,
            cache_bytes=self._cache_bytes,
            still_serves=StillServes(lambda: self._aliases().get(name), collection),
        )

    def open_current(self, name: str) -> VectorStore | None:
        """Open the collection that serves under a name; see `Collections.open_current`."""
        from engine.store.server_client import metadata

        collection = self._aliases().get(name)
        if collection is None:
            return None
        about = metadata(self._client, collection)
        vectors = self._client.call(lambda qdrant: qdrant.get_collection(collection)).config.params.vectors
        modalities = tuple(one for one in Modality if one.value in (vectors or {}))
        return self.open(name, fingerprint=about["fingerprint"], dimension=about["dimension"], modalities=modalities)

    def close(self) -> None:
        """Let go of the connection; stores that were opened stay open."""
        self._client.close()

    def _aliases(self) -> dict[str, str]:
        return self._client.call(_aliases)

    def _taken(self) -> set[str]:
        """The names of all collections, aliases not."""
        return {one.name for one in self._client.call(lambda qdrant: qdrant.get_collections()).collections}

    def _check_free(self, name: str) -> None:
        """Refuse an alias that is the name of a collection."""
        if name in self._taken():
            raise StoreError(
                f"qdrant at {self._client.where} has a collection named {name}, which is to be the alias of ours",
                "set store.collection to another name, or delete that collection if nothing needs it",
            )


def _aliases(qdrant: "QdrantClient") -> dict[str, str]:
    return {alias.alias_name: alias.collection_name for alias in qdrant.get_aliases().aliases}


def collections(store: StoreSettings, *, optimize_after: int = BACKGROUND) -> Collections:
    """The collections of the store that the settings name; see `EdgeStore` for `optimize_after`."""
    if store.backend == "edge":
        return EdgeCollections(
            store.path,
            optimize_after=optimize_after,
            reserve=store.reserve_mb << 20,
            quantization=store.quantization,
            build_memory=store.build_memory_mb << 20,
        )
    return ServerCollections(
        store.url,
        api_key=store.api_key,
        timeout_seconds=store.timeout_seconds,
        layout=Layout(store.shards, store.replicas, store.write_consistency),
        quantization=store.quantization,
        cache_bytes=store.cache_mb << 20,
    )


def open_store(
    held: Collections,
    name: str,
    *,
    fingerprint: str,
    dimension: int,
    modalities: Sequence[Modality],
    beside: bool = False,
) -> VectorStore:
    """Open the collection that serves under a name; the first one that is made there serves.

    Args:
        held: the collections of a backend.
        name: the alias.
        fingerprint: of the running space.
        dimension: of its vectors.
        modalities: that it encodes.
        beside: open the running space's collection even if another serves: to index it before `switch`.

    Raises:
        SpaceError: if a collection of another space serves, and not `beside`.
        StoreInUseError: if another process has the embedded store open.
        StoreError: if the store cannot be read or reached.
    """
    current = held.current(name)
    if current is not None and current != fingerprint and not beside:
        raise SpaceError(
            f"collection {name} serves space {current[:DIGITS]}…, but space {fingerprint[:DIGITS]}… is running",
            "set space.name to the one that it was indexed with, or index again beside it: "
            "`triveni index CATALOG --switch`",
        )
    store = held.open(name, fingerprint=fingerprint, dimension=dimension, modalities=modalities)
    if current is None:
        held.switch(name, fingerprint)
    elif held.current(name) != current:
        store.close()
        raise StoreError(f"collection {name} was switched to another space meanwhile", "try again")
    return store


def _collection(name: str, fingerprint: str) -> str:
    return f"{name}-{fingerprint[:DIGITS]}"


def _missing(name: str, fingerprint: str) -> NotFoundError:
    return NotFoundError(
        f"there is no collection {_collection(name, fingerprint)}", "index the catalogue with that space first"
    )
