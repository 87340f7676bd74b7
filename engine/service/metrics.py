"""What a server counts and measures while it runs, as Prometheus names things: base units, counters end in `_total`.

All of it lies in one registry, which whoever shows it reads: the endpoint for Prometheus and Triveni Studio. Labels
have few values: names of methods, of statuses, of stages, of queues.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

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
        self._calls = Counter("triveni_calls", "Calls that ended.", ["method", "code"], registry=self.registry)
        self._call_seconds = Histogram(
            "triveni_call_seconds", "How long calls took.", ["method"], buckets=SECONDS, registry=self.registry
        )
        self._stage_seconds = Histogram(
            "triveni_stage_seconds",
            "How long the stages of answering a query took; total is all of them.",
            ["stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._answers = Counter("triveni_answers", "Lists that were answered.", ["tier"], registry=self.registry)
        self._events = Counter("triveni_events", "Events that were sent.", ["outcome"], registry=self.registry)
        self._batch_size = Histogram(
            "triveni_batch_size", "What was done together.", ["batch"], buckets=SIZES, registry=self.registry
        )
        self.queues: dict[str, Callable[[], int]] = {}
        """By the name of a queue, what tells how much is in it."""
        self.watch("triveni_queue_depth", "What waits or is worked on.", self._depths, labels=["queue"])

    def called(self, method: str, code: str, seconds: float) -> None:
        """A call has ended.

        Args:
            method: its full name, `/package.Service/Method`.
            code: the name of its status.
            seconds: that it took.
        """
        name = method.rpartition(".")[2]
        self._calls.labels(name, code).inc()
        self._call_seconds.labels(name).observe(seconds)

    def answered(self, tier: str) -> None:
        """A list was answered by a tier."""
        self._answers.labels(tier).inc()

    def passed(self, stages: Iterable[Stage]) -> None:
        """A query went through stages."""
        for stage in stages:
            self._stage_seconds.labels(stage.name).observe(stage.seconds)

    def sent(self, recorded: int, duplicate: int, rejected: int) -> None:
        """Events were sent: so many became what."""
        for outcome, count in (("recorded", recorded), ("duplicate", duplicate), ("rejected", rejected)):
            self._events.labels(outcome).inc(count)

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
        return {(name,): depth() for name, depth in self.queues.items()}


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
