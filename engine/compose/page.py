"""What Triveni Studio shows.

Imports are inside the functions, so that a command loads only what it uses: PyTorch alone takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from engine.config.settings import Settings
from engine.opening import event_kinds, media_root, registry

if TYPE_CHECKING:
    from encoders.decoding.limits import DecodeLimits
    from encoders.spaces.space import Space
    from engine.events.base import EventStore
    from engine.service.metrics import Metrics
    from engine.service.services import Tenant
    from engine.store.base import VectorStore
    from engine.studio.live import Live
    from engine.studio.studio import Studio


def open_studio(
    settings: Settings,
    space: Space,
    store: VectorStore,
    limits: DecodeLimits,
    address: Callable[[], str],
    *,
    events: EventStore,
    live: Live,
    tenant: str = "",
) -> Studio:
    """What Triveni Studio shows a tenant.

    Args:
        settings: its own.
        space: the space of the store.
        store: its catalogue.
        limits: of decoding; those of the space, so that thumbnails and encoders share one budget of memory.
        address: says where the gRPC server answers, HOST:PORT.
        events: what its people did, and what they were shown.
        live: what happened lately.
        tenant: its name.

    Raises:
        DiskError: if there can be no folder for thumbnails.
    """
    from engine.studio.duplicates import DuplicateSearch
    from engine.studio.facets import Facets
    from engine.studio.indexing import IndexFiles
    from engine.studio.learning import Learning
    from engine.studio.maps.maps import Maps
    from engine.studio.maps.names import Naming
    from engine.studio.media import MediaFolder
    from engine.studio.present import Present
    from engine.studio.studio import Studio
    from engine.studio.thumbnails import Thumbnails

    wanted = settings.studio
    return Studio(
        tenant=tenant,
        store=store,
        manifest=space.manifest,
        media=MediaFolder(store, wanted.media or media_root(settings)),
        thumbnails=Thumbnails(wanted.cache, wanted.cache_mb << 20, limits),
        facets=Facets(store),
        present=Present(store),
        learning=Learning(
            registry(settings), events, event_kinds(settings), settings.models.candidate_share, wanted.reports
        ),
        kinds=event_kinds(settings),
        live=live,
        maps=Maps(store, _map_file(settings, space.fingerprint)),
        naming=Naming(store),
        duplicates=DuplicateSearch(store, space.manifest),
        index=IndexFiles(settings.store.path.parent),
        address=address,
        max_bytes=settings.service.max_message_bytes,
    )


def open_studios(
    owned: Mapping[str, Settings],
    tenants: Mapping[str, Tenant],
    space: Space,
    limits: DecodeLimits,
    address: Callable[[], str],
    metrics: Metrics,
    opened: ExitStack,
) -> dict[str, Studio]:
    """What Triveni Studio shows each tenant.

    Args:
        owned: their settings, by name.
        tenants: they, opened.
        space: the space of all.
        limits: of decoding.
        address: says where the gRPC server answers, HOST:PORT.
        metrics: of the server.
        opened: closes what has to be closed.

    Raises:
        DiskError: if there can be no folder for thumbnails.
    """
    from engine.studio.live import Live

    live = Live(metrics.registry, tenants=tenants)
    opened.callback(live.close)
    return {
        name: open_studio(owned[name], space, one.store, limits, address, events=one.events, live=live, tenant=name)
        for name, one in tenants.items()
    }


def _map_file(settings: Settings, fingerprint: str) -> Path:
    """Where the map of a collection is kept: beside an embedded one, else where thumbnails are."""
    folder = settings.store.path if settings.store.backend == "edge" else settings.studio.cache
    return folder / f"{settings.store.collection}-{fingerprint[:12]}.map.npz"
