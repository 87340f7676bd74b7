"""What the endpoints of the page work with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from encoders.spaces.space import SpaceManifest
from engine.core.kinds import EventKinds
from engine.store.base import VectorStore
from engine.studio.duplicates import DuplicateSearch
from engine.studio.facets import Facets
from engine.studio.indexing import IndexFiles
from engine.studio.learning import Learning
from engine.studio.live import Live
from engine.studio.maps.maps import Maps
from engine.studio.maps.names import Naming
from engine.studio.media import MediaFolder
from engine.studio.present import Present
from engine.studio.thumbnails import Thumbnails

STATIC = Path(__file__).resolve().parent / "static"
"""The files of the page."""


@dataclass(frozen=True, slots=True)
class Studio:
    """The parts of a running engine that the page shows a tenant; it owns none of them."""

    tenant: str
    """Its name; "" where there is one by itself."""
    store: VectorStore
    manifest: SpaceManifest
    media: MediaFolder
    thumbnails: Thumbnails
    facets: Facets
    present: Present
    learning: Learning
    kinds: EventKinds
    live: Live
    maps: Maps
    naming: Naming
    duplicates: DuplicateSearch
    index: IndexFiles
    address: Callable[[], str]
    """Says where the gRPC server answers, HOST:PORT; it is not known before that listens."""
    max_bytes: int
    """The largest request."""
