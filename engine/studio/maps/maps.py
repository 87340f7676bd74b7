"""The map of a served catalogue: which there is, whether it is out of date, and the drawing of a new one."""

import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from encoders.errors import TriveniError
from engine.catalog.items import read_items, save_items
from engine.core.extras import missing
from engine.core.files import disk_errors
from engine.store.base import VectorStore
from engine.studio.maps.drawing import Failure, draw_apart
from engine.studio.maps.file import Map, read

LIBRARY = "openTSNE"


@dataclass(frozen=True, slots=True)
class MapState:
    """What can be said of the map."""

    mapped: int
    """Items on it; 0 if there is none."""
    stored: int
    """Items of the catalogue."""
    version: int
    """Changes with the map; 0 if there is none."""
    running: bool = False
    share: float = 0.0
    """Of the drawing that runs, 0 to 1."""
    stage: str = ""
    failure: Failure | None = None
    """Why the last drawing made none."""


class Maps:
    """Keeps the map of a catalogue; any number of threads may ask.

    Args:
        store: the catalogue.
        path: the file of its map.
    """

    def __init__(self, store: VectorStore, path: Path) -> None:
        self._store, self._path = store, path
        self._lock = threading.Lock()
        self._map: Map | None = None
        self._version = 0
        self._drawing = MapState(0, 0, 0)

    def current(self) -> tuple[Map | None, int]:
        """The map and its version; another server of the same catalogue may have drawn it."""
        try:
            version = self._path.stat().st_mtime_ns // 1000
        except OSError:
            version = 0
        with self._lock:
            if version != self._version:
                self._map, self._version = (read(self._path) if version else None), version
            return self._map, self._version

    def state(self) -> MapState:
        """How it stands."""
        made, version = self.current()
        return replace(
            self._drawing, mapped=len(made.ids) if made else 0, stored=self._store.count(), version=version
        )

    def draw(self, *, again: bool) -> None:
        """Begin to draw; without effect if it is being drawn already, or is up to date and not wanted `again`.

        Args:
            again: whether items that are on the map may move, too.
        """
        state = self.state()
        if not again and state.mapped == state.stored and state.mapped:
            return
        with self._lock:
            if self._drawing.running:
                return
            if told := missing(LIBRARY):
                problem, _, remedy = told.partition(": ")
                self._drawing = MapState(0, 0, 0, failure=Failure(problem, remedy))
                return
            self._drawing = MapState(0, 0, 0, running=True, stage="reading the catalogue")
        threading.Thread(target=self._draw, args=(again,), name="map", daemon=True).start()

    def _draw(self, again: bool) -> None:
        failure: Failure | None = Failure("the map could not be drawn", "see the server's log, then try again")
        try:
            with disk_errors(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory() as folder:
                items = Path(folder) / "items.npz"
                save_items(read_items(self._store), items)
                failure = draw_apart(items, self._path, again=again, tell=self._tell)
        except TriveniError as error:
            failure = Failure(error.problem, error.remedy)
        finally:
            self._drawing = MapState(0, 0, 0, failure=failure)

    def _tell(self, share: float, stage: str) -> None:
        self._drawing = replace(self._drawing, share=share, stage=stage)
