"""What a server counts and measures while it runs, as Prometheus names things: base units, counters end in `_total`.

All of it lies in one registry, which whoever shows it reads: the endpoint for Prometheus and Triveni Studio. Labels
have few values: names of methods, of statuses, of stages, of queues, of the tenants that the settings name. What a
call did has the label `tenant`; what all tenants share, as the encoders' batches and the queues, has not.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from encoders.errors import TriveniError
from engine.core.types import Stage

SECONDS = (
    .0005, .001, .002, .003, .005, .0075, .01, .015, .02, .03, .05, .075, .1, .15, .2, .3, .5, 1, 2, 5, 10,
)  # fmt: skip
"""The upper bounds of the buckets of durations, in seconds."""
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)
"""Those of batches."""

Read = Callable[[], Mapping[tuple[str, ...], float]]
"""Tells values by their labels' values."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each other one: when that began


class Metrics:
    """The metrics of one server. Any number of threads may use them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        """Holds all of them, and those of the process (`process_…`, on Linux)."""
        ProcessCollector(registry=self.registry)
        self._calls = Counter(
            "triveni_calls", "Calls that ended.", ["method", "code", "tenant"], registry=self.registry
        )
        self._call_seconds = Histogram(
            "triveni_call_seconds",
            "How long calls took.",
            ["method", "tenant"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "triveni_stage_seconds",
            "How long the stages of answering a query took; total is all of them.",
            ["stage", "tenant"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.answers = Counter(
            "triveni_answers", "Lists that were answered.", ["tier", "tenant"], registry=self.registry
        )
        self.events = Counter(
            "triveni_events", "Events that were sent.", ["outcome", "tenant"], registry=self.registry
        )
        self.followed = Counter(
            "triveni_followed",
            "Recorded events that name a served list.",
            ["kind", "tenant"],
            registry=self.registry,
        )
        self.items_sent = Counter(
            "triveni_items_sent", "Items that were sent.", ["outcome", "tenant"], registry=self.registry
        )
        self._batch_size = Histogram(
            "triveni_batch_size", "What was done together.", ["batch"], buckets=SIZES, registry=self.registry
        )
        self._queues: defaultdict[str, list[Callable[[], int]]] = defaultdict(list)
        self._wait_seconds = Histogram(
            "triveni_queue_wait_seconds",
            "How long calls waited for a thread.",
            ["class"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.watch("triveni_queue_depth", "What waits or is worked on.", self._depths, labels=["queue"])

    def of(self, tenant: str) -> "TenantMetrics":
        """Those of one tenant."""
        return TenantMetrics(self, tenant)

    def called(self, method: str, code: str, seconds: float, tenant: str = "") -> None:
        """A call has ended.

        Args:
            method: its full name, `/package.Service/Method`.
            code: the name of its status.
            seconds: that it took.
            tenant: of its caller; one that the settings name, or "".
        """
        name = method.rpartition(".")[2]
        self._calls.labels(name, code, tenant).inc()
        self._call_seconds.labels(name, tenant).observe(seconds)

    def refused(self, method: str) -> None:
        """A call was refused before it was read: nobody knows whose it was.

        Args:
            method: its full name.
        """
        self._calls.labels(method.rpartition(".")[2], "RESOURCE_EXHAUSTED", "").inc()

    def waited(self, name: str, seconds: float) -> None:
        """A call of a class of work waited so long for a thread."""
        self._wait_seconds.labels(name).observe(seconds)

    def queue(self, name: str, depth: Callable[[], int]) -> None:
        """Add a queue, or a part of one that has several.

        Args:
            name: its name.
            depth: tells how much is in it.
        """
        self._queues[name].append(depth)

    def batched(self, name: str, size: int) -> None:
        """So much was done together."""
        self._batch_size.labels(name).observe(size)

    def watch(
        self, name: str, documentation: str, read: Read, labels: Sequence[str] = (), *, counter: bool = False
    ) -> None:
        """Add a metric that is read whenever the registry is.

        Args:
            name: its name.
            documentation: what it is.
            read: tells its values; while it raises a `TriveniError` there are none.
            labels: the names of its labels.
            counter: whether its values never fall.
        """
        self.registry.register(_Watched(name, documentation, read, labels, counter))

    def _depths(self) -> Mapping[tuple[str, ...], float]:
        return {(name,): sum(depth() for depth in parts) for name, parts in self._queues.items()}


@dataclass(frozen=True, slots=True)
class TenantMetrics:
    """What the calls of one tenant did."""

    metrics: Metrics
    tenant: str

    def answered(self, tier: str) -> None:
        """A list was answered by a tier."""
        self.metrics.answers.labels(tier, self.tenant).inc()

    def passed(self, stages: Iterable[Stage]) -> None:
        """A query went through stages."""
        for stage in stages:
            self.metrics.stage_seconds.labels(stage.name, self.tenant).observe(stage.seconds)

    def sent(self, recorded: int, duplicate: int, rejected: int) -> None:
        """Events were sent: so many became what."""
        for outcome, count in (("recorded", recorded), ("duplicate", duplicate), ("rejected", rejected)):
            self.metrics.events.labels(outcome, self.tenant).inc(count)

    def followed(self, kind: str) -> None:
        """An event was recorded that names a served list: so many of those that were answered were of use."""
        self.metrics.followed.labels(kind, self.tenant).inc()

    def upserted(self, outcome: str) -> None:
        """An item was sent, and this is what became of it."""
        self.metrics.items_sent.labels(outcome, self.tenant).inc()


class _Watched(Collector):
    def __init__(self, name: str, documentation: str, read: Read, labels: Sequence[str], counter: bool) -> None:
        self._name, self._documentation, self._read = name, documentation, read
        self._labels, self._family = labels, CounterMetricFamily if counter else GaugeMetricFamily

    def describe(self) -> list[Metric]:
        return [self._family(self._name, self._documentation, labels=self._labels)]

    def collect(self) -> list[Metric]:
        family = self._family(self._name, self._documentation, labels=self._labels)
        try:
            for labels, value in self._read().items():
                family.add_metric(labels, value)
        except TriveniError as error:
            structlog.get_logger("triveni.service").debug("metric not read", metric=self._name, reason=str(error))
        return [family]
