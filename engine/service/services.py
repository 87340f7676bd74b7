"""What serves a tenant: the parts that are its own, the servicers over them, and which of them a call goes to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from encoders.spaces.space import Space
from engine.catalog.ingest import INDEXED_AT
from engine.catalog.settings import IndexSettings
from engine.core.caching import Uses, caches_of
from engine.core.filters import FieldKind
from engine.core.types import UNTRAINED
from engine.encode.encoding import ContentEncoder
from engine.events.base import EventStore
from engine.events.check import EventLimits
from engine.events.history import StoredHistory
from engine.events.housekeeping import Housekeeping
from engine.learn.jobs.trainings import Trainings
from engine.models.serving import Serving
from engine.query.pipeline import Engine
from engine.service.admin import AdminServicer, Backup
from engine.service.calls import Context, current_call
from engine.service.catalog import CatalogServicer
from engine.service.deletion import Deletions
from engine.service.encoder import EncoderServicer
from engine.service.events import EventServicer
from engine.service.impressions import ImpressionLog
from engine.service.metrics import TenantMetrics
from engine.service.models import ModelServicer
from engine.service.recommendation import RecommendationServicer
from engine.service.warmup import warm_up
from engine.service.work import WorkerPools
from engine.store.base import VectorStore
from triveni.v1 import (
    admin_pb2_grpc,
    catalog_pb2_grpc,
    encoder_pb2_grpc,
    event_pb2_grpc,
    model_pb2_grpc,
    recommendation_pb2_grpc,
)

ADD_TO_SERVER: Mapping[str, Callable[[Any, Any], None]] = {
    "triveni.v1.RecommendationService": recommendation_pb2_grpc.add_RecommendationServiceServicer_to_server,
    "triveni.v1.CatalogService": catalog_pb2_grpc.add_CatalogServiceServicer_to_server,
    "triveni.v1.EncoderService": encoder_pb2_grpc.add_EncoderServiceServicer_to_server,
    "triveni.v1.EventService": event_pb2_grpc.add_EventServiceServicer_to_server,
    "triveni.v1.ModelService": model_pb2_grpc.add_ModelServiceServicer_to_server,
    "triveni.v1.AdminService": admin_pb2_grpc.add_AdminServiceServicer_to_server,
}
"""By the name of a service, what adds its servicer to a server."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """What belongs to one tenant, opened. Nothing of it is another's but the encoders behind `encoder`."""

    engine: Engine
    """Answers queries."""
    encoder: ContentEncoder
    """Encodes contents."""
    store: VectorStore
    """The catalogue."""
    events: EventStore
    """What people did, and what they were shown."""
    serving: Serving | None = None
    """Which model serves; ModelService changes it."""
    trainings: Trainings | None = None
    """Runs trainings; ModelService asks for them."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Digests of the settings, for callers who ask whether theirs are the same."""
    backup: Backup | None = None
    """Takes a backup; AdminService asks for it."""


class Services:
    """The servicers of one tenant.

    Args:
        tenant: its parts.
        space: of the encoders.
        pools: where the work is done.
        metrics: its own.
        index: how strict it is with items, and the fields that can be filtered on.
        limits: the largest event.
        max_batch: items of one stream that are encoded and written together.
        max_bytes: of what waits of one stream.
    """

    def __init__(
        self,
        tenant: Tenant,
        space: Space,
        pools: WorkerPools,
        metrics: TenantMetrics,
        *,
        index: IndexSettings,
        limits: EventLimits,
        max_batch: int,
        max_bytes: int,
    ) -> None:
        self.tenant, self._space, self._fields = tenant, space, index.fields
        self._words = index.words
        self.impressions, self.housekeeping = ImpressionLog(tenant.events), Housekeeping(tenant.events)
        fuse = tenant.engine.fuse_settings
        history = StoredHistory(tenant.events, fuse.weights, fuse.max_events)
        recommendation = RecommendationServicer(
            tenant.engine, history, self.impressions, limits, pools.reads, metrics
        )
        deletions = Deletions(
            tenant.events,
            self.impressions,
            self.housekeeping,
            tenant.serving.registry if tenant.serving else None,
            caches=[recommendation.forget],
        )
        self.servicers: Mapping[str, object] = {
            "triveni.v1.RecommendationService": recommendation,
            "triveni.v1.CatalogService": CatalogServicer(
                tenant.encoder,
                tenant.store,
                pools.reads,
                pools.writes,
                max_batch=max_batch,
                max_bytes=max_bytes,
                strict=index.strict,
                max_parts=index.max_parts,
                split_long=index.split_long,
                changed=tenant.serving.changed if tenant.serving else lambda _: None,
                counted=metrics.upserted,
            ),
            "triveni.v1.EncoderService": EncoderServicer(tenant.encoder, space, pools.encoding),
            "triveni.v1.EventService": EventServicer(
                tenant.encoder,
                space.fingerprint,
                tenant.events,
                limits,
                deletions,
                pools.events,
                metrics,
                max_bytes=max_bytes,
            ),
            "triveni.v1.ModelService": ModelServicer(tenant.serving, tenant.trainings, pools.admin),
            "triveni.v1.AdminService": AdminServicer(tenant.backup, pools.admin),
        }

    def close(self) -> None:
        """Write the lists that wait, and keep house no more."""
        self.impressions.close()
        self.housekeeping.close()

    def warm_up(self) -> None:
        """Answer for the first time.

        Raises:
            TriveniError: if it fails.
        """
        # A store that no bulk run made lacks them.
        self.tenant.store.index_fields({INDEXED_AT: FieldKind.DATETIME, **self._fields})
        if not self.tenant.store.count():
            self.tenant.store.index_words(self._words)
        warm_up(self.tenant.engine, self.tenant.encoder, self._space)

    def caches(self) -> Mapping[str, Uses]:
        """By the name of a cache how it was used."""
        tenant, own = self.tenant, self.servicers["triveni.v1.RecommendationService"]
        return caches_of(tenant.engine, tenant.store, tenant.serving, own)

    def versions(self) -> Mapping[str, str]:
        """By what it does the version of the model that does it."""
        serving = self.tenant.serving
        candidate = serving.candidate if serving else ""
        return {
            "serving": (serving.version if serving else "") or UNTRAINED,
            **({"candidate": candidate} if candidate else {}),
        }


class OfCaller:
    """Stands for the servicers that the tenants have of one service: each call goes to that of its caller's tenant.

    Args:
        servicers: by tenant; the interceptor has refused callers of others.
    """

    def __init__(self, servicers: Mapping[str, object]) -> None:
        self._servicers = servicers

    def __getattr__(self, method: str) -> Callable[[Any, Context], Any]:
        methods = {tenant: getattr(servicer, method) for tenant, servicer in self._servicers.items()}
        return lambda request, context: methods[current_call().caller.tenant](request, context)
