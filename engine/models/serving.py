"""What serves now: the models that are loaded, who gets which, and how one takes the place of another.

A request keeps the model that it began with. A swap is one assignment; a model that nobody is to get any more is
closed when the last request that uses it has ended. The version that served last before stays loaded beside, so that
going back takes no loading.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from encoders.errors import TriveniError
from engine.core.caching import Uses, caches_of
from engine.core.types import UNTRAINED, ItemId
from engine.models.errors import CheckpointError, ModelError
from engine.models.loaded import LoadedModels, Loader
from engine.models.pointer import NO_VERSION, Pointer
from engine.models.registry import Registry
from engine.query.models import Lease, Watching
from engine.query.refcounted import RefCounted

GRACE_SECONDS = 60.0
POLL_SECONDS = 0.25
"""How often the pointer is looked at, so that a change by another process is seen within a second."""


@dataclass(frozen=True, slots=True)
class _State:
    """Who gets what. It is replaced as a whole."""

    pointer: Pointer
    serving: RefCounted | None = None
    candidate: RefCounted | None = None

    def choose(self, user: str) -> tuple[RefCounted | None, str]:
        """The model of a person, and the name of the version that others get."""
        if self.candidate is None:
            return self.serving, ""
        if self.pointer.version_of(user) == self.pointer.candidate:
            return self.candidate, _name(self.serving)
        return self.serving, _name(self.candidate)


class Serving:
    """Loads what the registry's pointer names, and follows it.

    Args:
        registry: the versions.
        loaders: by the kind that a card says, what loads it.
        fingerprint: the space that versions have to be of.
        standby: keep the version that served last before loaded; going back loads it first otherwise.
        on_request: so many other versions are loaded because a request asks for them; one more takes the place of the
            one that was loaded first.
        poll_seconds: how often the pointer is looked at.
        kept: is told which versions are still of use, `GRACE_SECONDS` after a change, so that what was stored for
            others can be removed when no request and no other server needs it any more.
    """

    def __init__(
        self,
        registry: Registry,
        loaders: Mapping[str, Loader],
        fingerprint: str,
        *,
        standby: bool = True,
        on_request: int = 1,
        poll_seconds: float = POLL_SECONDS,
        kept: Callable[[set[str]], None] = lambda _: None,
    ) -> None:
        self.registry = registry
        self._standby, self._on_request, self._poll, self._kept = standby, on_request, poll_seconds, kept
        self._cleaned_at = float("inf")
        self._log = structlog.get_logger("triveni.models")
        self._changing = threading.RLock()
        self._loaded = LoadedModels(registry, loaders, fingerprint)
        self._asked: tuple[str, ...] = ()
        """Versions that requests asked for, the one that was loaded first at the front."""
        self._stamp: tuple[int, int, int] | None = None
        self._no_standby = ""
        """A version that could not be loaded to stand by."""
        self._state = _State(Pointer())
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="models", daemon=True)

    def start(self) -> None:
        """Load what serves, and follow the pointer from now on. A version that cannot be loaded is logged."""
        removed = self.registry.clean()
        if removed:
            self._log.warning("unfinished model versions removed", count=removed)
        self.refresh()
        self._thread.start()

    def close(self) -> None:
        """Stop following; models are closed when no request uses them. Call it once."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._changing:
            self._state, self._asked = _State(Pointer()), ()
            self._loaded.drop(set())

    @property
    def version(self) -> str:
        """The version that serves; "" for none."""
        held = self._state.serving
        return held.model.version if held else NO_VERSION

    @property
    def candidate(self) -> str:
        """The challenger: the version that is tried; "" for none."""
        held = self._state.candidate
        return held.model.version if held else ""

    def drift(self) -> Mapping[str, float]:
        """How far what is asked of the version that serves is from its training; see `Watching.drift`."""
        held = self._state.serving
        return held.model.drift() if held and isinstance(held.model, Watching) else {}

    def caches(self) -> Mapping[str, Uses]:
        """Those of the version that serves; see `Caching`."""
        held = self._state.serving
        return caches_of(held.model) if held else {}

    @contextmanager
    def use(self, user: str, version: str = "") -> Iterator[Lease]:
        """The model of a user; see `Models.use`. A version that is asked for is loaded if there is room for it."""
        while True:
            held, compared = self._asked_for(version) if version else self._state.choose(user)
            if held is None or held.enter():  # else it was replaced this very moment
                break
        try:
            yield Lease(held.model if held else None, compared)
        finally:
            if held:
                held.leave()

    def _asked_for(self, version: str) -> tuple[RefCounted | None, str]:
        """The model of a version that a request asks for.

        Raises:
            NotFoundError: if there is no such version.
            ModelError: if it is not loaded and cannot be, or may not.
        """
        if version == UNTRAINED:
            return None, ""
        try:
            self.registry.card(version)  # what was deleted may be loaded still
            held = self._loaded.get(version) or self._load_on_request(version)
        except TriveniError as error:
            error.field = "query.model"
            raise
        return held, ""

    def _load_on_request(self, version: str) -> RefCounted:
        if not self._on_request:
            raise ModelError(
                f"model version {version} is not loaded, and none is loaded because a request asks for it",
                "raise models.on_request, or try it on a share of users: triveni model candidate",
            )
        with self._changing:
            held = self._loaded.load(version)
            if version not in self._kept_loaded():  # else it came meanwhile
                self._asked = (*self._asked, version)[-self._on_request :]
                self._loaded.drop(self._kept_loaded())
                self._cleaned_at = time.monotonic() + GRACE_SECONDS
        return held

    def changed(self, ids: Sequence[ItemId]) -> None:
        """Tell the loaded models that items were written or deleted."""
        self._loaded.changed(ids)

    # Changes ------------------------------------------------------------------------------------------------

    def promote(self, version: str, *, over: str | None = None) -> str:
        """Let a version serve, at once.

        Args:
            version: the version.
            over: what it was found better than; None if that does not matter.

        Returns:
            What served before; "" for none.

        Raises:
            NotFoundError: if there is no such version.
            CheckpointError: if it cannot be loaded; what served goes on serving.
            OvertakenError: if another one serves by now than it was found better than.
        """
        with self._changing:
            self._loaded.load(version)
            return self._change(lambda pointer: pointer.promoted(version, over=over))

    def rollback(self) -> str:
        """Let the version that served before serve again, at once.

        Returns:
            What served until now; "" for none.

        Raises:
            ModelError: if nothing served before.
            CheckpointError: if that version cannot be loaded; what serves goes on serving.
        """
        with self._changing:
            version = self.registry.pointer().rolled_back().serving
            if version:
                self._loaded.load(version)
            return self._change(Pointer.rolled_back)

    def _change(self, step: Callable[[Pointer], Pointer]) -> str:
        before = self.version
        try:
            self.registry.change(step)
        finally:
            self._stamp = None
            self.refresh()
        return before

    def refresh(self) -> None:
        """Follow the pointer if it changed. What cannot be loaded is logged, and what serves goes on serving."""
        with self._changing:
            stamp = self.registry.stamp()  # before reading: a change in between is seen the next time
            if stamp == self._stamp:
                return
            self._stamp = stamp
            try:
                pointer = self.registry.pointer()
            except CheckpointError as error:
                self._log.error("model pointer refused", error=str(error), serving=_name(self._state.serving))
                return
            before = self._state
            serving = self._first_that_loads(pointer)
            candidate = self._try_to_load(pointer.candidate) if pointer.candidate else None
            self._state = after = _State(pointer, serving, candidate)
            if (before.serving, before.candidate) != (serving, candidate) or before.pointer.share != pointer.share:
                self._log.info(
                    "model serves",
                    version=_name(after.serving),
                    before=_name(before.serving),
                    candidate=self.candidate,
                    share=pointer.share if candidate else 0.0,
                )
            self._loaded.drop(self._kept_loaded())
            self._cleaned_at = time.monotonic() + GRACE_SECONDS

    def _first_that_loads(self, pointer: Pointer) -> RefCounted | None:
        """The version that the pointer names; if it does not load, the one that serves now; else an earlier one."""
        if pointer.serving == NO_VERSION:
            return None
        found = self._try_to_load(pointer.serving)
        if found is None and self._state.serving is not None:
            return self._state.serving
        for version in reversed(pointer.previous):
            if found is not None or version == NO_VERSION:
                break
            found = self._try_to_load(version)
        return found

    def _try_to_load(self, version: str) -> RefCounted | None:
        try:
            return self._loaded.load(version)
        except TriveniError as error:
            self._log.error("model refused", version=version, error=str(error), serving=_name(self._state.serving))
            return None

    def _kept_loaded(self) -> set[str]:
        """The versions that stay loaded."""
        standby = self._state.pointer.previous[-1:] if self._standby else ()
        return {self.version, self.candidate, *standby, *self._asked}

    def _follow(self) -> None:
        while not self._stopped.wait(self._poll):
            try:
                self.refresh()
                self._prepare_standby()
                self._clean()
            except Exception as error:  # noqa: BLE001 (the thread has to live as long as the server)
                self._log.error("models not followed", exc_info=error)

    def _clean(self) -> None:
        """Tell which versions are still of use, some time after the last change."""
        with self._changing:
            if time.monotonic() < self._cleaned_at:
                return
            self._cleaned_at = float("inf")
            keep = self._kept_loaded() | set(self._state.pointer.previous[-1:])
        self._kept(keep)

    def _prepare_standby(self) -> None:
        """Load what would serve after going back, so that it takes no time then."""
        with self._changing:
            version = next(reversed(self._state.pointer.previous), NO_VERSION)
            if not self._standby or version in (NO_VERSION, self._no_standby) or self._loaded.get(version):
                return
            if self._try_to_load(version) is None:
                self._no_standby = version


def _name(held: RefCounted | None) -> str:
    return held.model.version if held else UNTRAINED
