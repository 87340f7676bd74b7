"""Work of many calls done together: what waits when a worker is free goes into its next batch.

There is no artificial wait: under no load a batch is one item and no later than alone; under load batches grow by
themselves, up to a limit.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from encoders.errors import TriveniError
from encoders.spaces.space import Space
from encoders.types import Content, Floats, Modality, Prepared, by_modality
from engine.core.deadline import Deadline
from engine.core.errors import CancelledError, DeadlineError, OverloadedError
from engine.encode.encoding import Encoded, EncodedPassages, each_of, passages_of

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class _Job(Generic[In, Out]):
    value: In
    deadline: Deadline
    future: "Future[Out]"


class Batcher(Generic[In, Out]):
    """Runs a function over batches of what its callers hand in, in threads of its own.

    Args:
        run: maps a batch to as many results, in order.
        name: of the work, for messages and the thread.
        max_batch: items per batch, at most.
        max_queue: items that may wait, at most.
        workers: threads; they share what waits evenly.
        batched: is told how much is done together, each time.
    """

    def __init__(
        self,
        run: Callable[[Sequence[In]], Iterable[Out]],
        *,
        name: str,
        max_batch: int,
        max_queue: int,
        workers: int = 1,
        batched: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._run, self._name, self._max_batch, self._max_queue = run, name, max_batch, max_queue
        self._batched = batched
        self._waiting: deque[_Job[In, Out]] = deque()
        self._changed = threading.Condition()
        self._running = 0
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batcher-{name}-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """What waits for a thread."""
        return len(self._waiting)

    def submit(self, values: Sequence[In], deadline: Deadline) -> "list[Future[Out]]":
        """Hand in work: all values or, if they find no room, none.

        Raises:
            OverloadedError: if too much waits already, or the batcher is closed.
        """
        jobs: list[_Job[In, Out]] = [_Job(value, deadline, Future()) for value in values]
        with self._changed:
            if self._closed:
                raise OverloadedError(f"{self._name} has stopped", "try again on another server")
            waiting = len(self._waiting)
            if waiting + len(jobs) > self._max_queue:
                raise OverloadedError(
                    f"{waiting} contents wait for {self._name} already, the limit is {self._max_queue}",
                    "try again later, or send fewer at once",
                )
            self._waiting.extend(jobs)
            self._changed.notify(len(jobs))
        return [job.future for job in jobs]

    def do(self, value: In, deadline: Deadline) -> Out | TriveniError:
        """Have one thing done, and wait for it; in the caller's own thread if nothing else is being done.

        So without load nothing is handed from thread to thread; under load it joins a batch. For work of
        milliseconds: in the caller's thread it is not cut short by the deadline.

        Raises:
            OverloadedError: if too much waits already, or the batcher is closed.
            DeadlineError: if the time is up first; what has not begun is dropped.
            CancelledError: if the caller went away.
        """
        with self._changed:
            mine = not (self._closed or self._waiting or self._running)
            self._running += mine
        if not mine:
            return gather(self.submit([value], deadline), deadline, self._name)[0]
        job: _Job[In, Out] = _Job(value, deadline, Future())
        self._run_jobs([job])
        return gather([job.future], deadline, self._name)[0]

    def close(self) -> None:
        """Finish what is being done and what waits, and end the threads. Twice is allowed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not (self._running or self._waiting))
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._may_run())
                if not self._waiting:
                    return
                size = min(math.ceil(len(self._waiting) / len(self._threads)), self._max_batch)
                jobs = [self._waiting.popleft() for _ in range(size)]
                self._running += 1
            self._run_jobs(jobs)

    def _may_run(self) -> bool:
        """Whether something waits, and fewer batches run than there are threads: a caller's own counts."""
        return bool(self._waiting) and self._running < len(self._threads)

    def _run_jobs(self, jobs: "list[_Job[In, Out]]") -> None:
        try:
            wanted = [job for job in jobs if self._wanted(job)]
            self._batched(len(wanted))
            self._do(wanted)
        finally:
            with self._changed:
                self._running -= 1
                if self._waiting or self._closed:
                    self._changed.notify_all()

    def _wanted(self, job: _Job[In, Out]) -> bool:
        """Whether anyone still waits for a job; if not, it is finished with the reason."""
        if not job.future.set_running_or_notify_cancel():
            return False
        try:
            job.deadline.check(self._name)
        except TriveniError as error:
            job.future.set_exception(error)
            return False
        return True

    def _do(self, jobs: list[_Job[In, Out]]) -> None:
        """Run a batch; if it fails, each of its jobs alone, so that one fails none but itself."""
        if not jobs:
            return
        try:
            answers = list(zip(jobs, self._run([job.value for job in jobs]), strict=True))
        except Exception as error:  # noqa: BLE001 (handed to the caller)
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
            else:
                for job in jobs:
                    self._do([job])
            return
        for job, answer in answers:
            job.future.set_result(answer)


