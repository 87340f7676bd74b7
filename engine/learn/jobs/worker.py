"""A training in a process of its own: it takes neither memory nor time from serving, can be stopped, and may crash.

The two ends of a pipe speak JSON. The child ends with its parent, however that ends: the pipe breaks then.
"""

import json
import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Protocol

from encoders.errors import TriveniError
from engine.learn.pace import Tell
from engine.learn.window import TimeWindow
from engine.models.card import ModelCard

GRACE_SECONDS = 1.0
"""How long a training may go on after it was told to stop."""
NICENESS = 10
"""A training gives way to serving on the same cores."""

_POLL_SECONDS = 0.1
_REPORT_SECONDS = 0.1
_STOP = b"stop"


class Train(Protocol):
    """Makes a version in the registry. It has to be a function of a module, or a `functools.partial` of one."""

    def __call__(self, progress: Tell, cancelled: Callable[[], bool], window: TimeWindow, seed: int) -> ModelCard:
        """Train a version and put it into the registry.

        Args:
            progress: is told the part that is done, 0 to 1, and what is being done.
            cancelled: says whether to stop; asked often, it is cheap.
            window: the events to learn from.
            seed: makes it repeatable.

        Raises:
            TooLittleDataError: if there is not enough to learn from.
            CancelledError: if it stopped because it was told to.
        """


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a training ended without success."""

    kind: str
    """The name of the error's class."""
    status: str
    problem: str
    remedy: str

    @classmethod
    def of(cls, error: TriveniError) -> "Failure":
        """An error that may be shown."""
        return cls(type(error).__name__, error.status, error.problem, error.remedy)


@dataclass(frozen=True, slots=True)
class Stopped:
    """It ended because it was told to."""


def train_apart(
    train: Train,
    window: TimeWindow,
    seed: int,
    progress: Tell,
    stop: threading.Event,
    grace_seconds: float = GRACE_SECONDS,
) -> ModelCard | Failure | Stopped:
    """Run a training in a process of its own until it ends.

    Args:
        train: the training.
        window: the events to learn from.
        seed: makes it repeatable.
        progress: is told how far it is, in this thread.
        stop: set to stop it.
        grace_seconds: after so long it is killed if it does not stop by itself.
    """
    context = multiprocessing.get_context("spawn")  # a fork would inherit gRPC's threads half alive
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(theirs, train, window, seed), name="training")
    process.start()
    theirs.close()
    result: ModelCard | Failure | None = None
    try:
        result = _heard(ours, process, progress, stop, grace_seconds)
    finally:
        ours.close()
        process.join(grace_seconds if result is not None else _POLL_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode
        process.close()
    if isinstance(result, ModelCard):
        return result
    if stop.is_set():
        return Stopped()
    return result or Failure(
        "TrainingError",
        "INTERNAL",
        f"the training's process ended with exit code {code}",
        "see whether memory ran out, and train again",
    )


def _heard(
    pipe: Connection,
    process: BaseProcess,
    progress: Tell,
    stop: threading.Event,
    grace_seconds: float,
) -> ModelCard | Failure | None:
    """What the training ends with; None if it says nothing, or does not stop in time."""
    kill_at = float("inf")
    while time.monotonic() <= kill_at:
        if stop.is_set() and kill_at == float("inf"):
            kill_at = time.monotonic() + grace_seconds
            _send(pipe, _STOP)
        if pipe.poll(_POLL_SECONDS):
            try:
                message = json.loads(pipe.recv_bytes())
            except (EOFError, OSError):
                return None
            if "part" in message:
                progress(message["part"], message["stage"])
            elif "card" in message:
                return ModelCard.model_validate_json(message["card"])
            else:
                return Failure(**message)
        elif not process.is_alive() and not pipe.poll():  # its own children may hold the pipe open
            return None
    return None


def _child(pipe: Connection, train: Train, window: TimeWindow, seed: int) -> None:
    os.nice(NICENESS)
    stopped = threading.Event()
    threading.Thread(target=_listen, args=(pipe, stopped), daemon=True).start()
    last, last_stage = float("-inf"), ""

    def progress(part: float, stage: str) -> None:
        nonlocal last, last_stage
        now = time.monotonic()
        if stage != last_stage or now - last >= _REPORT_SECONDS:
            last, last_stage = now, stage
            _send(pipe, json.dumps({"part": min(max(float(part), 0.0), 1.0), "stage": stage}).encode())

    answer: dict[str, str]
    try:
        answer = {"card": train(progress, stopped.is_set, window, seed).to_json()}
    except TriveniError as error:
        answer = asdict(Failure.of(error))
    except Exception as error:  # noqa: BLE001 (told to the one who asked for the training)
        traceback.print_exc()
        said = f"the training failed ({type(error).__name__}: {error})"
        answer = asdict(Failure("UnexpectedError", "INTERNAL", said, "the log has the cause"))
    _send(pipe, json.dumps(answer).encode())


def _listen(pipe: Connection, stopped: threading.Event) -> None:
    try:
        while pipe.recv_bytes() != _STOP:
            pass
        stopped.set()
        pipe.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)  # whoever wanted the model is gone


def _send(pipe: Connection, message: bytes) -> None:
    try:
        pipe.send_bytes(message)
    except OSError:  # the other end is gone, and will be noticed where it is read
        return
