"""The one place that opens a source: texts, pictures and sounds, under limits.

Formats are read by `raster`, `svg` and `pcm` beside this file, in processes of their own (`processes`). All functions
may run in many threads at once.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import structlog
from PIL import Image as Pillow

from encoders.decoding.budget import MemoryLease
from encoders.decoding.limits import DEFAULT_LIMITS, DecodeLimits
from encoders.decoding.processes import EndedError, LostError, borrowed
from encoders.decoding.resample import Resampler
from encoders.errors import ContentError, LimitError
from encoders.types import Audio, Content, Floats, Image, Text

Decoded = TypeVar("Decoded")

_log = structlog.get_logger("triveni.decode")

_COPIES = 3
"""Copies of a decoded sound that are there at once, with those that its encoder makes."""


def decode_text(content: Content, limits: DecodeLimits = DEFAULT_LIMITS) -> str:
    """Check a text.

    Args:
        content: the text.
        limits: bounds on characters.

    Returns:
        The text without the white space around it.

    Raises:
        ContentError: if it is blank, or holds NUL or half of a surrogate pair, or the content is not a text.
        LimitError: if it is over `limits.max_characters`.
    """
    if not isinstance(content, Text):
        raise _other("text", content)
    text = content.text
    if len(text) > limits.max_characters:
        raise LimitError(
            f"text has {len(text)} characters, the limit is {limits.max_characters}",
            "raise limits.max_characters or shorten the text",
        )
    stripped = text.strip()
    if not stripped:
        raise ContentError("text is empty" if not text else "text is blank", "send some words")
    if "\0" in text:
        raise ContentError(f"text has a NUL character at position {text.index(chr(0))}", "remove it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ContentError(
            f"text has half of a surrogate pair (U+{ord(text[error.start]):04X}) at position {error.start}",
            "send valid unicode",
        ) from error
    return stripped


def decode_image(content: Content, limits: DecodeLimits = DEFAULT_LIMITS, size: int | None = None) -> Pillow.Image:
    """Decode a picture: png, jpeg, gif, webp, bmp, tiff, avif, svg or svgz; of an animation the first frame.

    Args:
        content: the picture.
        limits: bounds on bytes and pixels, checked before pixels are allocated, and on time.
        size: the shorter side that will be needed, in pixels. It is a hint that saves time: a drawing is
            rendered at this size, a far larger picture shrunk while it is decoded, but never below it.

    Returns:
        An RGB picture, upright by its EXIF orientation, with transparency on white.

    Raises:
        ContentError: if it cannot be read, is truncated, corrupt or of no known format, or is not a picture.
        LimitError: if it is over a limit, or takes too long to decode.
    """
    with decoding_image(content, limits, size) as picture:
        return picture


@contextmanager
def decoding_image(content: Content, limits: DecodeLimits, size: int | None = None) -> Iterator[Pillow.Image]:
    """`decode_image` for the length of a `with` block, in which the picture counts in `limits.budget`."""
    if not isinstance(content, Image):
        raise _other("image", content)
    data = _read(content.source, "image", limits)
    name = _name(content, data)

    def decode(lease: MemoryLease) -> Pillow.Image:
        with borrowed(limits.slots, "image", name, limits.max_decoding_seconds) as process:
            process.put(data)
            answer = process.ask(
                kind="image",
                bytes=len(data),
                size=size,
                seconds=limits.max_decoding_seconds,
                max_bytes=limits.max_bytes,
                limits={"pixels": limits.max_pixels, "side": limits.max_side, "ratio": limits.max_ratio},
            )
            if "take" in answer:
                lease.take(answer["take"])
                answer = process.ask()
            width, height = answer["done"]
            return Pillow.frombytes("RGB", (width, height), process.get(3 * width * height))

    with limits.budget.lease() as lease:
        yield _decoded(decode, lease, limits, "image", data, name)


def decode_audio(content: Content, limits: DecodeLimits, sample_rate: int) -> Floats:
    """Decode a sound: wav, flac, ogg or mp3.

    Args:
        content: the sound.
        limits: bounds on bytes, seconds and time.
        sample_rate: the wanted rate in Hz.

    Returns:
        float32 (samples,), one channel, in [-1, 1].

    Raises:
        ContentError: if it cannot be read, is truncated, corrupt, empty or of no known format, holds NaN or
            infinity, or is not a sound.
        LimitError: if it is over a limit, or takes too long to decode.
    """
    with decoding_audio(content, limits, sample_rate) as samples:
        return samples


@contextmanager
def decoding_audio(content: Content, limits: DecodeLimits, sample_rate: int) -> Iterator[Floats]:
    """`decode_audio` for the length of a `with` block, in which the sound counts in `limits.budget`."""
    if not isinstance(content, Audio):
        raise _other("audio", content)
    data = _read(content.source, "audio", limits)
    name = _name(content, data)

    def decode(lease: MemoryLease) -> Floats:
        with borrowed(limits.slots, "audio", name, limits.max_decoding_seconds) as process:
            process.put(data)
            answer = process.ask(
                kind="audio",
                bytes=len(data),
                seconds=limits.max_decoding_seconds,
                max_seconds=limits.max_seconds,
            )
            resampler = Resampler(answer["rate"], sample_rate)
            lease.take(_COPIES * 4 * resampler.length(answer["most"]))
            parts = []
            while "block" in (answer := process.ask()):
                parts.append(resampler.add(np.frombuffer(process.get(4 * answer["block"]), np.float32)))
        return np.concatenate([*parts, resampler.end()])

    with limits.budget.lease() as lease:
        samples = _decoded(decode, lease, limits, "audio", data, name)
        if not np.isfinite(samples).all():
            raise ContentError("audio holds samples that are NaN or infinite", "export the sound again")
        yield np.clip(samples, -1.0, 1.0, out=samples)


def _decoded(
    decode: Callable[[MemoryLease], Decoded],
    lease: MemoryLease,
    limits: DecodeLimits,
    kind: str,
    data: bytes,
    name: str,
) -> Decoded:
    """Decode, unless it is in quarantine; it counts there what processes are lost.

    It is tried again at once if the process was killed: the system may have chosen it for what others took. So that
    counts only if it happens to both.
    """
    limits.quarantined.check(kind, data)
    lost: list[LostError] = []
    try:
        try:
            return decode(lease)
        except EndedError as error:
            lease.give_back()
            lost.append(error)
            return decode(lease)
    except LostError as error:
        for one in (*lost, error):
            _log.warning("decoder lost", source=name, reason=one.problem)
            try:
                limits.quarantined.add(data, name, one.problem, one.seconds)
            except OSError as failure:  # a disk that is full or read-only
                _log.warning("quarantine not written", reason=str(failure))
        raise


def _name(content: Image | Audio, data: bytes) -> str:
    """What the log calls a content."""
    if content.name or isinstance(content.source, Path):
        return content.name or str(content.source)
    return f"{content.modality} of {len(data)} bytes"


def _other(wanted: str, content: Content) -> ContentError:
    return ContentError(f"content is {content.modality}, not {wanted}", f"send it to the {wanted} encoder")


def _read(source: bytes | Path, kind: str, limits: DecodeLimits) -> bytes:
    """The bytes of a source, at most `limits.max_bytes`."""
    if isinstance(source, bytes):
        data, name = source, kind
    else:
        data, name = _read_file(source, kind, limits.max_bytes), f"{kind} file {source}"
    if not data:
        raise ContentError(f"{name} has zero bytes", "send a file that is not empty")
    if len(data) > limits.max_bytes:
        raise _too_large(name, len(data), limits.max_bytes)
    return data


def _read_file(path: Path, kind: str, limit: int) -> bytes:
    name = f"{kind} file {path}"
    try:
        # O_NONBLOCK: a named pipe would wait for a writer before it could be refused.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
            state = os.fstat(handle)
            if not stat.S_ISREG(state.st_mode):
                raise ContentError(f"{name} is a device, pipe or socket", "name a regular file")
            if state.st_size > limit:
                raise _too_large(name, state.st_size, limit)
            return file.read(limit + 1)
    except FileNotFoundError as error:
        raise ContentError(f"{name} does not exist", "check the path and the root folder") from error
    except IsADirectoryError as error:
        raise ContentError(f"{name} is a directory", "name a file in it") from error
    except PermissionError as error:
        raise ContentError(f"{name} may not be read", "give this user the right to read it") from error
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO).lower()
        raise ContentError(f"{name} cannot be read ({reason})", "check the path") from error
    except ValueError as error:
        raise ContentError(f"{name!r} is no path ({error})", "check the path") from error


def _too_large(name: str, size: int, limit: int) -> LimitError:
    return LimitError(f"{name} has {size} bytes, the limit is {limit}", "raise limits.max_bytes or shrink the file")
