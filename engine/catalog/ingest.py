"""How an item becomes a stored point, and back; shared by bulk indexing and by the catalogue service.

The engine's own payload fields begin with `_`: `_digest` says what was encoded, `_indexed_at` when (RFC 3339, UTC),
`_text` holds the text content, `_image` and `_audio` the relative paths of the files, where there are any, and
`_missing` the modalities of contents that the item has and that could not be read. Of several texts `_text` has all,
one below the other; of several files there is a list of paths, "" for one that has none; and `_parts` says, per
modality of several parts, which content each vector is made from, of a text where that is in `_text`, and of a
passage of a long sound its milliseconds.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from encoders.errors import ContentError
from encoders.types import WHOLE, Content, Floats, Image, Modality, Span, Text
from engine.core.payload import check_payload
from engine.core.types import Item, ItemId, Json, Payload
from engine.store.base import Point
from engine.store.match import seconds_of

DIGEST = "_digest"
INDEXED_AT = "_indexed_at"
TEXT = "_text"
MISSING = "_missing"
PARTS = "_parts"
MEDIA = MappingProxyType({Modality.IMAGE: "_image", Modality.AUDIO: "_audio"})
"""The payload field that holds the relative path of a modality's file."""

_BLOCK = 1 << 20
_DIGEST_FORM = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{32})(?:\.(\d{1,3}))?")
SHORT_TEXT, SHORT_SOUND = 200, 1 << 15
"""Characters of a text, and bytes of a sound, that are no reason to ask whether it is too long for an encoder."""

Media = Mapping[Modality, str | Sequence[str]]
"""Paths of the files that contents came from, relative to the catalogue's root; of several contents a list, with ""
for those that have none."""


class Key(NamedTuple):
    """A part of an item."""

    modality: Modality
    number: int
    """The position of its content among those of the modality."""
    span: Span = WHOLE
    """The passage of its content."""

    @property
    def content(self) -> "Key":
        """Of all of its content."""
        return Key(self.modality, self.number)


@dataclass(frozen=True, slots=True)
class Digest:
    """What an item holds, in two parts, so that a new price does not ask for new vectors."""

    contents: str
    """32 hex digits over the bytes of all contents."""
    payload: str
    """32 hex digits over the payload and the paths."""
    split: int = 0
    """Into at most so many passages long contents were split; 0 if none was, or none can be long."""

    def __str__(self) -> str:
        return f"{self.contents}.{self.payload}" + (f".{self.split}" if self.split else "")

    @classmethod
    def of_payload(cls, payload: Payload) -> "Digest | None":
        """The digest that a stored point carries, None if it carries none."""
        value = payload.get(DIGEST)
        found = _DIGEST_FORM.fullmatch(value) if isinstance(value, str) else None
        return cls(found[1], found[2], int(found[3] or 0)) if found else None


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as the store knows it: its text and the paths of its files, not their bytes."""

    id: ItemId
    payload: Payload
    """The item's own fields."""
    modalities: tuple[Modality, ...]
    """The modalities that it has vectors of; empty if the point came without vectors."""
    text: str = ""
    media: Mapping[Modality, str] = field(default_factory=dict)
    """Paths of its first picture and sound that have one."""
    digest: Digest | None = None
    indexed_at: datetime | None = None


def digest(item: Item, media: Media | None = None, *, split: int = 0) -> Digest:
    """Hash an item with blake2b. Equal items give equal digests on every machine.

    Args:
        item: the item; the files of its contents are read if they are given by path.
        media: the paths that will be stored with it.
        split: parts that an item may have of a modality, where long contents are split; else 0.

    Raises:
        ContentError: if a file cannot be read.
        InvalidItemError: if the payload is not plain data.
    """
    contents = hashlib.blake2b(digest_size=16)
    for content in sorted(item.contents, key=lambda content: content.modality):
        inner = _hash_content(content)
        contents.update(f"{content.modality}\0".encode() + inner)
    paths = {str(m): path if isinstance(path, str) else [*path] for m, path in (media or {}).items()}
    plain = {"payload": check_payload(item.payload), "media": paths}
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    payload = hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()
    return Digest(contents.hexdigest(), payload, split if any(map(may_be_long, item.contents)) else 0)


def may_be_long(content: Content) -> bool:
    """Whether a content is large enough to be asked whether it is too long for an encoder."""
    if isinstance(content, Text):
        return len(content.text) > SHORT_TEXT
    if isinstance(content, Image):
        return False
    return (content.source.stat().st_size if isinstance(content.source, Path) else len(content.source)) > SHORT_SOUND


def passages_of(item: Item, split: int) -> dict[Modality, int]:
    """Into how many parts each long content of a modality may be split: they share evenly what others leave."""
    counted = Counter(content.modality for content in item.contents)
    long = Counter(content.modality for content in item.contents if may_be_long(content))
    return {
        modality: (split - count + long[modality]) // max(long[modality], 1) for modality, count in counted.items()
    }


