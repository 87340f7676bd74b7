"""Bytes of a sound file → samples.

What a header claims about length is never believed: blocks are read until the data ends or the limit is
passed, so that memory follows what is really there.
"""

import io
import math
from fractions import Fraction

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
_OPEN_ENDED = 0x7FFF_0000
"""A wav written to a pipe claims this many bytes or more (or none), for want of knowing."""


def decode_pcm(data: bytes, max_seconds: float, sample_rate: int) -> Floats:
    """Decode a sound to one channel at one rate.

    Args:
        data: the file.
        max_seconds: the longest sound that is accepted.
        sample_rate: the wanted rate in Hz.

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
            samples = _read(file, max_seconds)
    except soundfile.LibsndfileError as error:
        reason = str(error.error_string).rstrip(". ")
        if "format not recognised" in reason.lower():
            raise ContentError(
                f"audio has no known format (it starts with {data[:8].hex(' ')})", f"send one of {FORMATS}"
            ) from error
        raise ContentError(f"audio is truncated or corrupt ({reason})", "send the whole file") from error
    except (RuntimeError, ValueError, TypeError) as error:
        raise ContentError(f"audio is corrupt ({error})", "send the whole file") from error
    if not samples.size:
        raise ContentError("audio has no samples", "send a sound that is not empty")
    if samples.size < claimed * ENOUGH and data[:4] != b"OggS":
        raise ContentError(
            f"audio is truncated (its header claims {claimed / rate:.1f} seconds, "
            f"{samples.size / rate:.1f} are there)",
            "send the whole file",
        )
    if not np.isfinite(samples).all():
        raise ContentError("audio holds samples that are NaN or infinite", "export the sound again")
    return np.clip(_resample(samples, rate, sample_rate), -1.0, 1.0)


def _check_header(file: soundfile.SoundFile) -> None:
    if not SLOWEST <= file.samplerate <= FASTEST:
        raise ContentError(
            f"audio has a sample rate of {file.samplerate} Hz, {SLOWEST} to {FASTEST} are read",
            "export it at 44100 Hz",
        )
    if file.channels > MAX_CHANNELS:
        raise LimitError(f"audio has {file.channels} channels, the limit is {MAX_CHANNELS}", "mix it down to stereo")


def _read(file: soundfile.SoundFile, max_seconds: float) -> Floats:
    """All samples, the channels averaged, float32 (n,)."""
    limit = math.floor(max_seconds * file.samplerate)
    blocks: list[Floats] = []
    count = 0
    while True:
        block = file.read(max(1, _BLOCK // file.channels), dtype="float32", always_2d=True)
        if not len(block):
            break
        count += len(block)
        if count > limit:
            seconds = max(file.frames, count) / file.samplerate
            raise LimitError(
                f"audio is longer than {max_seconds:g} seconds (its header claims {seconds:.1f})",
                "raise limits.max_seconds or cut the sound",
            )
        blocks.append(block[:, 0] if block.shape[1] == 1 else block.mean(axis=1))
    return np.concatenate(blocks) if blocks else np.empty(0, np.float32)


def _resample(samples: Floats, rate: int, wanted: int) -> Floats:
    """Change the rate by polyphase filtering (scipy, Kaiser window), float32 (n,) → (≈ n · wanted / rate,).

    An odd ratio is replaced by the nearest with a denominator up to 1000: the pitch moves by less than
    1e-4 of itself.
    """
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly  # slow to import; pictures and texts never need it

    ratio = Fraction(wanted, rate).limit_denominator(1000)
    return np.asarray(resample_poly(samples, ratio.numerator, ratio.denominator), np.float32)


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
