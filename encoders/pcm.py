"""Bytes of a sound file → samples.

What a header claims about length is never believed: blocks are read until the data ends or the limit is
passed, so that memory follows what is really there.
"""

import io
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import soundfile

from encoders.errors import ContentError, LimitError
from encoders.types import Floats

FORMATS = "wav, flac, ogg and mp3"
SLOWEST, FASTEST = 1_000, 384_000
"""Sample rates that are read, in Hz."""
MAX_CHANNELS = 64
ENOUGH = 0.98
"""A file that holds less than this share of what its header claims is truncated."""

_BLOCK = 1 << 17
"""Samples read at a time, over all channels."""
_COPIES = 3
"""Copies of a decoded sound that are there at once, with those that its encoder makes."""
_OPEN_ENDED = 0x7FFF_0000
"""A wav written to a pipe claims this many bytes or more (or none), for want of knowing."""


def decode_pcm(
    data: bytes, max_seconds: float, sample_rate: int, take: Callable[[int], None] = lambda size: None
) -> Floats:
    """Decode a sound to one channel at one rate, block by block: the samples are never there at the file's own rate.

    Args:
        data: the file.
        max_seconds: the longest sound that is accepted.
        sample_rate: the wanted rate in Hz.
        take: told, before samples are allocated, how many bytes they take with all copies at the most; it may wait.

    Returns:
        float32 (samples,), the mean of the channels, in [-1, 1].

    Raises:
        ContentError: if the file is of no known format, truncated, corrupt or without samples, or holds NaN or
            infinity.
        LimitError: if the sound is longer than `max_seconds`.
    """
    missing = _missing(data)
    if missing:
        raise ContentError(f"audio is truncated ({missing})", "send the whole file")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check_header(file)
            rate = int(file.samplerate)
            claimed = int(file.frames)
            samples, count = _read(file, max_seconds, sample_rate, take)
    except soundfile.LibsndfileError as error:
        reason = str(error.error_string).rstrip(". ")
        if "format not recognised" in reason.lower():
            raise ContentError(
                f"audio has no known format (it starts with {data[:8].hex(' ')})", f"send one of {FORMATS}"
            ) from error
        raise ContentError(f"audio is truncated or corrupt ({reason})", "send the whole file") from error
    except (RuntimeError, ValueError, TypeError) as error:
        raise ContentError(f"audio is corrupt ({error})", "send the whole file") from error
    if not count:
        raise ContentError("audio has no samples", "send a sound that is not empty")
    if count < claimed * ENOUGH and data[:4] != b"OggS":
        raise ContentError(
            f"audio is truncated (its header claims {claimed / rate:.1f} seconds, {count / rate:.1f} are there)",
            "send the whole file",
        )
    if not np.isfinite(samples).all():
        raise ContentError("audio holds samples that are NaN or infinite", "export the sound again")
    return np.clip(samples, -1.0, 1.0, out=samples)


def _check_header(file: soundfile.SoundFile) -> None:
    if not SLOWEST <= file.samplerate <= FASTEST:
        raise ContentError(
            f"audio has a sample rate of {file.samplerate} Hz, {SLOWEST} to {FASTEST} are read",
            "export it at 44100 Hz",
        )
    if file.channels > MAX_CHANNELS:
        raise LimitError(f"audio has {file.channels} channels, the limit is {MAX_CHANNELS}", "mix it down to stereo")


def _read(
    file: soundfile.SoundFile, max_seconds: float, wanted: int, take: Callable[[int], None]
) -> tuple[Floats, int]:
    """The channels averaged, at the wanted rate, float32 (n,), and the number of frames that were read.

    A block that holds NaN or infinity leaves some in the samples.
    """
    limit = math.floor(max_seconds * file.samplerate)
    # Of a file that can be wound libsndfile gives no more frames than the header claims.
    most = min(int(file.frames), limit) if file.seekable() else limit
    resampler = _Resampler(int(file.samplerate), wanted)
    room = resampler.length(most)
    take(_COPIES * room * 4)
    samples = np.empty(room, np.float32)
    count = done = 0
    while True:
        block = file.read(max(1, _BLOCK // file.channels), dtype="float32", always_2d=True)
        count += len(block)
        if count > limit:
            seconds = max(file.frames, count) / file.samplerate
            raise LimitError(
                f"audio is longer than {max_seconds:g} seconds (its header claims {seconds:.1f})",
                "raise limits.max_seconds or cut the sound",
            )
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
        made = resampler.add(mono) if len(block) else resampler.end()
        samples[done : done + len(made)] = made
        done += len(made)
        if not len(block):
            return samples[:done], count


class _Resampler:
    """Changes the rate of a sound block by block, by polyphase filtering (scipy, Kaiser window).

    The result is that of `scipy.signal.resample_poly` over the whole sound: each block is filtered with as much of
    its neighbours as the filter reaches. An odd ratio is replaced by the nearest with a denominator up to 1000: the
    pitch moves by less than 1e-3 of itself (two hundredths of a semitone).

    Args:
        rate: of the sound, in Hz.
        wanted: in Hz.
    """

    def __init__(self, rate: int, wanted: int) -> None:
        ratio = Fraction(wanted, rate).limit_denominator(1000)
        self._up, self._down = ratio.numerator, ratio.denominator
        self._filter: Any = None
        self._reach = 0
        """Samples before and behind a block, a multiple of `down`, so that every block begins at a new sample."""
        self._held = np.empty(0, np.float32)
        """What came last: `before` samples that are done, and the rest."""
        self._before = 0
        if self._up != self._down:
            from scipy.signal import firwin  # slow to import; pictures and texts never need it

            larger = max(self._up, self._down)
            self._filter = firwin(20 * larger + 1, 1 / larger, window=("kaiser", 5.0)).astype(np.float32)
            self._reach = self._down * math.ceil((10 * larger / self._up + 1) / self._down)

    def length(self, count: int) -> int:
        """Samples that come of `count` samples."""
        return math.ceil(count * self._up / self._down) if self._filter is not None else count

    def add(self, block: Floats) -> Floats:
        """Take the next samples (n,), and give those that can be made of what came so far."""
        if self._filter is None:
            return block
        self._held = np.concatenate([self._held, block])
        ready = (len(self._held) - self._before - self._reach) // self._down * self._down
        if ready < max(_BLOCK // 2, self._down):
            return np.empty(0, np.float32)
        made = self._made(self._held[: self._before + ready + self._reach])[: ready * self._up // self._down]
        keep = max(self._before + ready - self._reach, 0)  # a multiple of down, too
        self._before += ready - keep
        self._held = self._held[keep:].copy()
        return made

    def end(self) -> Floats:
        """The samples that are left."""
        return np.empty(0, np.float32) if self._filter is None else self._made(self._held)

    def _made(self, samples: Floats) -> Floats:
        from scipy.signal import resample_poly

        if not len(samples):
            return samples
        made = resample_poly(samples, self._up, self._down, window=self._filter)
        return np.asarray(made[self._before * self._up // self._down :], np.float32)


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
