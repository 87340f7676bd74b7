"""Texts, pictures, sounds, items and vectors, as they are handed in, become messages."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from triveni.client.errors import InvalidError
from triveni.v1 import content_pb2, recommendation_pb2

Modality: TypeAlias = Literal["text", "image", "audio"]
MODALITIES: tuple[Modality, ...] = ("text", "image", "audio")
"""In the order of the wire's enum, from 1."""

Content: TypeAlias = str | Path | bytes
"""A text; the file of a picture or sound; or the bytes of such a file."""

PICTURES = frozenset([".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".svg", ".svgz"])
SOUNDS = frozenset([".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff"])


@dataclass(frozen=True, slots=True)
class Vector:
    """A vector of the server's space. `numpy.asarray(vector.values)` makes no copy.

    Args:
        modality: of the content that it was made from.
        values: the numbers, as float32: `array("f", ...)`, or any numbers.
        fingerprint: of the space; "" trusts the caller.
    """

    modality: Modality
    values: Sequence[float]
    fingerprint: str = ""

    def __repr__(self) -> str:
        shown = ", ".join(f"{value:.3g}" for value in self.values[:3])
        return f"Vector({self.modality}, [{shown}, …], {len(self.values)} numbers)"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a query: a content, an item of the catalogue, or a vector; and how much it counts.

    Args:
        content: a text, a picture or a sound.
        item: instead, the id of an item: more like it.
        vector: instead, a vector of the space.
        weight: beside the other parts; a negative one asks for less of it.
    """

    content: Content | None = None
    item: str | None = None
    vector: Vector | None = None
    weight: float = 1.0

    def __str__(self) -> str:
        return label(self.content if self.item is None else self.item, is_id=self.item is not None)


Query: TypeAlias = "Content | Vector | Part | tuple[Content | Vector, float]"
"""A part of a query, as it may be written: ("red", -0.5) is a content and its weight."""


def text(words: str, field: str = "text") -> str:
    """The text, if it is one that can be sent.

    Raises:
        InvalidError: if it is not a string of valid Unicode.
    """
    if not isinstance(words, str):
        raise InvalidError(f"{field} is {_short(words)}, not a text", "give a str", fields={field: "not a text"})
    try:
        words.encode()
    except UnicodeEncodeError:
        problem = f"{field} {_short(words)} is not valid Unicode"
        raise InvalidError(problem, "decode it as UTF-8", fields={field: problem}) from None
    return words


def identity(value: object, field: str = "id") -> str:
    """An id; a whole number is one, too.

    Raises:
        InvalidError: if it is neither a text nor a whole number.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text(value, field)  # type: ignore[arg-type]  # it checks that


def identities(value: str | int | Iterable[str | int], field: str) -> list[str]:
    """Ids: one, or several."""
    return [identity(one, field) for one in ([value] if isinstance(value, str | int) else value)]


def content(source: Content, field: str = "content") -> content_pb2.Content:
    """A text, picture or sound.

    Raises:
        InvalidError: if it is none, or a file cannot be read.
    """
    if isinstance(source, str):
        return content_pb2.Content(text=text(source, field))
    return media(source, field)


def media(source: Path | bytes, field: str = "content") -> content_pb2.Content:
    """A picture or sound, told apart by how its bytes begin, else by the ending of the file's name.

    Raises:
        InvalidError: if it is neither, or cannot be read.
    """
    name = ""
    if isinstance(source, Path):
        name = f" {source}"
        data = read(source, field)
    elif isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
    else:
        remedy = "give a pathlib.Path, or the bytes of the file"
        raise InvalidError(f"{field} is {_short(source)}, neither a path nor bytes", remedy, fields={field: remedy})
    kind = _kind(data) or (_kind_named(source) if isinstance(source, Path) else None)
    if kind == "image":
        return content_pb2.Content(image=data)
    if kind == "audio":
        return content_pb2.Content(audio=data)
    problem = f"{field}{name} is neither a picture nor a sound that is known"
    endings = " ".join(sorted(PICTURES | SOUNDS))
    raise InvalidError(problem, f"give one of {endings}; a text is a str", reason="CONTENT", fields={field: problem})


def read(path: Path, field: str) -> bytes:
    """A file.

    Raises:
        InvalidError: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        problem = f"cannot read {path}: {(error.strerror or str(error)).lower()}"
        raise InvalidError(problem, "name a file that is there", reason="CONTENT", fields={field: problem}) from None


def _kind_named(path: Path) -> Modality | None:
    suffix = path.suffix.lower()
    return "image" if suffix in PICTURES else "audio" if suffix in SOUNDS else None


def _kind(data: bytes) -> Modality | None:
    """What a file is by its first bytes."""
    form = data[8:12] if data[:4] in (b"RIFF", b"FORM") else b""
    if form in (b"WAVE", b"AIFF", b"AIFC") or data.startswith((b"fLaC", b"OggS", b"ID3")):
        return "audio"
    if form == b"WEBP" or data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")):
        return "image"
    if (data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"mif1")) or b"<svg" in data[:1024]:
        return "image"
    if data[:1] == b"\xff" and len(data) > 1 and data[1] & 0xE0 == 0xE0:  # a bare frame of MPEG audio
        return "audio"
    return None


def vector(given: Vector) -> content_pb2.Vector:
    """A vector."""
    values = array("f", given.values)
    if sys.byteorder == "big":
        values.byteswap()
    return content_pb2.Vector(
        modality=modality(given.modality), values=values.tobytes(), fingerprint=given.fingerprint
    )


def modality(name: str) -> content_pb2.Modality:
    """A modality by its name.

    Raises:
        InvalidError: if there is no such modality.
    """
    if name not in MODALITIES:
        raise InvalidError(f"there is no modality {name!r}", f"use {', '.join(MODALITIES)}")
    return content_pb2.Modality.Value(f"MODALITY_{name.upper()}")  # type: ignore[return-value]


def parts(query: Query | Iterable[Query]) -> list[Part]:
    """The parts of a query, one or several."""
    several = isinstance(query, Iterable) and not isinstance(query, str | bytes | bytearray | memoryview | tuple)
    if isinstance(query, tuple) and not (len(query) == 2 and isinstance(query[1], int | float)):
        several = True
    return [_part(one) for one in (query if several else (query,))]  # type: ignore[union-attr, arg-type]


def _part(query: Query) -> Part:
    if isinstance(query, Part):
        return query
    source, weight = query if isinstance(query, tuple) else (query, 1.0)
    return Part(vector=source, weight=weight) if isinstance(source, Vector) else Part(source, weight=weight)


def part_message(part: Part, field: str) -> recommendation_pb2.QueryPart:
    """A part of a query.

    Raises:
        InvalidError: if it does not name exactly one of content, item and vector.
    """
    message = recommendation_pb2.QueryPart(weight=part.weight)
    if sum(source is not None for source in (part.content, part.item, part.vector)) != 1:
        raise InvalidError(f"{field} does not name one thing", "give it a content, or item=, or vector=")
    if part.content is not None:
        message.content.CopyFrom(content(part.content, field))
    elif part.item is not None:
        message.item_id = identity(part.item, field)
    elif part.vector is not None:
        message.vector.CopyFrom(vector(part.vector))
    return message


def label(source: object, *, is_id: bool = False) -> str:
    """A short name of a content, an item or a vector; a text stands in quotes."""
    if isinstance(source, Path):
        return source.name
    if isinstance(source, str):
        short = source if len(source) <= 40 else source[:39] + "…"
        return short if is_id else f"“{short}”"
    return "vector" if source is None else f"{len(source):,} bytes" if isinstance(source, bytes) else str(source)


def _short(value: object) -> str:
    said = repr(value)
    return said if len(said) <= 60 else said[:59] + "…"
