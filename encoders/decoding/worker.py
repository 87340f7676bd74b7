"""The process that decodes pictures and sounds; `encoders.decoding.processes` starts it, and this is its other side.

It imports no more than the codecs, so that it starts fast and is small. For each content it gets a message with its
kind, its bytes in the shared memory, and answers with messages until one has "done" or "problem".
"""

import fcntl
import math
import os
import signal
import sys
import warnings
from contextlib import suppress

from PIL import PngImagePlugin

from encoders.decoding.budget import SMALL, give_back_memory
from encoders.decoding.channel import Channel, Message
from encoders.decoding.pcm import open_pcm
from encoders.decoding.raster import PictureLimits, decode_raster, open_raster, pixels_of
from encoders.decoding.svg import is_svg, render_svg
from encoders.errors import ContentError, LimitError

SLACK = 512 << 20
"""Bytes that decoding may take beyond those that were asked for: the file, its metadata, a drawing's elements."""
GRACE = 5
"""Seconds after the limit at which the process ends itself, if it still runs because nobody is there to end it."""
_TEXT = 500
"""Characters of a message."""
_PROFILE = 16 << 20
"""Bytes that a colour profile or a text of a PNG may unpack to; Pillow's own limit refuses large profiles."""


def main(socket: int, memory: int) -> None:
    """Decode contents until the other side is gone.

    Args:
        socket: descriptor of our end of the socket.
        memory: descriptor of the shared memory.
    """
    _confine()
    channel = Channel(socket, memory)
    channel.send({})
    with suppress(EOFError, ConnectionError):
        while True:
            request = channel.receive()
            _Job(channel, request).run()


class _Job:
    """One content."""

    def __init__(self, channel: Channel, request: Message) -> None:
        self._channel, self._request = channel, request
        self._seconds = math.ceil(request["seconds"]) + GRACE

    def run(self) -> None:
        kind = self._request["kind"]
        try:
            _limit_memory(SLACK)
            signal.alarm(self._seconds)
            answer = (self._picture if kind == "image" else self._sound)()
        except ContentError as error:
            answer = _problem(error)
        except MemoryError:
            text = f"{kind} takes more memory to decode than its size lets expect"
            answer = _problem(LimitError(text, "shrink the file, or save it again"))
        except Exception as error:  # noqa: BLE001 (whatever a codec raises, it is about this content)
            text = f"{kind} cannot be decoded ({type(error).__name__}: {error})"
            answer = _problem(ContentError(text, "open it in an editor and save it again"))
        finally:
            signal.alarm(0)
        self._channel.send(answer)

    def _ask(self, **message: object) -> None:
        """Say something, and wait until we may go on; that time does not count."""
        signal.alarm(0)
        self._channel.send(message)
        self._channel.receive()
        signal.alarm(self._seconds)

    def _take(self, size: int) -> None:
        """Ask for memory."""
        if size >= SMALL:
            self._ask(take=size)
        _limit_memory(SLACK + size)

    def _picture(self) -> Message:
        data, size = bytes(self._channel.get(self._request["bytes"])), self._request["size"]
        limits = PictureLimits(**self._request["limits"])
        if is_svg(data):
            drawing = render_svg(
                data,
                size=size,
                max_bytes=self._request["max_bytes"],
                max_pixels=limits.pixels,
                check=lambda embedded: pixels_of(embedded, limits),
                take=self._take,
            )
            picture = decode_raster(drawing, None)
        else:
            picture = decode_raster(open_raster(data, limits), size, self._take)
        self._channel.put(picture.tobytes())
        return {"done": picture.size}

    def _sound(self) -> Message:
        data = bytes(self._channel.get(self._request["bytes"]))
        with open_pcm(data, self._request["max_seconds"]) as sound:
            self._ask(rate=sound.rate, most=sound.most)
            for block in sound.blocks():
                self._channel.put(block.tobytes())
                self._ask(block=len(block))
        return {"done": True}


def _problem(error: ContentError) -> Message:
    return {
        "problem": error.problem[:_TEXT],
        "remedy": error.remedy[:_TEXT],
        "limit": isinstance(error, LimitError),
    }


def _confine() -> None:
    """End with the other side, even in the middle of a codec that holds the interpreter, and not before it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # When the other end of this pipe is closed, which nobody writes to, the kernel sends SIGIO, and that ends us.
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    give_back_memory()
    PngImagePlugin.MAX_TEXT_CHUNK = _PROFILE
    warnings.simplefilter("always")
    warnings.showwarning = _show
    with suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _show(message: Warning | str, *_: object, **__: object) -> None:
    with suppress(OSError):  # the pipe takes only so much
        print(message, file=sys.stderr, flush=True)


def _limit_memory(more: int) -> None:
    """Let the process take so many bytes of addresses more than it has."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm") as file:  # noqa: PTH123 (it is read for every content)
            have = int(file.read().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        soft = have + more if hard == resource.RLIM_INFINITY else min(have + more, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
