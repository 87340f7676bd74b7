"""A catalogue as a stream of entries: read, checked and hashed, in order, each id once."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from encoders.errors import TriveniError
from engine.core.filters import Schema
from engine.core.types import MAX_PARTS, ItemId, Payload, check_id
from engine.store.match import check_kinds
from indexers.errors import CatalogError, DuplicateError
from indexers.paths import ReadMedia, read_under
from indexers.readers import BadRow, Columns, Reader, Row, TextFormat, default_root, open_catalog
from indexers.readers.base import played
from indexers.readers.conventions import Conventions
from indexers.remote import LocalCopy, is_url, media_at
from indexers.rows import DEFAULT_MAX_BYTES, CatalogEntry, DeadLetter, load_or_letter, payload_of, row_id
from indexers.schema import infer_schema, mixed_fields
from indexers.seen import IdSet
from indexers.stages import ordered_map
from indexers.urls import WebMedia

_HEAD = 512
_HEAD_BYTES = 64 << 20
_AHEAD = 16


@dataclass(frozen=True, slots=True)
class Catalog:
    """A catalogue and how it is read.

    Args:
        path: a file of a kind that is known, a folder, or a URL of either a file or a database.
        root: where the paths in it begin; None means the file's folder, or the folder; of a database the current one.
        columns: per role (id, text, image, audio) the column that plays it, or several.
        ignore: columns that are left out.
        fields: declared kinds of payload fields.
        max_bytes: the largest file that is read.
        text: what a text file does not say of itself.
        query: what a database is asked.
        conventions: how it writes numbers and times.
        web: reads what rows name by a URL; by default none are fetched.
        max_parts: texts, pictures or sounds that an item may have of each.
        split_long: whether long texts and sounds are split into passages, within `max_parts`.

    Raises:
        CatalogError: if it is not there, of an unknown kind, or has no column for ids or contents; or a column that
            plays a role is to be renamed.
    """

    path: Path | str
    root: Path | str | None = None
    columns: Columns = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()
    fields: Schema = field(default_factory=dict)
    max_bytes: int = DEFAULT_MAX_BYTES
    text: TextFormat = field(default_factory=TextFormat)
    query: str = ""
    conventions: Conventions = field(default_factory=Conventions)
    web: WebMedia = field(default_factory=WebMedia)
    max_parts: int = MAX_PARTS
    split_long: bool = False
    _copy: LocalCopy | None = field(default=None, init=False, repr=False, compare=False)
    """The copy of a file at a URL."""

    def __post_init__(self) -> None:
        if self.root is not None and not is_url(self.root) and not Path(self.root).is_dir():
            raise CatalogError(
                f"root {self.root} is not a folder", "name the folder that the catalogue's paths begin in"
            )
        if is_url(self.path) and not self._is_database():
            object.__setattr__(self, "_copy", LocalCopy(str(self.path)))
        if playing := sorted(played(self.columns) & self.conventions.rename.keys()):
            problem = f"column {playing[0]} plays a role, and is no payload field that could be renamed"
            raise CatalogError(problem, "take it out of index.rename; index.columns names columns as the file does")
        self.reader().check()

    def reader(self) -> Reader:
        """A reader of its rows, in our conventions."""
        reader = open_catalog(
            self._copy.path if self._copy else self.path,
            root=None if self.root is None or is_url(self.root) else Path(self.root),
            columns=self.columns,
            ignore=self.ignore,
            fields=self.conventions.declared(self.fields),
            text=self.text,
            query=self.query,
            max_bytes=self.max_bytes,
        )
        return self.conventions.over(reader) if self.conventions else reader

    def media(self) -> ReadMedia:
        """Reads the files that its rows name.

        Raises:
            CatalogError: if the root is a URL that cannot be opened.
        """
        root = self.media_root
        return self.web.beside(partial(read_under, str(root)) if isinstance(root, Path) else media_at(root))

    @property
    def media_root(self) -> Path | str:
        """The folder that the paths in it begin in, with all links followed, or a URL."""
        if self.root is not None:
            root = self.root
        elif not is_url(self.path):
            root = default_root(Path(self.path))
        else:
            root = Path() if self._is_database() else str(self.path).rpartition("/")[0]
        return str(root) if is_url(root) else Path(root).resolve()

    def _is_database(self) -> bool:
        from indexers.readers.sql import is_database  # slow to import

        return bool(self.query) or is_database(str(self.path))

    def schema(self) -> Schema:
        """The payload fields that can be filtered on: the declared ones, and those that the first rows suggest."""
        return infer_schema(self._head(), self.fields)

    def mixed(self) -> dict[str, str]:
        """By name the fields that hold numbers in most of the first rows, and the first text in them."""
        head = self._head()
        schema = infer_schema(head, self.fields)
        return {name: text for name, text in mixed_fields(head, schema).items() if name not in self.fields}

    def without(self, names: Iterable[str]) -> list[str]:
        """Which of these payload fields none of the first rows has."""
        wanted = set(names)
        for payload in self._head() if wanted else ():
            wanted -= payload.keys()
        return sorted(wanted)

    def _head(self) -> list[Payload]:
        """The payloads of the first rows."""
        head: list[Payload] = []
        size = 0
        for row in islice(self.reader().rows(), _HEAD):
            if isinstance(row, Row):
                head.append(payload_of(row, self.columns, self.ignore))
                size += sum(len(value) for value in row.values.values() if isinstance(value, bytes))
            if size > _HEAD_BYTES:
                break
        return head

    def entries(
        self, seen: IdSet, pool: Executor, kinds: Schema | None = None
    ) -> Iterator[CatalogEntry | DeadLetter]:
        """Every row as an entry or as a dead letter.

        Args:
            seen: takes the ids of all rows; a row whose id is in it already is a duplicate.
            pool: reads and hashes files, a few rows ahead.
            kinds: of the payload fields that are filtered on; a row with a value of another kind is dead. None looks
                at no payload.

        Raises:
            CatalogError: if the catalogue itself is broken.
        """
        split = self.max_parts if self.split_long else 0
        given = self.media(), dict(self.columns), self.ignore, self.max_bytes, self.max_parts, split

        def read(row: Row | DeadLetter) -> CatalogEntry | DeadLetter:
            return row if isinstance(row, DeadLetter) else load_or_letter(row, *given)

        yield from ordered_map(pool, read, self._named(seen, kinds or {}), _AHEAD)

    def _named(self, seen: IdSet, kinds: Schema) -> Iterator[Row | DeadLetter]:
        """The rows that have an id of their own, and a payload of these kinds."""
        for row in self.reader().rows():
            if isinstance(row, BadRow):
                known = row.id if _names_an_item(row.id) else ""
                if known:
                    seen.add(ItemId(known))
                yield DeadLetter.of(row.line, known, row.error)
                continue
            try:
                item_id = row_id(row, self.columns)
            except TriveniError as error:
                yield DeadLetter.of(row.line, "", error)
                continue
            if seen.add(item_id):
                yield _fitting(row, item_id, payload_of(row, self.columns, self.ignore), kinds)
            else:
                problem = f"id {item_id!r} was in the catalogue before"
                twice = DuplicateError(problem, "give every item an id of its own", field="id")
                yield DeadLetter.of(row.line, item_id, twice)


def _fitting(row: Row, item_id: ItemId, payload: Payload, kinds: Schema) -> Row | DeadLetter:
    try:
        check_kinds(payload, kinds)
    except TriveniError as error:
        return DeadLetter.of(row.line, item_id, error)
    return row


def _names_an_item(row_id: str) -> bool:
    """Whether an id that was found in a bad row can be one: that of a file is its name, whatever bytes that has."""
    try:
        check_id(row_id)
    except TriveniError:
        return False
    return True
