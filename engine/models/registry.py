"""The versions of the model: a folder for each, and a pointer to the one that serves.

    <path>/<version>/card.json, *.safetensors, *.onnx      a version; it never changes
    <path>/serving.json                                    the pointer, see engine/models/pointer.py
    <path>/deletions.jsonl                                 deleted people, see engine/models/deletions.py
    <path>/.new-*                                          a version that is being written
    <path>/.gone-*                                         one that is being deleted

Any number of processes may read and write at once. kill -9 at any moment leaves a whole version or none.
"""

import fcntl
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from safetensors import SafetensorError

from encoders.networks.weights import sha256_of
from engine.core.errors import DiskError, NotFoundError, SettingsError
from engine.core.files import disk_errors, locked, sync, write_atomically
from engine.core.times import now_utc
from engine.models.card import CARD, VERSION, CardDraft, ModelCard, compare_files, read_card, version_name
from engine.models.deletions import Deletions
from engine.models.errors import CheckpointError, ModelError
from engine.models.pointer import Pointer, pointer_json, read_pointer

POINTER = "serving.json"
SUFFIXES = frozenset({".safetensors", ".onnx", ".json"})
"""Files that a version may hold. None of them can run code when it is read."""

_NEW, _GONE = ".new-", ".gone-"


class Registry:
    """The versions below one folder.

    Args:
        path: the folder; it is made when the first version is.
        clock: tells the time, with a time zone.
    """

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = now_utc) -> None:
        self.path = path
        self._clock = clock
        self.deletions = Deletions(path, clock)
        """Of people whom versions may have learned from."""

    # Versions -----------------------------------------------------------------------------------------------

    def create(self, draft: CardDraft, write: Callable[[Path], None], *, version: str = "") -> ModelCard:
        """Make a version. It is there as a whole once this returns, and not at all before.

        Args:
            draft: what is said of it.
            write: writes its files into the empty folder that it is given.
            version: its name; "" makes one from the time.

        Raises:
            SettingsError: if the name is none, or `write` left a file of another kind, or none.
            CheckpointError: if there is a version of that name.
            DiskError: if its files cannot be written.
        """
        if version and not re.fullmatch(VERSION, version):
            raise SettingsError(f"model version {version!r} is no name", f"use {VERSION}", field="version")

        def make(folder: Path) -> ModelCard:
            write(folder)
            return self._finish(folder, draft, version)

        return self._place(make)

    def put_back(self, version: str, write: Callable[[Path], None]) -> ModelCard:
        """Put a version in its place that a registry had, with the card that it had there.

        Args:
            version: its name.
            write: writes its files and its card into the empty folder that it is given.

        Raises:
            CheckpointError: if its files are not those of the card, or there is a version of that name.
            DiskError: if its files cannot be written.
        """

        def make(folder: Path) -> ModelCard:
            write(folder)
            card = read_card(folder, version)
            compare_files(folder, card)
            for path in (*folder.iterdir(), folder):
                sync(path)
            return card

        return self._place(make)

    def _place(self, make: Callable[[Path], ModelCard]) -> ModelCard:
        """Put what `make` makes of an empty folder in its place: as a whole, or not at all."""
        with self._lock("creating", fcntl.LOCK_SH), disk_errors(self.path):
            folder = self.path / f"{_NEW}{uuid.uuid4().hex}"
            folder.mkdir()
            try:
                card = make(folder)
                target = self.path / card.version
                if target.exists():
                    raise CheckpointError(f"model version {card.version} is there already", "choose another name")
                try:
                    folder.rename(target)
                except OSError as error:  # one of that name came meanwhile
                    raise CheckpointError(
                        f"model version {card.version} cannot be put in place ({error})", "choose another name"
                    ) from None
            except SafetensorError as error:  # it has no OSError inside, only its text
                raise DiskError(f"cannot write {self.path}: {error}", "free space, then try again") from error
            finally:
                shutil.rmtree(folder, ignore_errors=True)  # it is not there any more if all went well
            sync(self.path)
        return card

    def _finish(self, folder: Path, draft: CardDraft, version: str) -> ModelCard:
        names = sorted(path.name for path in folder.iterdir())
        wrong = [name for name in names if Path(name).suffix not in SUFFIXES or not (folder / name).is_file()]
        if wrong or not names or CARD in names:
            raise SettingsError(
                f"model files are {', '.join(names) or 'missing'}",
                f"write {', '.join(sorted(SUFFIXES))}, but no {CARD}",
            )
        files = {name: sha256_of(folder / name) for name in names}
        now = self._clock()
        card = ModelCard(
            **dict(draft),
            version=version or version_name(now),
            created=now,
            files=files,
        )
        (folder / CARD).write_text(card.to_json(), encoding="utf-8")
        for name in (*names, CARD):
            sync(folder / name)
        sync(folder)
        return card

    def _has(self, version: str) -> bool:
        """Whether this names the folder of a version; a link is none, as it may lead anywhere."""
        folder = self.path / version
        return bool(re.fullmatch(VERSION, version)) and folder.is_dir() and not folder.is_symlink()

    def versions(self) -> list[str]:
        """The names of all versions, also of those whose card is broken."""
        if not self.path.is_dir():
            return []
        return sorted(path.name for path in self.path.iterdir() if self._has(path.name))

    def scan(self) -> tuple[list[ModelCard], list[CheckpointError]]:
        """The cards of all versions, newest first, and what is wrong with those that have none."""
        cards, wrong = [], []
        for version in self.versions():
            try:
                cards.append(read_card(self.path / version))
            except CheckpointError as error:
                wrong.append(error)
        return sorted(cards, key=lambda card: card.order, reverse=True), wrong

    def card(self, version: str) -> ModelCard:
        """The card of a version.

        Raises:
            NotFoundError: if there is no such version.
            CheckpointError: if its card cannot be read.
        """
        if not self._has(version):
            raise NotFoundError(
                f"no model version {version[:80]!r}", "ListModels and `triveni model list` name them", field="version"
            )
        return read_card(self.path / version)

    def verified(self, version: str, fingerprint: str | None = None) -> tuple[Path, ModelCard]:
        """The folder of a version and its card, after every file was compared with its checksum.

        Args:
            version: its name.
            fingerprint: the space that it has to be of; None takes any.

        Raises:
            NotFoundError: if there is no such version.
            CheckpointError: if it is corrupt, of a newer format or of another space.
        """
        card, folder = self.card(version), self.path / version
        if fingerprint is not None and card.fingerprint != fingerprint:
            raise CheckpointError(
                f"model version {version} is of space {card.fingerprint}, this engine's space is {fingerprint}",
                "train a version in this space, or serve with that one",
            )
        compare_files(folder, card)
        return folder, card

    def retire(self, version: str) -> None:
        """Delete a version.

        Raises:
            NotFoundError: if there is no such version.
            ModelError: if it serves, or is tried.
        """
        with self._changing() as pointer:
            after = pointer.without(version)
            folder = self.path / version
            if version not in self.versions():
                self.card(version)  # says that it is not there
            if after != pointer:
                self._write(after)
            gone = self.path / f"{_GONE}{uuid.uuid4().hex}"
            folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def prune(self, keep: int) -> list[str]:
        """Retire the oldest versions but `keep`, never one that serves, is tried, or served last before.

        Returns:
            The versions that were retired.
        """
        pointer = self.pointer()
        held = {pointer.serving, pointer.candidate, *pointer.previous[-1:]}
        old = [card.version for card in self.scan()[0] if card.version not in held][keep:]
        gone = []
        for version in old:
            with suppress(ModelError, NotFoundError):  # it began to serve meanwhile, or another process was faster
                self.retire(version)
                gone.append(version)
        return gone

    def clean(self) -> int:
        """Remove what was left by processes that died; nothing while a version is being written. How much it was."""
        if not self.path.is_dir():
            return 0
        removed = 0
        with suppress(BlockingIOError), self._lock("creating", fcntl.LOCK_EX | fcntl.LOCK_NB):
            for folder in (*self.path.glob(f"{_NEW}*"), *self.path.glob(f"{_GONE}*")):
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    # The pointer --------------------------------------------------------------------------------------------

    def pointer(self) -> Pointer:
        """What serves now.

        Raises:
            CheckpointError: if the file is broken.
        """
        path = self.path / POINTER
        try:
            return read_pointer(path.read_text(encoding="utf-8"), path)
        except FileNotFoundError:
            return Pointer()
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path} cannot be read ({error})", "make it readable, or remove it") from None

    def stamp(self) -> tuple[int, int, int]:
        """Changes whenever the pointer does; costs one look at the file system."""
        try:
            found = (self.path / POINTER).stat()
        except OSError:
            return 0, 0, 0
        return found.st_ino, found.st_mtime_ns, found.st_size

    def change(self, step: Callable[[Pointer], Pointer]) -> tuple[Pointer, Pointer]:
        """Change the pointer, atomically and durably, also between processes.

        Args:
            step: makes the next state from the present one.

        Returns:
            The states before and after.

        Raises:
            NotFoundError: if the version that is to serve or to be tried is not there.
            DiskError: if the file cannot be written; the present state stays.
        """
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with self._changing() as before:
            after = step(before)
            for new, old in ((after.serving, before.serving), (after.candidate, before.candidate)):
                if new and new != old:
                    self.card(new)
            if after != before:
                self._write(after)
        return before, after

    def try_out(self, version: str, share: float) -> Pointer:
        """Let a share of people get a version, after its files were compared with their checksums. The state after.

        Raises:
            NotFoundError: if there is no such version.
            CheckpointError: if it is corrupt.
            ModelError: if it serves already.
            SettingsError: if the share is none.
            DiskError: if the file cannot be written.
        """
        self.verified(version)
        return self.change(lambda pointer: pointer.tried(version, share))[1]

    def _write(self, pointer: Pointer) -> None:
        write_atomically(self.path / POINTER, pointer_json(pointer))

    @contextmanager
    def _changing(self) -> Iterator[Pointer]:
        if not self.path.is_dir():
            yield Pointer()
            return
        with self._lock("pointer", fcntl.LOCK_EX):
            yield self.pointer()

    @contextmanager
    def _lock(self, name: str, mode: int) -> Iterator[None]:
        """Held by this process until it ends, however it ends."""
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path / f".{name}.lock", mode):
            yield
