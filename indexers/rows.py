"""A row of a catalogue, checked, read and hashed: an entry."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from encoders.errors import LimitError, TriveniError
from encoders.types import Audio, Content, Image, Modality, Text
from engine.catalog.ingest import Digest, Media, digest
from engine.core.types import MAX_PARTS, Item, ItemId, Json, check_id, check_parts
from indexers.errors import RowError
from indexers.paths import ReadMedia
from indexers.readers.base import HASH, Columns, Row, Value, played, role_columns, value_at

DEFAULT_MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row that could not be indexed, or not with all of its contents, and what to do about it."""

    line: int
    id: str
    """"" where it could not be read."""
    modality: str
    """The content at fault, "" if it was none."""
    error: str
    """The class of the error."""
    reason: str
    remedy: str
    indexed: bool = False
    """Whether the item was indexed without the content at fault; else the row was refused as a whole."""

    @classmethod
    def of(cls, line: int, item_id: str, error: Exception, modality: Modality | None = None) -> "DeadLetter":
        """The letter of a row that was refused."""
        name = type(error).__name__
        if isinstance(error, TriveniError):
            column = error.field if error.field in tuple(Modality) else ""
            return cls(line, item_id, str(modality or column), name, error.problem, error.remedy)
        reason = f"{name} while the item was read: {str(error)[:200]}"
        return cls(line, item_id, str(modality or ""), name, reason, "report this: the reader should have refused it")

    @classmethod
    def without(cls, line: int, item_id: str, modality: Modality, error: Exception) -> "DeadLetter":
        """The letter of an item that was indexed without a content."""
        letter = cls.of(line, item_id, error, modality)
        return replace(letter, reason=f"indexed without {modality}: {letter.reason}", indexed=True)


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """An item of a catalogue whose files are in memory, not yet decoded."""

    line: int
    item: Item
    media: Media
    digest: Digest
    size: int
    """Bytes of all contents."""
    missing: Mapping[Modality, Exception] = field(default_factory=dict)
    """The contents that the row names and that cannot be read, with the reasons. The item is without them."""


def row_id(row: Row, columns: Columns) -> ItemId:
    """The id of a row.

    Raises:
        RowError: if it has none.
        InvalidItemError: if the id cannot name an item.
    """
    names = role_columns(columns)["id"]
    parts = [_row_hash(row) if name == HASH else _id_part(row, name) for name in names]
    joined = "/".join(parts)
    check_id(joined)
    return ItemId(joined)


def _id_part(row: Row, column: str) -> str:
    value = value_at(row.values, column)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or value == "":
        raise RowError(f"row has no {column}", "give every item an id of its own", field="id")
    if not isinstance(value, str):
        problem = f"{column} is a {type(value).__name__}, not a text or an integer: {str(value)[:40]!r}"
        raise RowError(problem, "write the id as a text", field="id")
    return value


def _row_hash(row: Row) -> str:
    """32 hex digits over the names and values of a row; equal rows have equal ones."""
    plain = {name: value.hex() if isinstance(value, bytes) else value for name, value in row.values.items()}
    return hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=16).hexdigest()


def load(
    row: Row,
    read: ReadMedia,
    columns: Columns,
    ignore: frozenset[str],
    max_bytes: int,
    max_parts: int = MAX_PARTS,
    split: int = 0,
) -> CatalogEntry:
    """Check a row, read its files once, and hash it.

    Args:
        row: the row.
        read: reads the files that it names.
        columns: per role the column that plays it.
        ignore: columns that are left out.
        max_bytes: the largest file that is read.
        max_parts: contents of one modality that an item may have.
        split: see `engine.catalog.ingest.digest`.

    A content that cannot be read is left out, as long as there is another.

    Raises:
        RowError: if a column is of the wrong type, and there is no other content.
        PathError: if a file is missing or outside the root, and there is no other content.
        LimitError: if a file is too large, and there is no other content.
        InvalidItemError: if the row has no content, or its payload cannot be stored.
    """
    item_id = row_id(row, columns)
    roles = role_columns(columns)
    values = {name: value for name, value in row.values.items() if name not in ignore}
    contents: list[Content] = []
    media: dict[Modality, str | list[str]] = {}
    missing: dict[Modality, Exception] = {}
    size = 0
    for modality in Modality:
        found = [value for name in roles[modality] if (value := value_at(values, name)) is not None and value != ""]
        if not found:
            continue
        if modality is Modality.TEXT:
            try:
                texts = _texts(found)
            except TriveniError as error:
                missing[modality] = error
                continue
            contents += map(Text, texts)
            size += sum(map(len, texts))
            continue
        kind = Image if modality is Modality.IMAGE else Audio
        paths = []
        for source in _flat(found):
            try:
                raw, path = _source(source, read, modality, max_bytes)
            except TriveniError as error:
                missing.setdefault(modality, error)
                continue
            contents.append(kind(raw, path or f"{modality} of {item_id}"))
            size += len(raw)
            paths.append(path)
        if any(paths):
            media[modality] = paths if len(paths) > 1 else paths[0]
    check_parts(contents, max_parts)
    if missing and not contents:
        raise next(iter(missing.values()))
    item = Item(item_id, tuple(contents), payload_of(row, columns, ignore))
    return CatalogEntry(row.line, item, media, digest(item, media, split=split), size, missing)


def load_or_letter(
    row: Row,
    read: ReadMedia,
    columns: Columns,
    ignore: frozenset[str],
    max_bytes: int,
    max_parts: int,
    split: int,
) -> CatalogEntry | DeadLetter:
    """`load`, with a dead letter in place of an error. The row has an id."""
    try:
        return load(row, read, columns, ignore, max_bytes, max_parts, split)
    except Exception as error:  # noqa: BLE001 (whatever a row holds, the run goes on)
        return DeadLetter.of(row.line, row_id(row, columns), error)


def _flat(values: Sequence[Value]) -> list[Value]:
    """The values, those of lists one by one; empty ones are left out."""
    flat: list[Value] = []
    for value in values:
        flat += value if isinstance(value, list) else [value]
    return [value for value in flat if value is not None and value != ""]


def _texts(values: Sequence[Value]) -> list[str]:
    """The texts of a row: those of its columns are one, a line each; those of a list are texts of their own."""
    plain = [_text(value) for value in values if not isinstance(value, list)]
    listed = [_text(value) for value in _flat([value for value in values if isinstance(value, list)])]
    return (["\n".join(plain)] if plain else []) + listed


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise RowError(f"text is a {type(value).__name__}: {str(value)[:40]!r}", "write it as a text", field="text")
    return value


def _source(value: Value, read: ReadMedia, modality: Modality, max_bytes: int) -> tuple[bytes, str]:
    """The bytes of a picture or sound, and its path relative to the root, if it has one."""
    if isinstance(value, bytes):
        if len(value) > max_bytes:
            problem = f"{modality} has {len(value)} bytes, the limit is {max_bytes}"
            raise LimitError(problem, "raise limits.max_bytes or shrink it", field=modality)
        return value, ""
    if not isinstance(value, str):
        problem = f"{modality} is a {type(value).__name__}: {str(value)[:40]!r}"
        raise RowError(problem, "write the path of a file under the root", field=modality)
    return read(value, modality, max_bytes)


def payload_of(row: Row, columns: Columns, ignore: frozenset[str]) -> dict[str, Json]:
    """The columns of a row that are payload and hold a value; bytes are left out, readers let none through."""
    taken = ignore | played(columns)
    return {
        name: value
        for name, value in row.values.items()
        if name not in taken and value is not None and not isinstance(value, bytes)
    }
