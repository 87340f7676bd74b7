"""Renders SVG in processes of their own: the renderer can abort, hang or hold the interpreter's lock.

Processes are started as threads need them and kept for the next drawing; they end when this one does.
"""

import atexit
import os
import selectors
import struct
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from encoders.errors import ContentError, LimitError

SECONDS = 20.0
"""A drawing that takes longer is given up."""

_SCRIPT = Path(__file__).with_name("render_worker.py")
_idle: "deque[_Worker]" = deque()
"""Processes that wait for a drawing. Its append and pop are atomic."""


def render_png(svg: str, width: int, height: int, seconds: float = SECONDS) -> bytes:
    """Render a drawing on white, fitted into a box.

    Args:
        svg: the document. It must have been cleaned: the renderer follows absolute paths.
        width: of the box, in pixels.
        height: of the box, in pixels.
        seconds: the longest that it may take.

    Returns:
        A PNG.

    Raises:
        ContentError: if the renderer refuses the document or fails on it.
        LimitError: if it takes too long.
    """
    worker = _borrow()
    try:
        status, body = worker.ask(svg.encode(), width, height, seconds)
    except TimeoutError as error:
        worker.end()
        raise LimitError(f"svg takes more than {seconds:g} seconds to render", "simplify the drawing") from error
    except (OSError, EOFError) as error:
        worker.end()
        raise ContentError(
            "svg cannot be rendered (the renderer failed)", "open it in an editor and save it again"
        ) from error
    except BaseException:
        worker.end()
        raise
    _idle.append(worker)
    if status:
        reason = body.decode(errors="replace")
        raise ContentError(f"svg cannot be rendered ({reason})", "open it in an editor and save it again")
    return body


def _borrow() -> "_Worker":
    while _idle:
        try:
            worker = _idle.pop()
        except IndexError:  # another thread was faster
            break
        if worker.usable():
            return worker
        worker.end()
    return _Worker()


@atexit.register
def _end_all() -> None:
    while _idle:
        _idle.pop().end()


class _Worker:
    """One process and its pipes, used by one thread at a time."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )

    def usable(self) -> bool:
        """Whether it runs and is ours: after a fork the pipes belong to the parent."""
        return self._owner == os.getpid() and self._process.poll() is None

    def ask(self, svg: bytes, width: int, height: int, seconds: float) -> tuple[int, bytes]:
        """Send one drawing and wait for the answer.

        Args:
            svg: the document.
            width: of the box, in pixels.
            height: of the box, in pixels.
            seconds: the longest that it may take.

        Returns:
            (0, PNG) or (1, message).

        Raises:
            TimeoutError: if it does not come in time.
            EOFError: if the process ended instead.
            OSError: if the process is gone.
        """
        deadline = time.monotonic() + seconds
        self._write(struct.pack("<III", len(svg), width, height) + svg, deadline)
        status, length = struct.unpack("<II", self._read(8, deadline))
        return status, self._read(length, deadline)

    def end(self) -> None:
        """Stop the process, whatever it does."""
        if self._owner != os.getpid():
            return
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def _write(self, message: bytes, deadline: float) -> None:
        pipe = self._process.stdin
        if pipe is None:  # pragma: no cover (it was opened above)
            raise EOFError
        os.set_blocking(pipe.fileno(), False)
        view = memoryview(message)
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_WRITE)
            while view:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                view = view[pipe.write(view) or 0 :]

    def _read(self, length: int, deadline: float) -> bytes:
        pipe = self._process.stdout
        if pipe is None:  # pragma: no cover (it was opened above)
            raise EOFError
        parts = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while len(parts) < length:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                part = os.read(pipe.fileno(), min(1 << 20, length - len(parts)))
                if not part:
                    raise EOFError
                parts += part
        return bytes(parts)
