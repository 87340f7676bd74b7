"""Processes that decode pictures and sounds: a codec may crash, hang or ask for all memory, and costs one content.

They are started as threads need them and kept for the next content. They end when this process does, however it ends.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import structlog

from encoders.decoding.channel import Channel, Message, shared_memory
from encoders.errors import ContentError, DecoderError, LimitError

START_SECONDS = 60.0
"""A process that is not ready after this time is given up."""
CONTENTS = 1000
"""A process is replaced after so many contents: what its codecs leak goes with it."""
MAX_LINES, MAX_LINE = 5, 200
"""Lines of a codec's own words on one content that are logged, and characters of a line."""

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from encoders.decoding.worker import main; main(*map(int, sys.argv[2:]))"
)
_ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
"""There is a process for each content: threads of their own would only take memory."""
_REMEDY = "open it in an editor and save it again"
_idle: "deque[Process]" = deque()
"""Processes that wait for a content. Its append and pop are atomic."""
_log = structlog.get_logger("triveni.decode")


class LostError(ContentError):
    """The process was lost to a content: it crashed, was killed, or had to be.

    Args:
        problem: see `TriveniError`.
        remedy: the same.
        seconds: the limit that it took longer than; None if that was not it.
    """

    def __init__(self, problem: str, remedy: str = "", *, seconds: float | None = None) -> None:
        super().__init__(problem, remedy)
        self.seconds = seconds


class CrashError(LostError):
    """The process crashed."""


class EndedError(LostError):
    """The process was killed while it decoded: by the system, for want of memory, or by somebody."""


class OvertimeError(LostError, LimitError):
    """The process was ended because it took too long."""


@contextmanager
def borrowed(slots: threading.Semaphore, kind: str, name: str, seconds: float) -> "Iterator[Process]":
    """A process for one content.

    Args:
        slots: bounds how many contents are decoded at once.
        kind: of the content, for messages.
        name: of the content, for the log.
        seconds: the longest that the process may take.

    Raises:
        DecoderError: if no process can be started.
    """
    with slots:
        process = _borrow()
        process.begin(kind, seconds)
        try:
            yield process
        finally:
            process.log_noise(name)
            if process.between_contents:
                process.rest()
                _idle.append(process)
            else:
                process.end()


def _borrow() -> "Process":
    while _idle:
        try:
            process = _idle.pop()
        except IndexError:  # another thread was faster
            break
        if process.usable:
            return process
        process.end()
    return Process()


@atexit.register
def _end_all() -> None:
    while _idle:
        _idle.pop().end()


class Process:
    """A process that decodes, used by one thread at a time.

    Raises:
        DecoderError: if it cannot be started.
    """

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._left = CONTENTS
        self._kind = "content"
        self._seconds = self._time_left = START_SECONDS
        self.between_contents = False
        """Whether it waits for the next content; if not, its answer to this one is still to come."""
        with ExitStack() as undo:
            try:
                memory = shared_memory()
                undo.callback(os.close, memory)
                ours, theirs = socket.socketpair()
                undo.callback(ours.close)
                undo.callback(theirs.close)
                self._noise, noise = os.pipe()
            except OSError as error:
                raise DecoderError(f"decoder cannot be started ({error.strerror})", "raise ulimit -n") from error
            undo.pop_all()
        os.set_blocking(self._noise, False)
        os.set_blocking(noise, False)  # who says more than fits is not heard, but does not wait either
        self._channel = Channel(ours.detach(), memory)
        command = [sys.executable, "-I", "-c", _PROGRAM, json.dumps(sys.path), str(theirs.fileno()), str(memory)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # nothing is written: it tells when we are gone
                stdout=noise,
                stderr=noise,
                pass_fds=(theirs.fileno(), memory),
                env={**os.environ, **_ALONE},
                start_new_session=True,  # Ctrl-C is for us, who finish what was begun
            )
        except OSError as error:
            self._close()
            raise DecoderError(f"decoder cannot be started ({error.strerror})", "free some memory") from error
        finally:
            theirs.close()
            os.close(noise)
        try:
            self._channel.receive(START_SECONDS)
        except (TimeoutError, EOFError, OSError) as error:
            said = self._read_noise().strip().rpartition("\n")[2]
            self.end()
            raise DecoderError(f"decoder does not start ({said or type(error).__name__})", "see the log") from error

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it runs, is not worn out, and is ours: after a fork it belongs to the parent."""
        return self._owner == os.getpid() and self._left > 0 and self._process.poll() is None

    def begin(self, kind: str, seconds: float) -> None:
        """Take note of the next content."""
        self._kind, self._seconds, self._time_left = kind, seconds, seconds
        self._left -= 1
        self.between_contents = False

    def put(self, content: bytes) -> None:
        """Hand over the bytes of the content.

        Raises:
            DecoderError: if there is no memory for them.
        """
        try:
            self._channel.put(content)
        except OSError as error:
            raise DecoderError(f"decoder gets no memory ({error.strerror})", "free some memory") from error

    def rest(self) -> None:
        """Give back the memory of the content."""
        self._channel.clear()

    def get(self, size: int) -> bytearray:
        """What it has decoded, so many bytes.

        Raises:
            LostError: if that is not there.
        """
        try:
            return self._channel.get(size)
        except EOFError as error:
            raise self._failed() from error

    def ask(self, **message: object) -> Message:
        """Say something and wait for the answer. The time that we take in between does not count.

        Raises:
            ContentError: if it refuses the content.
            LimitError: if the content is over a limit.
            CrashError: if it crashes.
            OvertimeError: if it takes too long.
            EndedError: if it is killed; that need not be about the content.
        """
        begun = time.monotonic()
        try:
            self._channel.send(message)
            answer = self._channel.receive(max(0.0, self._time_left))
        except TimeoutError as error:
            raise OvertimeError(
                f"{self._kind} takes more than {self._seconds:g} seconds to decode",
                f"raise limits.max_decoding_seconds, or {_REMEDY}",
                seconds=self._seconds,
            ) from error
        except (EOFError, OSError) as error:
            raise self._failed() from error
        self._time_left -= time.monotonic() - begun
        self.between_contents = "problem" in answer or "done" in answer
        if "problem" in answer:
            kind = LimitError if answer["limit"] else ContentError
            raise kind(answer["problem"], answer["remedy"])
        return answer

    def _failed(self) -> LostError:
        self.between_contents = False
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode or 0
        if code == -signal.SIGKILL:
            return EndedError(
                f"{self._kind} cannot be decoded (the decoder was killed)", "free some memory, try again"
            )
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else "failed"
        return CrashError(f"{self._kind} cannot be decoded (the decoder {how})", _REMEDY)

    def log_noise(self, name: str) -> None:
        """Log what codecs have written to standard error and output."""
        if not (lines := self._read_noise().splitlines()):
            return
        for line in lines[:MAX_LINES]:
            _log.info("decoder", source=name, said=line[:MAX_LINE])
        if len(lines) > MAX_LINES:
            _log.info("decoder", source=name, more_lines=len(lines) - MAX_LINES)

    def _read_noise(self) -> str:
        try:
            return os.read(self._noise, 1 << 16).decode(errors="replace")
        except BlockingIOError:
            return ""

    def end(self) -> None:
        """Stop the process, whatever it does."""
        if self._owner != os.getpid():
            return
        self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        self._channel.close()
        os.close(self._noise)
