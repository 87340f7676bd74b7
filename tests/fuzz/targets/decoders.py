"""Pictures, drawings, sounds and texts.

The codecs run in this process by the code of the process that decodes, which is what finds most in a second; `pool`
sends fewer contents through the real processes.
"""

import gzip
import resource
from collections.abc import Callable, Mapping

import numpy as np

from encoders.decoding import worker
from encoders.decoding.channel import Message
from encoders.decoding.decode import decode_audio, decode_image, decode_text
from encoders.decoding.limits import DecodeLimits
from encoders.types import Audio, Image, Text
from tests.encoders.media import SVG, halves, saved, sine, sound
from tests.fuzz.target import OK, Finding, Target, outcome
from tests.tiny import png_bytes

LIMITS = DecodeLimits(max_bytes=1 << 20, max_pixels=1 << 20, max_seconds=60, max_decoding_seconds=10, decoders=2)


class _Here:
    """Both ends of a `Channel`, for a decoder in this process."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.answer: Message = {}

    def send(self, message: Message) -> None:
        self.answer = message

    def receive(self) -> Message:
        return {}

    def get(self, size: int) -> bytearray:
        return bytearray(self._content[:size])

    def put(self, content: bytes) -> None:
        pass


def _decoding(**request: object) -> Callable[[], Callable[[bytes], str]]:
    def make() -> Callable[[bytes], str]:
        worker.give_back_memory()

        def one(data: bytes) -> str:
            here = _Here(data)
            asked = {"bytes": len(data), "seconds": LIMITS.max_decoding_seconds, **request}
            before = resource.getrlimit(resource.RLIMIT_AS)
            try:
                worker._Job(here, asked).run()  # type: ignore[arg-type]
            finally:
                resource.setrlimit(resource.RLIMIT_AS, before)
            if here.answer.get("done"):
                return OK
            if not here.answer["problem"] or not here.answer["remedy"]:
                raise Finding(f"an answer says too little: {here.answer}")
            return "LimitError" if here.answer["limit"] else "ContentError"

        return one

    return make


def _pool() -> Callable[[bytes], str]:
    """Through the processes. The first byte chooses."""

    def one(data: bytes) -> str:
        kind, rest = data[:1], data[1:]
        if kind in b"is":
            return outcome(lambda: decode_image(Image(rest), LIMITS, 32))
        return outcome(lambda: decode_audio(Audio(rest), LIMITS, 16_000))

    return one


def _text() -> Callable[[bytes], str]:
    """Of UTF-16, as that has all that Python's texts have, halves of surrogate pairs too."""
    return lambda data: outcome(
        lambda: decode_text(Text(data[: len(data) & ~1].decode("utf-16-le", "surrogatepass")), LIMITS)
    )


def pictures() -> Mapping[str, bytes]:
    """A small picture of each format."""
    found = {kind.lower(): saved(halves(), kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")}
    palette = halves().convert("P")
    return {
        **found,
        "lossless.webp": saved(halves(), "WEBP", lossless=True),
        "animated.gif": saved(palette, "GIF", save_all=True, append_images=[palette.rotate(180)], transparency=0),
        "animated.png": saved(halves(), "PNG", save_all=True, append_images=[halves().rotate(180)]),
        "lzw.tiff": saved(halves().convert("L"), "TIFF", compression="tiff_lzw"),
        "float.tiff": saved(halves().convert("F"), "TIFF"),
        "profile.png": saved(
            halves().convert("RGBA"), "PNG", icc_profile=b"profile", exif=b"Exif\0\0II*\0\x08\0\0\0"
        ),
        "progressive.jpeg": saved(halves().convert("CMYK"), "JPEG", progressive=True),
        "rle.bmp": saved(palette, "BMP"),
    }


def drawings() -> Mapping[str, bytes]:
    """Drawings with what drawings have."""
    bodies = {
        "shapes": '<rect width="20" height="20" fill="red"/><path d="M0 0L9 9C1 2 3 4 5 6Z" stroke="blue"/>',
        "use": '<defs><g id="a"><circle r="5" cx="3" cy="3"/></g></defs><use href="#a"/><use xlink:href="#a" x="9"/>',
        "gradient": '<linearGradient id="g"><stop offset="0" stop-color="red"/><stop offset="1"/></linearGradient>'
        '<rect width="9" height="9" fill="url(#g)" transform="rotate(9) scale(2)"/>',
        "filter": '<filter id="f"><feGaussianBlur stdDeviation="2"/></filter>'
        '<rect width="9" height="9" filter="url(#f)"/>',
        "style": '<style>.a{fill:url(#g)} rect{filter:url(#f)}</style><rect class="a" width="9" height="9"/>',
        "mask": '<mask id="m"><rect width="9" height="9" fill="white"/></mask>'
        '<g mask="url(#m)"><rect width="9" height="9"/></g>',
        "marker": '<marker id="k"><path d="M0 0L9 9"/></marker><polyline points="0,0 9,9 3,4" marker-mid="url(#k)"/>',
    }
    whole = {name: (SVG + body + "</svg>").encode() for name, body in bodies.items()}
    entities = b'<!DOCTYPE svg [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>' + SVG.encode() + b"<text>&b;</text></svg>"
    return {
        **whole,
        "entities": entities,
        "gzip": gzip.compress(whole["shapes"]),
        "utf16": whole["use"].decode().encode("utf-16"),
    }


def sounds() -> Mapping[str, bytes]:
    """A short sound of each format."""
    short = sine(440, 8000, 0.05)
    kinds = {
        "wav": ("WAV", "PCM_16"), "float.wav": ("WAV", "FLOAT"), "adpcm.wav": ("WAV", "IMA_ADPCM"),
        "flac": ("FLAC", None), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", None),
        "aiff": ("AIFF", "PCM_16"), "au": ("AU", "ULAW"), "caf": ("CAF", "ALAC_16"), "w64": ("W64", "PCM_16"),
    }  # fmt: skip
    stereo = np.stack([short, short], axis=1)
    made = {name: sound(kind, short, 8000, subtype) for name, (kind, subtype) in kinds.items()}
    return {**made, "stereo.flac": sound("FLAC", stereo, 8000)}


def _texts() -> Mapping[str, bytes]:
    texts = {"plain": "a red bird", "wide": "größer 鳥 🐦 ", "half": "a\ud800", "nul": "a\0b", "blank": " \u2003\n"}
    return {name: text.encode("utf-16-le", "surrogatepass") for name, text in texts.items()}


def _contents() -> Mapping[str, bytes]:
    return {
        **{f"i.{name}": b"i" + data for name, data in pictures().items()},
        **{f"s.{name}": b"s" + data for name, data in drawings().items()},
        **{f"a.{name}": b"a" + data for name, data in sounds().items()},
        "i.large.png": b"i" + png_bytes(1, 64),
    }


_PICTURE = {
    "kind": "image",
    "size": 32,
    "max_bytes": LIMITS.max_bytes,
    "limits": {"pixels": LIMITS.max_pixels, "side": LIMITS.max_side, "ratio": LIMITS.max_ratio},
}
TARGETS = {
    "image": Target(_decoding(**_PICTURE), pictures, share=150),
    "svg": Target(_decoding(**_PICTURE), drawings, share=60),
    "audio": Target(
        _decoding(kind="audio", max_seconds=LIMITS.max_seconds),
        sounds,
        share=150,
        max_bytes=8192,
    ),
    "text": Target(_text, _texts, share=30),
    "pool": Target(_pool, _contents, share=10, max_bytes=8192),
}
