"""The threads in which calls are worked on, so that the event loop stays free: some for each class of work."""

import asyncio
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from engine.core.deadline import Deadline
from engine.core.errors import OverloadedError
from engine.service.admission import Admission, Outcome, Ticket
from engine.service.calls import Context
from engine.service.metrics import Metrics
from engine.service.settings import ServiceSettings

_Answer = TypeVar("_Answer")

_CLASSES: Mapping[str, str] = {
    "/triveni.v1.RecommendationService/Recommend": "reads",
    "/triveni.v1.RecommendationService/Search": "reads",
    "/triveni.v1.CatalogService/GetItem": "reads",
    "/triveni.v1.CatalogService/ListItems": "reads",
    "/triveni.v1.CatalogService/DeleteItems": "writes",
    "/triveni.v1.EventService/RecordEvents": "events",
    "/triveni.v1.EventService/GetHistory": "events",
    "/triveni.v1.EventService/DeleteUser": "events",
    "/triveni.v1.EncoderService/Encode": "encoding",
}
"""By method the class of work of calls that may be refused before they are read. Streams are held back instead, and
what manages models is let in with its deadline known."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Job(Ticket, Generic[_Answer]):
    work: Callable[[], _Answer]
    deadline: Deadline
    future: "Future[_Answer]" = field(default_factory=Future)


class Workers:
    """A pool of threads with a queue before it.

    Args:
        name: of the class of work.
        threads: calls that are worked on at once.
        settings: how long calls may wait.
        waited: is told of each call, as its work begins, how many seconds it waited.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        settings: ServiceSettings,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._waited = waited
        self.admission = Admission(
            threads, target=settings.queue_target, burst=settings.queue_burst, most=settings.max_queue
        )
        """Which of the calls are worked on, and when."""
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pending(self) -> int:
        """Calls that wait or are worked on."""
        return self.admission.waiting + self.admission.running

    def refuse(self, sent: int = 0) -> float:
        """Refuse a call, before it is read, if it has no chance.

        Args:
            sent: calls that are sent on from where it comes, and have not ended; those of them that are not here yet
                come before it.

        Returns:
            Seconds after which it may be tried again; 0 if it may come.
        """
        with self._changed:
            return self.admission.refuse(coming=max(sent - self.pending, 0))

    async def run(self, work: Callable[[], _Answer], deadline: Deadline, *, patient: bool = False) -> _Answer:
        """Run `work` in a thread; called from the event loop.

        When the call is cancelled, `deadline` is too: work that waits never begins, work that runs stops at its
        next check.

        Args:
            work: what is done.
            deadline: of the call.
            patient: whether the work is a part of a stream, which is held back rather than refused.

        Raises:
            OverloadedError: if it would be done too late.
        """
        left = deadline.remaining()
        until = time.monotonic() + left if left < math.inf else math.inf
        job: _Job[_Answer] = _Job(until=until, patient=patient, work=work, deadline=deadline)
        with self._changed:
            self.admission.enter(job)
            self._changed.notify()
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            deadline.cancel()
            with self._changed:
                self.admission.leave(job)
            raise

    def close(self) -> None:
        """Let running work end, and begin no more. Twice is allowed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if self._closed:
                job.future.cancel()
            if job.future.set_running_or_notify_cancel():
                try:
                    job.future.set_result(self._answer(job))
                except BaseException as error:  # noqa: BLE001 (handed to the caller)
                    job.future.set_exception(error)
            if job.outcome is Outcome.ADMITTED:
                with self._changed:
                    self.admission.done(job)

    def _next(self) -> "_Job[object] | None":
        """The next call to work on or to drop; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self.admission.waiting or self._closed)
            job = self.admission.next()
            assert job is None or isinstance(job, _Job)
            return job

    def _answer(self, job: "_Job[_Answer]") -> _Answer:
        if job.outcome is Outcome.REFUSED:
            retry = self.admission.retry_seconds()
            raise OverloadedError(
                "calls that came later were answered first",
                f"try again in {retry:.1f} seconds, or add servers",
                retry_seconds=retry,
            )
        job.deadline.check("starting")
        self._waited(job.began - job.entered)
        return job.work()


class WorkerPools:
    """The threads of a server, by class of work. Health has none: it is answered in the event loop.

    Args:
        settings: how many there are, and how long calls may wait.
        metrics: are told what becomes of calls.
    """

    def __init__(self, settings: ServiceSettings, metrics: Metrics) -> None:
        def workers(name: str, threads: int) -> Workers:
            return Workers(name, threads, settings, partial(metrics.waited, name))

        self.reads = workers("reads", settings.threads)
        """Recommendations, searches and items."""
        self.writes = workers("writes", 2)
        """Items that are written: their streams write by turns."""
        self.events = workers("events", 4)
        """Events, written and read: a slow database holds up no recommendations."""
        self.encoding = workers("encoding", 2)
        """Contents that are encoded for their own sake, many at once."""
        self.admin = workers("admin", 2)
        """Versions of the model: a promotion holds up nobody."""
        self._sent: Counter[str] = Counter()
        self._all = {
            "reads": self.reads,
            "writes": self.writes,
            "events": self.events,
            "encoding": self.encoding,
            "admin": self.admin,
        }
        for name, one in self._all.items():
            metrics.queue(name, partial(getattr, one, "pending"))
        metrics.watch(
            "triveni_admission_total",
            "Calls that asked to be worked on, by what became of them.",
            self._outcomes,
            labels=["class", "outcome"],
            counter=True,
        )

    def refuse(self, method: str) -> float:
        """Refuse a call, before it is read, if it has no chance.

        Args:
            method: its full name.

        Returns:
            Seconds after which it may be tried again; 0 if it may come.
        """
        name = _CLASSES.get(method)
        return self._all[name].refuse() if name else 0.0

    def refuse_at_door(self, method: str) -> float:
        """Refuse a call, as `refuse` does, where it first comes to this program, far before the queue."""
        name = _CLASSES.get(method)
        return self._all[name].refuse(self._sent[name]) if name else 0.0

    @contextmanager
    def sent(self, method: str) -> Iterator[None]:
        """A call that a door sends on; until it ends it counts there."""
        name = _CLASSES.get(method, "")
        self._sent[name] += 1
        try:
            yield
        finally:
            self._sent[name] -= 1

    def _outcomes(self) -> Mapping[tuple[str, ...], float]:
        return {
            (name, outcome): float(workers.admission.outcomes[outcome])
            for name, workers in self._all.items()
            for outcome in Outcome
        }

    def close(self) -> None:
        """Let running work end, and begin no more. Twice is allowed."""
        for workers in self._all.values():
            workers.close()


def deadline_of(context: Context) -> Deadline:
    """The time that the caller gives."""
    return Deadline(context.time_remaining())
