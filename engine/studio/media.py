"""The files of pictures and sounds below the catalogue's root, and no others."""

from dataclasses import dataclass
from pathlib import Path

from encoders.types import Modality
from engine.catalog.ingest import Digest, media_of
from engine.core.errors import NotFoundError
from engine.core.types import ItemId
from engine.store.base import VectorStore

TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".svg": "image/svg+xml",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
}
"""The content type by a file's ending; whatever the file holds, it is never called anything else."""

OTHER_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file that an item names."""

    path: Path
    digest: str
    """Of the item's contents, as it was indexed; "" where the store does not say."""

    @property
    def type(self) -> str:
        """Its content type."""
        return TYPES.get(self.path.suffix.lower(), OTHER_TYPE)


class MediaFolder:
    """Finds the files that items name. A path is taken from the store only, never from a request.

    Args:
        store: the catalogue.
        root: the folder that its paths begin in; None if it is not known, and the same if it is not there.
    """

    def __init__(self, store: VectorStore, root: Path | None) -> None:
        self._store = store
        self.root = root.resolve() if root is not None and root.is_dir() else None

    def file(self, item_id: str, modality: Modality) -> MediaFile:
        """The picture or sound of an item.

        Raises:
            NotFoundError: if there is no such item, it has no such file, or the file is not where it should be.
        """
        if self.root is None:
            raise NotFoundError(
                "the server does not know where the catalogue's files are",
                "set studio.media to the folder that its paths begin in, or run `triveni index` again",
            )
        (point,) = self._store.retrieve([ItemId(item_id)], with_vectors=False)
        if point is None:
            raise NotFoundError(f"there is no item {item_id!r}", "see GET /v1/items for those that there are")
        name = media_of(point.payload).get(modality)
        if name is None:
            raise NotFoundError(f"item {item_id!r} has no {modality} file", "only bulk indexing keeps paths of files")
        path = self._plain(name)
        if path is None:
            raise NotFoundError(
                f"the {modality} of item {item_id!r} is no plain file below the catalogue's root",
                "set studio.media to the folder that the catalogue's paths begin in; links are not followed",
            )
        found = Digest.of_payload(point.payload)
        return MediaFile(path, found.contents if found else "")

    def _plain(self, name: str) -> Path | None:
        """The plain file of this name below the root, if it is one: neither `..` nor a link is followed."""
        assert self.root is not None
        path = self.root / name
        try:
            plain = path.resolve() == path and path.is_relative_to(self.root) and path.is_file()
        except (OSError, ValueError):  # a name that is too long, or holds NUL
            plain = False
        return path if plain else None
