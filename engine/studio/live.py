"""What happens in the server, second by second: read from its metrics, and kept for a while."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

import structlog
from prometheus_client import CollectorRegistry

from engine.core.errors import OverloadedError

KEPT = 900
"""Points that are kept: of 15 minutes."""
LISTENERS = 16
"""Pages that may listen at once."""
WINDOW = 10
"""Seconds whose calls a quantile is of: one second has too few."""
QUANTILES = (0.5, 0.95, 0.99)

Series = Mapping[tuple[str, ...], float]
Snapshot = Mapping[str, Series]
"""By sample's name and labels' values, in the order of the labels' names."""
Point = Mapping[str, object]


class Live:
    """Makes a point of the metrics each second, in a thread of its own.

    Args:
        registry: the metrics.
        every: seconds between two points.
        clock: tells seconds.
        tenants: each has points of its own, of what is its own and what all share.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        every: float = 1.0,
        clock: Callable[[], float] = time.time,
        tenants: Iterable[str] = ("",),
    ) -> None:
        self._registry, self._every, self._clock = registry, every, clock
        self._points: dict[str, deque[Point]] = {tenant: deque(maxlen=KEPT) for tenant in tenants}
        self._before: deque[tuple[float, Mapping[str, Snapshot]]] = deque(maxlen=WINDOW)
        self._lock = threading.Lock()
        self._listeners = 0
        self._count = 0
        self._stopped = threading.Event()
        self.look()  # what the first point is compared with
        self._thread = threading.Thread(target=self._work, name="live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Make no more points. Twice is allowed."""
        self._stopped.set()
        self._thread.join()

    def since(self, count: int, tenant: str = "") -> tuple[list[Point], int]:
        """A tenant's points after the first `count` of all, as far as they are kept, and how many there were."""
        with self._lock:
            points = self._points[tenant]
            new = min(self._count - count, len(points))
            return list(points)[len(points) - new :], self._count

    def enter(self) -> None:
        """A page begins to listen.

        Raises:
            OverloadedError: if too many do.
        """
        with self._lock:
            if self._listeners >= LISTENERS:
                raise OverloadedError(
                    f"{LISTENERS} pages look at what happens already", "close one of them, then load this one again"
                )
            self._listeners += 1

    def leave(self) -> None:
        """A page listens no more."""
        with self._lock:
            self._listeners -= 1

    @property
    def listeners(self) -> int:
        """Pages that listen."""
        return self._listeners

    def _work(self) -> None:
        while not self._stopped.wait(self._every):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 (the thread has to live as long as the server)
                structlog.get_logger("triveni.studio").error("metrics not read", exc_info=error)

    def look(self) -> None:
        """Make a point now."""
        now, snapshots = self._clock(), read(self._registry, self._points)
        if self._before:
            (last, lately), (first, before) = self._before[-1], self._before[0]
            points = {
                tenant: point_of(now, snapshot, (last, lately[tenant]), (first, before[tenant]))
                for tenant, snapshot in snapshots.items()
            }
            with self._lock:
                for tenant, point in points.items():
                    self._points[tenant].append(point)
                self._count += 1
        self._before.append((now, snapshots))


def read(registry: CollectorRegistry, tenants: Iterable[str] = ("",)) -> Mapping[str, Snapshot]:
    """By tenant the samples of a registry that are its own, or of all, without the label `tenant`."""
    found: dict[str, dict[str, dict[tuple[str, ...], float]]] = {one: defaultdict(dict) for one in tenants}
    for family in registry.collect():
        for sample in family.samples:
            labels = tuple(value for name, value in sorted(sample.labels.items()) if name != "tenant")
            of = sample.labels.get("tenant")
            for tenant, samples in found.items():
                if of in (None, tenant):
                    samples[sample.name][labels] = sample.value
    return found


def point_of(now: float, after: Snapshot, last: tuple[float, Snapshot], first: tuple[float, Snapshot]) -> Point:
    """What happened.

    Args:
        now: seconds since 1970.
        after: the metrics now.
        last: when they were looked at before, and what they were.
        first: the same some time ago; quantiles and means are of what happened since.

    Returns:
        As JSON. Rates are per second, durations in seconds; what did not happen is left out.
    """
    seconds = max(now - last[0], 1e-3)

    def rates(name: str) -> dict[str, float]:
        found = grown(after, last[1], name)
        return {"/".join(labels) or "all": round(count / seconds, 3) for labels, count in found.items() if count}

    def means(name: str) -> dict[str, float]:
        counts, sums = grown(after, first[1], f"{name}_count"), grown(after, first[1], f"{name}_sum")
        return {labels[0]: rounded(sums[labels] / count) for labels, count in counts.items() if count}

    calls: dict[str, dict[str, float]] = defaultdict(dict)
    for (code, method), count in grown(after, last[1], "triveni_calls_total").items():
        if count:
            calls[method][code] = round(count / seconds, 3)
    return {
        "time": round(now, 2),
        "calls": calls,
        "latency": quantiles(after, first[1], "triveni_call_seconds_bucket"),
        "stages": means("triveni_stage_seconds"),
        "tiers": rates("triveni_answers_total"),
        "events": rates("triveni_events_total"),
        "batches": means("triveni_batch_size"),
        "queues": {labels[0]: value for labels, value in after.get("triveni_queue_depth", {}).items()},
        "dropped": after.get("triveni_impressions_dropped_total", {}).get((), 0),
        "items": after.get("triveni_items", {}).get((), None),
        "memory": after.get("process_resident_memory_bytes", {}).get((), None),
        "versions": {labels[0]: labels[1] for labels in after.get("triveni_model_info", {})},
    }


def grown(after: Snapshot, before: Snapshot, name: str) -> dict[tuple[str, ...], float]:
    """By how much each series of a counter has grown."""
    then = before.get(name, {})
    return {labels: value - then.get(labels, 0.0) for labels, value in after.get(name, {}).items()}


def quantiles(after: Snapshot, before: Snapshot, name: str) -> dict[str, list[float]]:
    """`QUANTILES` of the durations between two snapshots, by method."""
    buckets: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (bound, method), count in grown(after, before, name).items():
        buckets[method].append((float(bound), count))
    return {
        method: [rounded(quantile(sorted(found), share)) for share in QUANTILES]
        for method, found in buckets.items()
        if max(count for _, count in found)
    }


def quantile(buckets: Iterable[tuple[float, float]], share: float) -> float:
    """A quantile from the buckets of a histogram, as if what lies in a bucket lay evenly in it.

    Args:
        buckets: (upper bound, how many lie below), rising; the last bound is infinite.
        share: 0 to 1.
    """
    rows = [(0.0, 0.0), *buckets]
    wanted = share * rows[-1][1]
    for (low, below), (high, until) in pairwise(rows):
        if until >= wanted and until > below:
            return low if high == float("inf") else low + (high - low) * (wanted - below) / (until - below)
    return 0.0


def rounded(value: float) -> float:
    """To four digits, so that lines are short."""
    return float(f"{value:.4g}")