def gather(futures: "Sequence[Future[Out]]", deadline: Deadline, stage: str) -> list[Out | TriveniError]:
    """Wait for results; an error of one takes its place in the list.

    Raises:
        DeadlineError: if the time is up first; what has not begun is dropped.
        CancelledError: if the caller went away.
    """
    results: list[Out | TriveniError] = []
    try:
        for future in futures:
            left = deadline.remaining()
            try:
                results.append(future.result(timeout=None if left == float("inf") else max(left, 0)))
            except TimeoutError:
                deadline.check(f"the end of {stage}")
                raise DeadlineError(f"the deadline passed before the end of {stage}", "allow more time") from None
            except (DeadlineError, CancelledError):
                raise
            except TriveniError as error:
                results.append(error)
    finally:
        for future in futures:
            future.cancel()
    return results


class MicroBatcher:
    """Encodes the contents of many calls together; a `ContentEncoder`.

    Each caller decodes its contents in its own thread; each modality's network has one thread, which takes what
    waits.

    Args:
        space: the encoders.
        max_batch: contents that one network takes together, at most.
        max_queue: contents that may wait for one network, at most.
        batched: is told, each time, of which modality how many contents are encoded together.
    """

    def __init__(
        self,
        space: Space,
        *,
        max_batch: int = 32,
        max_queue: int = 256,
        batched: Callable[[Modality, int], None] = lambda _, __: None,
    ) -> None:
        self._space = space
        self._batchers: dict[Modality, Batcher[Prepared, Floats]] = {
            modality: Batcher(
                space.encoder(modality).forward,
                name=f"{modality} encoding",
                max_batch=max_batch,
                max_queue=max_queue,
                batched=partial(batched, modality),
            )
            for modality in space.modalities
        }

    @property
    def waiting(self) -> int:
        """Contents that wait for a network."""
        return sum(batcher.waiting for batcher in self._batchers.values())

    def encode(self, contents: Sequence[Content], deadline: Deadline) -> list[Encoded]:
        """Encode contents, each for itself; see `ContentEncoder.encode`."""
        return each_of(self._space, self._forward, contents, deadline)

    def encode_passages(
        self, contents: Sequence[Content], most: Sequence[int], deadline: Deadline
    ) -> list[EncodedPassages]:
        """Encode contents, the long ones split; see `ContentEncoder.encode_passages`."""
        return passages_of(self._space, self._forward, contents, most, deadline)

    def _forward(self, prepared: Sequence[Prepared], deadline: Deadline) -> list[Encoded]:
        """What each network makes of its modality's, in the order of `prepared`."""
        futures: dict[int, Future[Floats]] = {}
        try:
            for modality, rows in by_modality([one.modality for one in prepared]).items():
                submitted = self._batchers[modality].submit([prepared[row] for row in rows], deadline)
                futures |= dict(zip(rows, submitted, strict=True))
        except OverloadedError:
            for future in futures.values():
                future.cancel()
            raise
        return gather([futures[row] for row in range(len(prepared))], deadline, "encoding")

    def close(self) -> None:
        """Finish what waits, and end the threads."""
        for batcher in self._batchers.values():
            batcher.close()
