"""How an item becomes a stored point, and back; shared by bulk indexing and by the catalogue service.

The engine's own payload fields begin with `_`: `_digest` says what was encoded, `_indexed_at` when (RFC 3339, UTC),
`_text` holds the text content, `_image` and `_audio` the relative paths of the files, where there are any, and
`_missing` the modalities of contents that the item has and that could not be read.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from encoders.errors import ContentError
from encoders.types import Content, Floats, Modality, Text
from engine.core.payload import check_payload
from engine.core.types import Item, ItemId, Json, Payload
from engine.store.base import Point
from engine.store.match import seconds_of

DIGEST = "_digest"
INDEXED_AT = "_indexed_at"
TEXT = "_text"
MISSING = "_missing"
MEDIA = MappingProxyType({Modality.IMAGE: "_image", Modality.AUDIO: "_audio"})
"""The payload field that holds the relative path of a modality's file."""

_BLOCK = 1 << 20
_DIGEST_FORM = re.compile(r"[0-9a-f]{32}\.[0-9a-f]{32}")

Media = Mapping[Modality, str]
"""Paths of the files that contents came from, relative to the catalogue's root."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What an item holds, in two parts, so that a new price does not ask for new vectors."""

    contents: str
    """32 hex digits over the bytes of all contents."""
    payload: str
    """32 hex digits over the payload and the paths."""

    def __str__(self) -> str:
        return f"{self.contents}.{self.payload}"

    @classmethod
    def of_payload(cls, payload: Payload) -> "Digest | None":
        """The digest that a stored point carries, None if it carries none."""
        value = payload.get(DIGEST)
        if not isinstance(value, str) or not _DIGEST_FORM.fullmatch(value):
            return None
        return cls(*value.split("."))


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as the store knows it: its text and the paths of its files, not their bytes."""

    id: ItemId
    payload: Payload
    """The item's own fields."""
    modalities: tuple[Modality, ...]
    """The modalities that it has vectors of; empty if the point came without vectors."""
    text: str = ""
    media: Media = field(default_factory=dict)
    digest: Digest | None = None
    indexed_at: datetime | None = None


def digest(item: Item, media: Media | None = None) -> Digest:
    """Hash an item with blake2b. Equal items give equal digests on every machine.

    Args:
        item: the item; the files of its contents are read if they are given by path.
        media: the paths that will be stored with it.

    Raises:
        ContentError: if a file cannot be read.
        InvalidItemError: if the payload is not plain data.
    """
    contents = hashlib.blake2b(digest_size=16)
    for content in sorted(item.contents, key=lambda content: content.modality):
        inner = _hash_content(content)
        contents.update(f"{content.modality}\0".encode() + inner)
    plain = {"payload": check_payload(item.payload), "media": {str(m): path for m, path in (media or {}).items()}}
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return Digest(contents.hexdigest(), hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest())


def point_of(
    item: Item,
    vectors: Mapping[Modality, Floats],
    *,
    media: Media | None = None,
    digest_: Digest | None = None,
    indexed_at: datetime | None = None,
    missing: Collection[Modality] = (),
) -> Point:
    """Turn an item and its vectors into a point.

    Args:
        item: the item.
        vectors: per modality of the item a unit vector (d,), but for those that are missing.
        media: paths of the files that the contents came from.
        digest_: its digest, if it is known already.
        indexed_at: when it was encoded; None means now.
        missing: modalities of contents that could not be read: the point tells which, and nothing else of them.

    Raises:
        ContentError: if the digest must be made and a file cannot be read.
        InvalidItemError: if the payload is not plain data.
    """
    payload: dict[str, Json] = dict(check_payload(item.payload))
    payload[DIGEST] = str(digest_ or digest(item, media))
    payload[INDEXED_AT] = rfc3339(indexed_at or datetime.now(UTC))
    for content in item.contents:
        if isinstance(content, Text) and Modality.TEXT not in missing:
            payload[TEXT] = content.text
    payload.update({MEDIA[modality]: path for modality, path in (media or {}).items() if modality not in missing})
    if missing:
        payload[MISSING] = [str(modality) for modality in sorted(missing)]
    return Point(item.id, vectors, payload)


def item_of(point: Point) -> StoredItem:
    """What the store knows of an item."""
    text, time = point.payload.get(TEXT), point.payload.get(INDEXED_AT)
    return StoredItem(
        id=point.id,
        payload=own_fields(point.payload),
        modalities=tuple(point.vectors),
        text=text if isinstance(text, str) else "",
        media=media_of(point.payload),
        digest=Digest.of_payload(point.payload),
        indexed_at=datetime.fromisoformat(time) if isinstance(time, str) else None,
    )


def indexed_at(payload: Payload) -> float:
    """When a stored item was encoded, seconds since 1970; NaN where its payload does not say."""
    seconds = seconds_of(payload.get(INDEXED_AT))
    return float("nan") if seconds is None else seconds


def own_fields(payload: Payload) -> Payload:
    """The item's own fields of a stored payload; those that begin with `_` are the engine's."""
    return {key: value for key, value in payload.items() if not key.startswith("_")}


def media_of(payload: Payload) -> Media:
    """The paths that a stored payload keeps."""
    paths = ((modality, payload.get(key)) for modality, key in MEDIA.items())
    return {modality: path for modality, path in paths if isinstance(path, str)}


def missing_of(payload: Payload) -> frozenset[Modality]:
    """The modalities of contents that could not be read when the item was stored."""
    names = payload.get(MISSING)
    return frozenset(Modality(str(name)) for name in names) if isinstance(names, list) else frozenset()


def rfc3339(time: datetime) -> str:
    """A time with a time zone as RFC 3339 in UTC, to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _hash_content(content: Content) -> bytes:
    inner = hashlib.blake2b(digest_size=16)
    if isinstance(content, Text):
        inner.update(content.text.encode(errors="surrogatepass"))
    elif isinstance(content.source, Path):
        try:
            with content.source.open("rb") as file:
                while block := file.read(_BLOCK):
                    inner.update(block)
        except OSError as error:
            problem = f"{content.modality} file {content.source} cannot be read ({error.strerror})"
            raise ContentError(problem, "correct the path or its permissions", field=str(content.modality)) from None
    else:
        inner.update(content.source)
    return inner.digest()
