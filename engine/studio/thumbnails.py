"""Small copies of pictures, made once and kept on disk within a number of bytes."""

import os
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from PIL import Image as Pillow

from encoders.decoding.decode import decoding_image
from encoders.decoding.limits import DecodeLimits
from encoders.types import Image
from engine.core.files import disk_errors
from engine.studio.media import MediaFile

SIDES = (384, 1024)
"""The longer sides that there are, in pixels: of a card, and of the details."""
TYPE = "image/webp"

_QUALITY = 82
_RECIPE = 1
"""Changes when thumbnails are made in another way, so that old ones are not shown."""


class Thumbnails:
    """Makes thumbnails, and remembers them on disk; any number of threads may ask.

    The file's name is a digest of what the thumbnail shows: of the item's contents as they were indexed, and of the
    file's path, size and time of change. So one that is out of date is never found again, and goes as the oldest.

    Args:
        folder: where they are kept; made if missing.
        max_bytes: that all of them may take; when they take more, those that were asked for longest ago go.
        limits: of decoding; those of the encoders, so that all share one budget of memory.
    """

    def __init__(self, folder: Path, max_bytes: int, limits: DecodeLimits) -> None:
        self._folder, self._max_bytes, self._limits = folder, max_bytes, limits
        self._lock = threading.Lock()
        self._being_made: dict[str, threading.Lock] = {}
        self._sizes: OrderedDict[str, int] = OrderedDict()
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            states = sorted(((path, path.stat()) for path in folder.glob("*.webp")), key=lambda one: one[1].st_mtime)
            self._sizes.update((path.name, state.st_size) for path, state in states)
        self._bytes = sum(self._sizes.values())

    def path(self, file: MediaFile, side: int) -> Path:
        """The thumbnail of a picture, which is made if it is not there.

        Args:
            file: the picture.
            side: the longer side in pixels, one of `SIDES`; a smaller picture keeps its size.

        Raises:
            ContentError: if the picture cannot be read.
            LimitError: if it is over a limit, or takes too long to decode.
            DiskError: if the thumbnail cannot be written.
        """
        name = self.name(file, side)
        path = self._folder / name
        with self._alone(name):
            if not self._touch(name, path):
                size = self._make(file.path, side, path)
                self._enter(name, size)
        return path

    def read(self, file: MediaFile, side: int) -> tuple[str, bytes]:
        """The name of a thumbnail's file, and what it holds; see `path`.

        Others that are made at the same time may have pushed it out before it is read; then it is made again.
        """
        while True:
            path = self.path(file, side)
            with suppress(FileNotFoundError):
                return path.stem, path.read_bytes()

    @staticmethod
    def name(file: MediaFile, side: int) -> str:
        """The name of a thumbnail's file."""
        state = file.path.stat()
        shown = f"{_RECIPE}\0{side}\0{file.digest}\0{file.path}\0{state.st_size}\0{state.st_mtime_ns}"
        return blake2b(shown.encode(errors="surrogateescape"), digest_size=16).hexdigest() + ".webp"

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Let one thread at a time make a thumbnail; the others wait, and find it."""
        with self._lock:
            making = self._being_made.setdefault(name, threading.Lock())
        try:
            with making:
                yield
        finally:
            with self._lock:
                self._being_made.pop(name, None)

    def _touch(self, name: str, path: Path) -> bool:
        """Whether a thumbnail is there; it is the newest then."""
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        with self._lock:
            if name in self._sizes:
                self._sizes.move_to_end(name)
        return True

    def _make(self, source: Path, side: int, path: Path) -> int:
        """Decode a picture, make it smaller, write it; gives its bytes."""
        with decoding_image(Image(source), self._limits, side) as picture:
            picture.thumbnail((side, side), Pillow.Resampling.LANCZOS, reducing_gap=2)
            temporary = path.with_name(f".{uuid.uuid4().hex}")
            with disk_errors(path):
                try:
                    picture.save(temporary, "WEBP", quality=_QUALITY)
                    size = temporary.stat().st_size
                    temporary.replace(path)
                finally:
                    temporary.unlink(missing_ok=True)
        return size

    def _enter(self, name: str, size: int) -> None:
        with self._lock:
            self._bytes += size - self._sizes.pop(name, 0)
            self._sizes[name] = size
            while self._bytes > self._max_bytes and len(self._sizes) > 1:
                oldest, freed = self._sizes.popitem(last=False)
                self._bytes -= freed
                (self._folder / oldest).unlink(missing_ok=True)
