"""The guess as a whole: roles, payload fields with their kinds, and what is doubtful."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.core.filters import FieldKind
from indexers.guess.conventions import convention_of, plain_name
from indexers.guess.doubts import doubts_of_payload, doubts_of_text, separator_of
from indexers.guess.form import TEXT_SUFFIXES, guess_form
from indexers.guess.media import found_below, look_for_root, media_of, urls_of
from indexers.guess.roles import called_id, id_columns, is_unique, text_columns, unique_together
from indexers.guess.sample import ROWS, Column, Sample, read_sample
from indexers.readers import TextFormat
from indexers.readers.base import CONTENTS, HASH, ROLES
from indexers.readers.conventions import Conventions
from indexers.remote import is_url
from indexers.schema import filterable

_LOOKED_FOR = 20


@dataclass(slots=True)
class Guess:
    """What the columns of a catalogue are."""

    rows: int = 0
    """That were read."""
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Per role its columns; roles without one are not named."""
    ignore: list[str] = field(default_factory=list)
    fields: dict[str, FieldKind] = field(default_factory=dict)
    """The payload that can be filtered on."""
    text: TextFormat = field(default_factory=TextFormat)
    conventions: Conventions = field(default_factory=Conventions)
    """How its numbers and times are written, and what columns are called as fields."""
    reasons: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Per column what it becomes, and why."""
    doubts: list[str] = field(default_factory=list)
    """What whoever knows the catalogue should look at, each with a remedy."""
    root: Path | None = None
    """A folder below the catalogue's that its files were found in, if that was not told."""
    example: str = ""
    """A text of the catalogue, to search for."""

    def reason(self, field: str) -> str:
        """Why a field is of its kind."""
        column_of = {new: name for name, new in self.conventions.rename.items()}
        return self.reasons[column_of.get(field, field)][1]

    @property
    def mapped(self) -> dict[str, str | tuple[str, ...]]:
        """Per role its columns, where they are not the one of the role's name: what the settings have to say."""
        return {
            role: names[0] if len(names) == 1 else names for role, names in self.columns.items() if names != (role,)
        }


def guess_catalog(path: Path | str, root: Path | None = None, query: str = "") -> Guess:
    """Look at the first rows of a catalogue.

    Args:
        path: see `indexers.readers.open_catalog`.
        root: where its paths begin, if that is told.
        query: what a database is asked.

    Raises:
        CatalogError: if it cannot be read, or has no rows.
    """
    guess = Guess()
    if not is_url(path) and Path(path).suffix.lower() in TEXT_SUFFIXES and Path(path).is_file():
        guess.text, guess.doubts = guess_form(Path(path))
    sample = read_sample(path, root, guess.text, query)
    guess.rows = len(sample.rows)
    guess.doubts += sample.bad[:3]
    _roles(guess, sample)
    if any(sample.columns[name].texts for name in _names(guess, "image", "audio")):
        _root(guess, sample, path, root)
    _payload(guess, sample, splittable=not is_url(path) and Path(path).suffix.lower() in TEXT_SUFFIXES)
    _empty_rows(guess, sample)
    return guess


def _names(guess: Guess, *roles: str) -> list[str]:
    return [name for role in roles for name in guess.columns.get(role, ())]


def _roles(guess: Guess, sample: Sample) -> None:
    _id(guess, sample)
    for role in ("image", "audio"):
        found = media_of(sample, role)
        if found:
            guess.columns[role] = (found[0].name,)
            guess.reasons[found[0].name] = role, _of_media(found[0], role, sample)
        for column in urls_of(sample, role):
            what = {"image": "pictures", "audio": "sounds"}[role]
            guess.doubts.append(
                f"{column.name} holds addresses of the web, which are not fetched: allow their hosts "
                f"(index.url_hosts), or download the {what} and write their paths, and map them: "
                f"--column {role}={column.name}"
            )
    texts, why = text_columns(sample, set(_names(guess, *ROLES)))
    if texts:
        guess.columns["text"] = tuple(column.name for column in texts)
    for column in texts:
        said = f"{why or 'reads most like prose'}, {column.words:.0f} words on average"
        guess.reasons[column.name] = "text", said + (", of lists: each is a part" if column.is_list else "")
        guess.doubts += doubts_of_text(column)
        if not why:
            guess.doubts.append(f"{column.name} is not called like a text: say so if another is, --column text=NAME")
    for role in CONTENTS:  # a column plays the role of its name, unless it is told otherwise
        if role in sample.columns and role not in guess.columns and sample.columns[role].values:
            guess.ignore.append(role)
            guess.reasons[role] = "left out", f"is called {role}, and holds none"
    if not any(role in guess.columns for role in CONTENTS):
        guess.doubts.append("no column holds a text, picture or sound: name one, such as --column text=title")


def _id(guess: Guess, sample: Sample) -> None:
    found = id_columns(sample)
    for column in called_id(sample):
        if not is_unique(sample, (column.name,)):
            what = "is empty in some rows" if len(column.values) < guess.rows else "names several rows alike"
            guess.doubts.append(f"{column.name} is called like an id, but {what}")
    files = [column for role in ("image", "audio") for column in media_of(sample, role)]
    paths = [column for column in files if is_unique(sample, (column.name,))]
    if found:
        guess.columns["id"] = (found[0].name,)
        guess.reasons[found[0].name] = "id", f"has a value of its own in each of {guess.rows} rows"
        guess.doubts += [f"{one.name} could be the id as well: --column id={one.name}" for one in found[1:2]]
    elif paths:
        guess.columns["id"] = (paths[0].name,)
        guess.doubts.append(f"no column names the items: the paths in {paths[0].name} do, as each has its own")
    else:
        guess.columns["id"] = (HASH,)
        guess.doubts.append(
            f"no column names the items: a digest of the row is taken ({HASH}): a row that changes becomes another "
            f"item, and loses what was recorded of it: add a column with ids{_offer(unique_together(sample))}"
        )