def point_of(
    item: Item,
    given: Mapping[Key, Floats] | Mapping[Modality, Floats],
    *,
    media: Media | None = None,
    digest_: Digest | None = None,
    indexed_at: datetime | None = None,
    missing: Collection[Modality] = (),
) -> Point:
    """Turn an item and its vectors into a point.

    Args:
        item: the item.
        given: of each part a unit vector (d,), but for those that are missing; a modality means its first content.
        media: paths of the files that the contents came from.
        digest_: its digest, if it is known already.
        indexed_at: when it was encoded; None means now.
        missing: modalities of contents that could not be read: the point tells which.

    Raises:
        ContentError: if the digest must be made and a file cannot be read.
        InvalidItemError: if the payload is not plain data.
    """
    payload: dict[str, Json] = dict(check_payload(item.payload))
    payload[DIGEST] = str(digest_ or digest(item, media))
    payload[INDEXED_AT] = rfc3339(indexed_at or datetime.now(UTC))
    vectors: dict[Key, Floats] = {
        (Key(key, 0) if isinstance(key, Modality) else key): vector for key, vector in given.items()
    }
    texts = [content.text for content in item.contents if isinstance(content, Text)]
    read = {key.modality for key in vectors}
    if texts and (Modality.TEXT in read or Modality.TEXT not in missing):
        payload[TEXT] = "\n".join(texts)
    for modality, path in (media or {}).items():
        if modality in read or modality not in missing:
            payload[MEDIA[modality]] = path if isinstance(path, str) else [*path]
    if missing:
        payload[MISSING] = [str(modality) for modality in sorted(missing)]
    found = {name: sorted(key for key in vectors if key.modality == name) for name in Modality}
    several = {name: keys for name, keys in found.items() if keys not in ([], [Key(name, 0)])}
    if several:
        payload[PARTS] = {str(name): _spans(keys, texts) for name, keys in several.items()}
    return Point(
        item.id,
        {name: vectors[keys[0]] for name, keys in found.items() if keys},
        payload,
        {name: np.stack([vectors[key] for key in keys[1:]]) for name, keys in found.items() if len(keys) > 1},
    )


def _spans(keys: Sequence[Key], texts: Sequence[str]) -> list[Json]:
    """What `_parts` says of the parts of a modality; the inverse of `_keys`."""
    if keys[0].modality is Modality.TEXT:
        starts = [*accumulate((len(text) + 1 for text in texts), initial=0)]
        spans = [key.span if key.span != WHOLE else (0, len(texts[key.number])) for key in keys]
        return [
            [key.number, starts[key.number] + start, starts[key.number] + stop]
            for key, (start, stop) in zip(keys, spans, strict=True)
        ]
    return [key.number if key.span == WHOLE else [key.number, *key.span] for key in keys]


def _keys(payload: Payload, modality: Modality) -> list[Key]:
    """Which part each vector of a stored item is made from."""
    spans = spans_of(payload, modality)
    if modality is not Modality.TEXT:
        return [Key(modality, number, (span[0], span[1]) if span else WHOLE) for number, *span in spans]
    counted, first = Counter(number for number, *_ in spans), dict[int, int]()
    keys = []
    for number, start, stop in spans:
        begin = first.setdefault(number, start)
        keys.append(Key(modality, number, (start - begin, stop - begin) if counted[number] > 1 else WHOLE))
    return keys


def keys_of(item: Item) -> list[Key]:
    """Which part each content of an item is, where it is not split."""
    counted: Counter[Modality] = Counter()
    keys = []
    for content in item.contents:
        keys.append(Key(content.modality, counted[content.modality]))
        counted[content.modality] += 1
    return keys


def is_thinned(keys: Iterable[Key]) -> bool:
    """Whether passages of a long text are not among the parts of an item, since it would have too many."""
    texts = sorted(key for key in keys if key.modality is Modality.TEXT)
    return any(one.content == next_.content and one.span[1] != next_.span[0] for one, next_ in pairwise(texts))


def vectors_of(point: Point) -> dict[Key, Floats]:
    """The vectors of a stored item, by part."""
    return {
        key: vector
        for modality in point.vectors
        for key, vector in zip(
            _keys(point.payload, modality) or [Key(modality, 0)], point.parts(modality), strict=False
        )
    }


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


def media_of(payload: Payload) -> Mapping[Modality, str]:
    """The path that a stored payload keeps of each modality, the first one that there is."""
    known = ((modality, paths_of(payload, modality)) for modality in MEDIA)
    return {modality: path for modality, paths in known if (path := next(filter(None, paths), ""))}


def paths_of(payload: Payload, modality: Modality) -> list[str]:
    """The paths of all contents of a modality, in their order, "" for one that has none; none if no path is kept."""
    held = payload.get(MEDIA[modality]) if modality in MEDIA else None
    return [str(path) for path in held] if isinstance(held, list) else [held] if isinstance(held, str) else []


def spans_of(payload: Payload, modality: Modality) -> list[tuple[int, ...]]:
    """What each vector of a stored item is made from: the number of its content; of a text where it begins and ends
    in `_text`, characters; of a passage of a sound where that begins and ends, milliseconds. Empty where there is but
    one part.
    """
    several = payload.get(PARTS)
    held = several.get(str(modality)) if isinstance(several, dict) else None
    listed = [one if isinstance(one, list) else [one] for one in held] if isinstance(held, list) else []
    return [tuple(int(str(number)) for number in one) for one in listed]


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
