"""The frames of an mp3 file, counted: where no header says how long a sound is, libsndfile guesses.

After http://www.mp3-tech.org/programmer/frame_header.html.
"""

from typing import NamedTuple

_RATES = (44_100, 48_000, 32_000)
"""Hz of MPEG 1; half of them in MPEG 2, a quarter in MPEG 2.5."""
_KILOBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Per second, by version (2.5 is as 2) and layer."""
_CLAIMS = (b"Xing", b"Info", b"VBRI")
"""What a first frame holds that says how many there are."""
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN")
"""What stands behind the last frame."""
_PADDING = 4096
"""Bytes that may stand between a tag and the first frame."""
_DENSEST = 24
"""Samples per byte, at the most: 8 kbit/s at 24 kHz."""


class Frames(NamedTuple):
    """The frames of a sound whose length no header says."""

    data: bytes
    """They alone, without tags and without a last one that is cut off."""
    samples: int
    """At most; exact where nothing but frames and tags is in the file."""


def bare_frames(data: bytes) -> Frames | None:
    """Find the frames of an MPEG audio file.

    Args:
        data: the file.

    Returns:
        What there is from the first frame on. None if a header claims the length, or there is no frame where the
        first should be.
    """
    start = at = _first_frame(data)
    samples = 0
    while (frame := _frame(data, at)) is not None:
        size, length = frame
        if at == start and any(claim in data[at : at + 64] for claim in _CLAIMS):
            return None
        if at + size > len(data):
            return Frames(data[start:at], samples)
        at, samples = _behind_tags(data, at + size), samples + length
    if at == start:
        return None
    end = at if data.startswith(_TAGS, at) else len(data)
    return Frames(data[start:end], samples + _DENSEST * (end - at))


def _first_frame(data: bytes) -> int:
    """Where the first frame begins that another one follows; behind the tags, if there is none."""
    tagged = _behind_tags(data, 0)
    for at in range(tagged, min(tagged + _PADDING, len(data))):
        frame = _frame(data, at)
        if frame is not None and (at == tagged or _frame(data, at + frame[0]) is not None):
            return at
    return tagged


def _behind_tags(data: bytes, at: int) -> int:
    """Where the ID3v2 tags end that begin here (https://id3.org/id3v2.4.0-structure)."""
    while data[at : at + 3] == b"ID3" and at + 10 <= len(data):
        size = 0
        for part in data[at + 6 : at + 10]:
            size = size << 7 | part & 0x7F
        at += size + (20 if data[at + 5] & 0x10 else 10)
    return at


def _frame(data: bytes, at: int) -> tuple[int, int] | None:
    """Bytes and samples of the frame that begins here, None if none does."""
    head = int.from_bytes(data[at : at + 4], "big")
    divisor = (4, 0, 2, 1)[head >> 19 & 3]
    layer, bits, rate = 4 - (head >> 17 & 3), head >> 12 & 15, head >> 10 & 3
    if head >> 21 != 0x7FF or not divisor or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    version, hertz = min(divisor, 2), _RATES[rate] // divisor
    samples = 384 if layer == 1 else 576 if (version, layer) == (2, 3) else 1152
    unit = 4 if layer == 1 else 1
    kilobits = _KILOBITS[version, layer][bits - 1]
    return (samples // 8 // unit * 1000 * kilobits // hertz + (head >> 9 & 1)) * unit, samples
