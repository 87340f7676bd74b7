"""Bytes of a sound file → samples.

What a header claims about length is never believed: blocks are read until the data ends or the limit is
passed, so that memory follows what is really there.
"""

import io
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import soundfile

from encoders.decoding.mpeg import bare_frames
from encoders.errors import ContentError, LimitError
from encoders.types import Floats

FORMATS = "wav, flac, ogg and mp3"
SLOWEST, FASTEST = 1_000, 384_000
"""Sample rates that are read, in Hz."""
MAX_CHANNELS = 64
BLOCK = 1 << 17
"""Samples read at a time, over all channels."""
ENOUGH = 0.98
"""A file that holds less than this share of what its header claims is truncated."""

_UNKNOWN = 0x7FFF_FFFF_FFFF_FFFF
"""What libsndfile says of a length that no header claims."""
_OPEN_ENDED = 0x7FFF_0000
"""A wav written to a pipe claims this many bytes or more (or none), for want of knowing."""


class Pcm:
    """An opened sound. See `open_pcm`."""

    def __init__(self, file: soundfile.SoundFile, most: int, max_seconds: float, *, claimed: bool) -> None:
        self._file = file
        self._claimed = most if claimed else 0
        self._seconds = max_seconds
        self.rate = int(file.samplerate)
        """In Hz."""
        self._limit = math.floor(max_seconds * self.rate)
        self.most = min(most, self._limit)
        """At most so many samples come."""

    def blocks(self) -> Iterator[Floats]:
        """The channels averaged, float32 (n,), block by block; NaN and infinity are left in.

        Raises:
            ContentError: if there are no samples, or fewer than the header claims.
            LimitError: if there are too many.
        """
        count = 0
        while len(block := self._file.read(max(1, BLOCK // self._file.channels), dtype="float32", always_2d=True)):
            count += len(block)
            if count > self._limit:
                claim = f" (its header claims {self._claimed / self.rate:.1f})" if self._claimed else ""
                raise LimitError(
                    f"audio is longer than {self._seconds:g} seconds{claim}",
                    "raise limits.max_seconds or cut the sound",
                )
            yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
        if not count:
            raise ContentError("audio has no samples", "send a sound that is not empty")
        if count < self._claimed * ENOUGH and self._file.format != "OGG":  # whose claim is no more than its last page
            claimed, there = self._claimed / self.rate, count / self.rate
            raise ContentError(
                f"audio is truncated (its header claims {claimed:.1f} seconds, {there:.1f} are there)",
                "send the whole file",
            )


@contextmanager
def open_pcm(data: bytes, max_seconds: float) -> Iterator[Pcm]:
    """Open a sound, whose samples can be read within the `with` block; what is found wrong there is an error, too.

    Args:
        data: the file.
        max_seconds: the longest sound that is accepted.

    Raises:
        ContentError: if the file is of no known format, truncated, corrupt or without samples.
        LimitError: if the sound is longer than `max_seconds`, or has too many channels.
    """
    missing = _missing(data)
    if missing:
        raise ContentError(f"audio is truncated ({missing})", "send the whole file")
    try:
        with _open(data) as (file, most, claimed):
            _check_header(file)
            yield Pcm(file, most, max_seconds, claimed=claimed)
    except soundfile.LibsndfileError as error:
        raise _unreadable(data, str(error.error_string).rstrip(". ")) from error
    except (RuntimeError, ValueError, TypeError) as error:
        raise ContentError(f"audio is corrupt ({error})", "send the whole file") from error


class _Straight(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """Read from begin to end: soundfile winds a file after every block, which some cannot take and all are slower
    by."""

    def seekable(self) -> bool:
        return False


@contextmanager
def _open(data: bytes) -> Iterator[tuple[soundfile.SoundFile, int, bool]]:
    """A sound, how many samples it has at the most, and whether a header claims so.

    Where an mp3 has no Xing header, libsndfile guesses its length from the file's size and the first frame, and reads
    no further: too little where the bit rate falls. Of a pipe it cannot guess, and reads all.
    """
    frames = bare_frames(data) if data.startswith((b"ID3", b"\xff")) else None
    if frames is None:
        with _Straight(io.BytesIO(data)) as file:
            yield file, file.frames, file.frames < _UNKNOWN
        return
    reading, writing = os.pipe()
    feeder = threading.Thread(target=_feed, args=(writing, frames.data), daemon=True)
    feeder.start()
    try:
        with open(reading, "rb", buffering=0) as pipe, _Straight(pipe.fileno(), closefd=False) as file:  # noqa: PTH123
            yield file, frames.samples, False
    finally:
        feeder.join()


def _feed(pipe: int, data: bytes) -> None:
    with suppress(BrokenPipeError), open(pipe, "wb") as file:
        file.write(data)


def _unreadable(data: bytes, reason: str) -> ContentError:
    if "format not recognised" in reason.lower():
        start = data[:8].hex(" ")
        return ContentError(f"audio has no known format (it starts with {start})", f"send one of {FORMATS}")
    return ContentError(f"audio is truncated or corrupt ({reason})", "send the whole file")


def _check_header(file: soundfile.SoundFile) -> None:
    if not SLOWEST <= file.samplerate <= FASTEST:
        raise ContentError(
            f"audio has a sample rate of {file.samplerate} Hz, {SLOWEST} to {FASTEST} are read",
            "export it at 44100 Hz",
        )
    if file.channels > MAX_CHANNELS:
        raise LimitError(f"audio has {file.channels} channels, the limit is {MAX_CHANNELS}", "mix it down to stereo")


def _missing(data: bytes) -> str:
    """Says what a wav or ogg file promises and does not hold, "" if it is whole or cannot be told.

    libsndfile quietly shortens both.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        at = 12
        while at + 8 <= len(data):
            length = int.from_bytes(data[at + 4 : at + 8], "little")
            if data[at : at + 4] == b"data":
                held = len(data) - at - 8
                if held < length * ENOUGH and length < _OPEN_ENDED:
                    return f"its header claims {length} bytes of samples, {held} are there"
                return ""
            at += 8 + length + (length & 1)
        return f"it has no samples in its {len(data)} bytes"
    if data[:4] == b"OggS":
        at = data.rfind(b"OggS")
        table = data[at + 27 : at + 27 + data[at + 26]] if len(data) > at + 26 else b""
        end = at + 27 + len(table) + sum(table)
        if len(data) <= at + 26 or len(table) < data[at + 26] or end > len(data):
            return "its last page is cut off"
    return ""
