"""Files of events: what is written is read again, and bad lines are told by their number."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.types import Image, Modality, Text
from engine.core.types import Event, EventKind, ItemId, UserId, VectorInput
from engine.events.errors import EventError, EventFileError
from engine.events.files import Imported, RowReader, export_events, import_events, read_events
from engine.events.formats import MAX_LINE_BYTES
from engine.events.rows import BadLine, Line
from engine.events.sql import SqlEventStore
from engine.events.types import UserEvent
from tests.events.stores import FINGERPRINT, ago, click, on, plain, vector
from tests.indexers.catalogs import write_arrow

SUFFIXES = (".jsonl", ".csv", ".parquet", ".arrow")
T = "2026-05-01T12:00:00Z"
TIME = datetime(2026, 5, 1, 12, tzinfo=UTC)


def read(path: Path, **options: Any) -> list[Line | BadLine]:
    return list(read_events(path, RowReader(**options)))


def good(path: Path, **options: Any) -> list[UserEvent]:
    lines = read(path, **options)
    assert [line.error for line in lines if isinstance(line, BadLine)] == []
    return [line.event for line in lines if isinstance(line, Line)]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
_VECTOR = st.builds(
    lambda modality, values: VectorInput(modality, np.array(values, np.float32), FINGERPRINT),
    st.sampled_from(Modality),
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=5),
)
_TARGETS = st.one_of(
    _TEXT.map(lambda item: {"item": ItemId(item)}), _TEXT.map(lambda text: {"content": Text(text)}),
    _VECTOR.map(lambda made: {"content": made}),
)  # fmt: skip
_EVENTS = st.builds(
    lambda user, kind, target, time, value, name, request, context: UserEvent(
        UserId(user),
        Event(kind, time=time, value=value, id=name, request_id=request, context=context, **target),
    ),
    _TEXT, st.sampled_from(EventKind), _TARGETS,
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    st.none() | st.floats(0, allow_nan=False, allow_infinity=False), st.just("") | _TEXT, st.just("") | _TEXT,
    st.dictionaries(_TEXT, st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=3),
)  # fmt: skip


def test_the_rest_of_a_row_that_looks_like_a_row_is_none(tmp_path: Path) -> None:
    at = datetime(2000, 1, 1, tzinfo=UTC)
    events = [UserEvent(UserId(",0"), Event(EventKind.CLICK, item=ItemId("0"), time=at, id=name)) for name in "\r\n"]
    assert export_events(tmp_path / "again.csv", events) == 2
    assert [plain(event) for event in good(tmp_path / "again.csv")] == [plain(event) for event in events]


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=40, deadline=None)
@given(events=st.lists(_EVENTS, max_size=5))
def test_what_is_written_is_read(
    suffix: str, events: list[UserEvent], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"again{suffix}"
    assert export_events(path, events) == len(events)
    assert [plain(event) for event in good(path)] == [plain(event) for event in events]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_export_and_import_give_the_same_store(store: SqlEventStore, tmp_path: Path, suffix: str) -> None:
    store.record(
        [click(name=f"{n}", user=f"user {n % 7}", time=ago(seconds=n), context={"n": f"{n}"}) for n in range(2300)]
    )
    store.record([on(Text('a "text",\r\nof\rlines')), on(vector(), kind=EventKind.UPLOAD), click(value=0.1)])
    path = tmp_path / f"events{suffix}"
    assert export_events(path, store.export()) == 2303
    before = [plain(event) for event in store.export()]
    other = SqlEventStore(f"sqlite:///{tmp_path / 'other.db'}")
    bad: list[BadLine] = []
    assert import_events(other, read_events(path), bad.append) == Imported(2303, 0, 0)
    assert import_events(other, read_events(path), bad.append) == Imported(0, 2303, 0)
    assert [plain(event) for event in other.export()] == before
    other.close()
    assert bad == []
    assert path.stat().st_mode & 0o777 == 0o600, "others can read what people did"


def test_import_is_a_stream(store: SqlEventStore) -> None:
    taken = 0

    def lines() -> Iterator[Line]:
        nonlocal taken
        for number in range(1, 9001):
            taken = number
            if number == 8001:
                raise EventFileError("broken here")
            yield Line(number, click(name=f"{number}"))

    with pytest.raises(EventFileError, match="broken here"):
        import_events(store, lines(), lambda bad: None)
    assert (taken, store.stats().events) == (8001, 8000)


# Lines ------------------------------------------------------------------------------------------------------


def test_a_line_of_jsonl_in_full(tmp_path: Path) -> None:
    rows = [
        {"user_id": 7, "kind": "RATE", "item_id": 12, "time": 1777636800, "value": "4.5",
         "context": {"hour": 13, "new": True}},
        {"user_id": "7", "kind": "upload", "vector": [1, 2.5], "modality": "image", "fingerprint": "f",
         "time": 1777636800.25},
        {"user_id": "7", "kind": "search", "text": "owl", "item_id": "", "value": None,
         "time": "2026-05-01T14:00:00+02:00"},
    ]  # fmt: skip
    path = write(tmp_path / "a.jsonl", "\ufeff" + "\n\n".join(map(json.dumps, rows)))
    wanted = [
        Event(EventKind.RATE, ItemId("12"), time=TIME, value=4.5, context={"hour": "13", "new": "true"}),
        Event(EventKind.UPLOAD, content=VectorInput(Modality.IMAGE, np.float32([1, 2.5]), "f"),
              time=TIME + timedelta(seconds=0.25)),
        Event(EventKind.SEARCH, content=Text("owl"), time=TIME),
    ]  # fmt: skip
    assert [plain(event) for event in good(path)] == [plain(UserEvent(UserId("7"), event)) for event in wanted]
    assert [line.number for line in read(path)] == [1, 3, 5]


_BASE = {"user_id": "ann", "kind": "click", "item_id": "bird", "time": T}


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"kind": "stare"}, "kind", "event kind 'stare' is unknown: use one of impression, view"),
        ({"kind": "liked"}, "kind", "upload; the nearest is like; or declare it in the settings as [events"),
        ({"kind": "liked"}, "kind", "[events.kinds.NAME]; or import the file with --kind-map NAME=KIND"),
        ({"time": "2026-05-01 12:00"}, "time", "time '2026-05-01 12:00' has no time zone: add one, such as Z for"),
        ({"kind": None}, "kind", "event kind '' is unknown"),
        ({"time": None}, "time", "row has no time: write when it happened"),
        ({"time": "yesterday"}, "time", "time 'yesterday' is no time: write RFC 3339, such as 2024-05-01T"),
        ({"time": 1e300}, "time", "time 1e+300 is no time"),
        ({"time": float("nan")}, "time", "time nan is no time"),
        ({"time": [1]}, "time", "time [1] is no time"),
        ({"time": True}, "time", "time True is no time"),
        ({"value": "a lot"}, "value", "value 'a lot' is no number: write a number, with a point"),
        ({"value": True}, "value", "value True is no number"),
        ({"value": 10**400}, "value", "is no number"),
        ({"item_id": 1.5}, "item_id", "item_id is a float: 1.5: write it as a text"),
        ({"user_id": ["a"]}, "user_id", "user_id is a list: write it as a text"),
        ({"context": "{"}, "context", "context '{' is not JSON: write an object of texts"),
        ({"context": [1]}, "context", "is no object of texts"),
        ({"context": {"a": {"b": 1}}}, "context", "context {'a': {'b': 1}} is no object of texts"),
        ({"context": {"a": None}}, "context", "is no object of texts"),
        ({"vector": "AAAA", "modality": "image", "item_id": None}, "vector", "vector 'AAAA' cannot be read: write"),
        ({"vector": ["a"], "modality": "image", "item_id": None}, "vector", "vector ['a'] cannot be read"),
        ({"vector": "AAAAAA==", "modality": "smell", "item_id": None}, "modality", "modality 'smell' is unknown:"),
        ({"vector": "AAAAAA==", "modality": "image", "text": "a"}, "vector", "row has both a text and a vector"),
        ({"itemid": "x"}, "itemid", "column 'itemid' is unknown: use id, user_id, kind"),
    ],
)  # fmt: skip
def test_bad_rows(tmp_path: Path, change: dict[str, Any], field: str, said: str) -> None:
    path = write(tmp_path / "a.jsonl", "\n".join(json.dumps(row) for row in (_BASE, _BASE | change, _BASE)))
    first, second, third = read(path)
    assert isinstance(first, Line)
    assert isinstance(third, Line)
    assert isinstance(second, BadLine)
    assert (second.number, second.error.field) == (2, field)
    assert said in str(second.error)
    assert len(str(second.error)) < 300


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "line is not JSON: expecting property name"),
        (b"[1]", "line is a list, not an object: write one object per line"),
        (b"\xff{}", "line is not UTF-8 (byte 0): save the file as UTF-8"),
        (b"[" * 100_000, "line is not usable JSON"),
        (
            b'{"user_id": "' + b"x" * MAX_LINE_BYTES + b'"}',
            f"line is over {MAX_LINE_BYTES} bytes long: write one event",
        ),
    ],
    ids=["broken", "list", "latin", "deep", "long"],
)
def test_bad_lines_of_jsonl(tmp_path: Path, line: bytes, said: str) -> None:
    fine = json.dumps(_BASE).encode()
    first, second, third = read(write(tmp_path / "a.jsonl", fine + b"\n" + line + b"\n" + fine))
    assert isinstance(second, BadLine)
    assert said in str(second.error)
    assert isinstance(first, Line) and isinstance(third, Line)
    assert third.number == 3


def test_csv(tmp_path: Path) -> None:
    path = write(
        tmp_path / "ratings.csv",
        "user,movie,stars,timestamp,title\n1,5,4,1777636800,A\n1,5\n2,7,9,1777636800,\"B\nC\"\n3,8,x,1777636800,D\n3,9,,0,E\n",
    )  # fmt: skip
    columns = {"user_id": "user", "item_id": "movie", "value": "stars", "time": "timestamp"}
    lines = read(path, columns=columns, kind=EventKind.RATE, ignore=frozenset({"title"}))
    assert [line.number for line in lines] == [2, 3, 4, 6, 7]
    assert isinstance(lines[0], Line)
    assert plain(lines[0].event) == plain(
        UserEvent(UserId("1"), Event(EventKind.RATE, ItemId("5"), time=TIME, value=4.0))
    )
    assert [str(line.error) for line in lines if isinstance(line, BadLine)] == [
        "row has 2 cells, the header has 5: quote cells that hold commas",
        "value 'x' is no number: write a number, with a point",
    ]


def test_other_names_of_kinds(tmp_path: Path) -> None:
    rows = [_BASE | {"kind": kind} for kind in ("Hearted", "like", "bought")]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    kinds = {"hearted": EventKind.LIKE, "BOUGHT": EventKind.PURCHASE}
    assert [one.event.kind for one in good(path, kinds=kinds)] == [EventKind.LIKE, EventKind.LIKE, EventKind.PURCHASE]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_times_without_a_zone_get_the_one_that_is_given(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    naive = [datetime(2026, 5, 1, 14), datetime(2026, 1, 1, 13), datetime(2025, 10, 26, 2, 30)]
    table = pa.table({"user_id": ["a"] * 3, "kind": ["view"] * 3, "item_id": ["b"] * 3, "time": naive})
    if suffix == ".parquet":
        pq.write_table(table, path)
    elif suffix == ".arrow":
        write_arrow(path, table, stream=True)
    else:
        fields = [{"user_id": "a", "kind": "view", "item_id": "b", "time": time.isoformat(" ")} for time in naive]
        lines = ["user_id,kind,item_id,time", *(",".join(row.values()) for row in fields)]
        write(path, "\n".join(lines if suffix == ".csv" else map(json.dumps, fields)))
    utc = [TIME, datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2025, 10, 26, 0, 30, tzinfo=UTC)]
    times = [one.event.time for one in good(path, zone=ZoneInfo("Europe/Berlin"))]
    assert [time and time.astimezone(UTC) for time in times] == utc
    zoned = write(tmp_path / "b.csv", f"user_id,kind,item_id,time\na,view,b,{T}\na,view,b,1777636800\n")
    assert [one.event.time for one in good(zoned, zone=ZoneInfo("Europe/Berlin"))] == [TIME, TIME]


_HEAD = "user_id,kind,item_id,time,text"


def test_an_unclosed_quote_takes_in_no_rows(tmp_path: Path) -> None:
    """Neither to the end of the file, nor to the next quote, nor where what it takes in looks like one cell."""
    fine = [f"ann,click,i{number},{T}," for number in range(8)]
    for bad, after, said in (
        (f'ann,click,"x,{T},', fine, "not closed"),
        (f'ann,click,"x,{T},', [*fine, f'ann,search,,{T},"two, words"'], "not closed"),
        (f'ann,search,,{T},"two', [*fine, f'ann,click,z,{T},"'], "not closed"),
        (f'ann,click,"x,{T},', [f"ann,click,{number},{T},{'y' * 200}" for number in range(9000)], "not closed"),
        (f'ann,click,"x"y,{T},', fine, "row is not valid CSV"),
    ):
        found = read(write(tmp_path / "a.csv", "\n".join([_HEAD, *fine, bad, *after])))
        assert [line.number for line in found] == list(range(2, len(fine) + len(after) + 3))
        refused = [line for line in found if isinstance(line, BadLine)]
        assert refused[0].number == len(fine) + 2
        assert said in str(refused[0].error)
        assert len(refused) <= 2  # the row that closes it may be spoilt too


def test_a_text_of_several_lines_is_one_cell(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f'{_HEAD}\nann,search,,{T},"a, b, c, d, e\nf, g\n,,,,"\nann,click,z,{T},\n')
    assert [line.number for line in read(path)] == [2, 5]
    assert good(path)[0].event.content == Text("a, b, c, d, e\nf, g\n,,,,")


def test_an_import_tells_how_far_it_is(store: SqlEventStore) -> None:
    told: list[tuple[int, Imported]] = []
    lines = (Line(number, click(name=f"{number % 3000}")) for number in range(1, 4001))
    done = import_events(store, lines, lambda bad: None, lambda number, so_far: told.append((number, so_far)))
    assert told == [(2000, Imported(2000, 0, 0)), (4000, done)]
    assert done == Imported(3000, 1000, 0)


def test_rejected_lines_are_told_in_order(store: SqlEventStore, tmp_path: Path) -> None:
    rows = [",click,a,T,", "ann,click,a,T,x", "ann,click,a,T,-1", "ann,click,b,T,1", "ann,click,b,T,1"]
    path = write(tmp_path / "a.csv", "\n".join(["user_id,kind,item_id,time,value", *rows]).replace("T", T))
    bad: list[BadLine] = []
    assert import_events(store, read_events(path), bad.append) == Imported(1, 1, 3)
    assert [(line.number, line.error.field) for line in bad] == [(2, "user_id"), (3, "value"), (4, "value")]


def test_parquet_of_others(tmp_path: Path) -> None:
    """As pandas writes it: nanoseconds without a zone, integers for ids, and one time that is none in Python."""
    nanos = np.array([1_777_636_800_123_456_789, -(2**62)], "datetime64[ns]")
    table = pa.table({"user_id": [1, 2], "item_id": ["a", "b"], "kind": ["view", "view"], "time": nanos})
    pq.write_table(table, tmp_path / "a.parquet")
    first, second = read(tmp_path / "a.parquet")
    assert isinstance(first, Line)
    assert isinstance(second, Line)
    assert first.event.event.time == TIME + timedelta(microseconds=123456)
    far = pa.table({"user_id": ["1"], "kind": ["view"], "time": pa.array([2**60], pa.timestamp("us", "UTC"))})
    pq.write_table(far, tmp_path / "b.parquet")
    (bad,) = read(tmp_path / "b.parquet")
    assert isinstance(bad, BadLine)
    assert bad.error.field == "time"


# Whole files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.csv", None, "no file of events at"),
        ("a.txt", b"", "a.txt is of an unknown kind '.txt': use .jsonl, .csv, .parquet or .arrow"),
        ("a.parquet", b"not parquet", "a.parquet is not readable Parquet: "),
        ("a.csv", b"user_id,time,time\n", "has two columns 'time': give each a name of its own"),
        ("a.csv", b"user_id,time\n", "has no column 'kind', its columns are 'user_id', 'time': add it, or say which"),
        ("a.csv", b"", "has no column 'user_id', its columns are none"),
        ("a.csv", b"user_id,time,kind,price\n", "column 'price' is unknown: use id, user_id, kind"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content is not None:
        write(tmp_path / name, content)
    with pytest.raises(EventFileError) as caught:
        read(tmp_path / name)
    assert said in str(caught.value)


def test_a_parquet_file_that_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    export_events(path, [click(name=f"{number}" * 50, item=f"{number * 7919}") for number in range(5000)])
    raw = bytearray(path.read_bytes())
    raw[100:2000] = bytes(1900)
    with pytest.raises(EventFileError, match="is not readable Parquet after row"):
        read(write(path, bytes(raw)))


def test_an_unknown_role(tmp_path: Path) -> None:
    with pytest.raises(
        EventFileError, match="has no column 'skuu', its columns are 'user_id', 'time', 'kind', 'sku'"
    ):
        read_events(write(tmp_path / "b.csv", "user_id,time,kind,sku\n"), RowReader({"item_id": "skuu"}))
    with pytest.raises(EventFileError, match="events have no column 'item': use one of id, user_id"):
        read_events(write(tmp_path / "a.csv", ""), RowReader({"item": "sku"}))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_export_that_fails_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    export_events(path, [click()])
    before = path.read_bytes()
    with pytest.raises(EventError, match="content is an image without a vector"):
        export_events(path, [click(), on(Image(b"x"))])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(EventFileError, match="cannot write"):
        export_events(tmp_path / "none" / path.name, [])


@pytest.mark.parametrize("time", ["20240501", "1990"])
def test_dates_without_hyphens_are_not_read_as_seconds_of_1970(tmp_path: Path, time: str) -> None:
    path = write(tmp_path / "a.csv", f"user_id,kind,item_id,time\na,view,b,{time}\na,view,b,1777636800\n")
    first, second = read_events(path, RowReader(zone=UTC))
    assert isinstance(first, BadLine) and "is no time" in str(first.error)
    assert not isinstance(second, BadLine)