def _offer(names: tuple[str, ...]) -> str:
    """What else could name items that no column names."""
    if not names:
        return ""
    if len(names) == 1:
        return f', or take {names[0]}, which is different in each row so far: id = "{names[0]}"'
    quoted = ", ".join(f'"{name}"' for name in names)
    return f", or take columns that are different together so far: id = [{quoted}]"


def _of_media(column: Column, role: str, sample: Sample) -> str:
    what = {"image": "pictures", "audio": "sounds"}[role]
    held = "bytes" if any(isinstance(value, bytes) for value in column.values) else "paths"
    lists = ", of lists: each is a part" if column.is_list else ""
    return f"{held} of {what} in {len(column.values)} of {len(sample.rows)} rows{lists}"


def _root(guess: Guess, sample: Sample, path: Path | str, root: Path | None) -> None:
    """Look whether the files are there."""
    names = [path_ for name in _names(guess, "image", "audio") for path_ in sample.columns[name].texts[:_LOOKED_FOR]]
    if is_url(path):
        return
    here = root or (Path(path) if Path(path).is_dir() else Path(path).parent)
    found = found_below(here, names)
    if found == len(names):
        return
    if not found and root is None and (other := look_for_root(here, names)) is not None:
        guess.root = other
        guess.doubts.append(f"the files are below {other}: give --root {other} to each command, as below")
        return
    guess.doubts.append(
        f"{found} of the first {len(names)} files are below {here}: correct the paths, or give --root"
    )


def _payload(guess: Guess, sample: Sample, *, splittable: bool) -> None:
    split: dict[str, str] = {}
    decimals: dict[str, str] = {}
    times: dict[str, str] = {}
    rename: dict[str, str] = {}
    places = {name for name, column in sample.columns.items() if column.kind is FieldKind.GEO}
    for name, column in sample.columns.items():
        outer = name.rpartition(".")[0]
        hidden = name.endswith(".0") or outer in places or name.partition(".")[0] in guess.ignore
        if hidden or name in guess.reasons or name in _names(guess, *ROLES):
            continue
        if _cannot_be_payload(column):
            if "." not in name:
                guess.ignore.append(name)
            guess.reasons[name] = "left out", _cannot_be_payload(column)
            continue
        separator = separator_of(column) if splittable else ""
        if separator:
            split[name], column = separator, replace(column, kind=FieldKind.KEYWORD)
        elif (other := convention_of(column)) is not None:
            column = replace(column, kind=other.kind)
            if other.sign:
                decimals[name] = other.sign
            else:
                times[name] = other.form
            guess.doubts += [other.doubt] if other.doubt else []
        called = plain_name(name, {*sample.columns, *rename.values()}) if column.kind is not None else ""
        if called:
            rename[name] = called
        told = [other.told] if not separator and other else []
        guess.reasons[name] = _of_payload(column, separator, [*told, *([f"called {called}"] if called else [])])
        field = called or name
        if column.kind is not None and filterable(field) and not any(map(name.startswith, (f"{n}." for n in split))):
            guess.fields[field] = column.kind
    guess.text = replace(guess.text, split=split)
    guess.conventions = Conventions(decimals, times, rename)
    searched = [
        *guess.columns.get("text", ()),
        *(name for name, kind in guess.fields.items() if kind == "keyword" and name in sample.columns),
    ]
    first = sample.columns[searched[0]] if searched else None
    guess.example = " ".join(str((first.texts or first.values)[0]).split()[:6]) if first else ""
    guess.doubts += doubts_of_payload(sample, set(guess.reasons) - {*decimals, *times})


def _cannot_be_payload(column: Column) -> str:
    if column.name.startswith("_"):
        return "names that begin with _ are the engine's own"
    if not column.name:
        return "it has no name"
    if any(isinstance(value, bytes) for value in column.values):
        return "bytes can only be a picture or a sound"
    return ""


def _of_payload(column: Column, separator: str, also: Sequence[str]) -> tuple[str, str]:
    different = len({str(value) for value in column.values})
    if not column.values:
        return "payload", "empty in all rows"
    shown = f"{f'{different} different, such as' if different > 1 else 'always'} {_short(column.values[0])}"
    if separator:
        return "keywords", f"lists, separated by {separator!r}: {_short(column.values[0])}"
    if any(isinstance(value, dict) for value in column.values) and column.kind is None:
        return "payload", "objects; their parts are below"
    if column.kind is None:
        prose = "too long to be filtered on" if column.texts else "of several kinds: shown, not filtered on"
        return "payload", f"{prose}, such as {_short(column.values[0])}"
    if also:
        return str(column.kind), "; ".join([shown, *also])
    if not filterable(column.name):
        return "payload", "not filtered on: rename it with letters, digits, _ and -"
    return f"{column.kind}{'s' if column.is_list else ''}", f"lists, {shown}" if column.is_list else shown


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:23]}…"


def _empty_rows(guess: Guess, sample: Sample) -> None:
    names = _names(guess, *CONTENTS)
    without = sum(all(row.get(name) in (None, "", []) for name in names) for row in sample.rows)
    if names and without:
        guess.doubts.append(f"{without} of {guess.rows} rows hold no text, picture or sound, and will be refused")
    if guess.rows == ROWS:
        guess.doubts.append(f"only the first {ROWS} rows were looked at: `--dry-run` reads all")
