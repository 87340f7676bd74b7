"""What is typed on a command line becomes requests of the wire contract."""

import json
from datetime import datetime

import pytest

from encoders.errors import ContentError
from engine.cli import ask, request
from engine.core.errors import InvalidQueryError
from engine.core.filters import And, AnyOf, DatetimeRange, Match, Not, Or, Range
from engine.service.convert.filters import filter_of as engine_filter
from indexers.readers.folder import AUDIOS
from triveni.v1 import event_pb2


def parsed(*conditions: str):
    message = request.filter_of(conditions)
    assert message is not None
    return engine_filter(message)


def time(words: str) -> datetime:
    return datetime.fromisoformat(words)


def at(words: str) -> DatetimeRange:
    return DatetimeRange("created", gte=time(words), lte=time(words))


def exactly(number: float) -> Range:
    return Range("size", gte=number, lte=number)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("category=birds", Match("category", "birds")),
        ("category = song birds", Match("category", "song birds")),
        ("category=birds|fish", AnyOf("category", ("birds", "fish"))),
        ("category!=food", Not(Match("category", "food"))),
        ("year=1999", Range("year", gte=1999.0, lte=1999.0)),
        ("year=1999|2001", Or((Range("year", gte=1999.0, lte=1999.0), Range("year", gte=2001.0, lte=2001.0)))),
        ("size=12.5|XL|12", Or((exactly(12.5), exactly(12.0), Match("size", "XL")))),
        ("number=9007199254740993", Match("number", 9007199254740993)),
        ('year="1999"', Match("year", "1999")),
        ("sold=true", Match("sold", True)),
        ("price<10", Range("price", lt=10.0)),
        ("price>=2.5", Range("price", gte=2.5)),
        ("price<=3", Range("price", lte=3.0)),
        ("price>3", Range("price", gt=3.0)),
        ("price=41.99", Range("price", gte=41.99, lte=41.99)),
        ("price!=-0.5", Not(Range("price", gte=-0.5, lte=-0.5))),
        ('release="1.5"', Match("release", "1.5")),
        ("price<1e3", Range("price", lt=1000.0)),
        ("created>=2025-01-01", DatetimeRange("created", gte=time("2025-01-01T00:00:00Z"))),
        ("created < 2025-01-01", DatetimeRange("created", lt=time("2025-01-01T00:00:00Z"))),
        ("created>2025-01-01T12:00:00+02:00", DatetimeRange("created", gt=time("2025-01-01T10:00:00Z"))),
        ("created<=2025-01-01t12:00:00.25z", DatetimeRange("created", lte=time("2025-01-01T12:00:00.25Z"))),
        ("created<=2025-01-01 12:00", DatetimeRange("created", lte=time("2025-01-01T12:00:00Z"))),
        ("created=2025-01-01", at("2025-01-01T00:00:00Z")),
        ("created!=2025-01-01", Not(at("2025-01-01T00:00:00Z"))),
        ("created=2025-01-01|2025-02-01", Or((at("2025-01-01T00:00:00Z"), at("2025-02-01T00:00:00Z")))),
        ('code="2025-01-01"', Match("code", "2025-01-01")),
        ("code=2025-13-01", Match("code", "2025-13-01")),
        ("code=2025-01-01-b", Match("code", "2025-01-01-b")),
    ],
)
def test_conditions_become_filters(condition, expected):
    assert parsed(condition) == expected


def test_several_conditions_must_all_hold():
    assert parsed("a=x", "b>1") == And((Match("a", "x"), Range("b", gt=1.0)))


def test_no_condition_is_no_filter():
    assert request.filter_of([]) is None


@pytest.mark.parametrize(
    "condition", ["category", "=birds", "price<cheap", "", "created>=2025-13-01", "created>2025-01"]
)
def test_unreadable_conditions_are_refused_with_a_remedy(condition):
    with pytest.raises(InvalidQueryError) as refusal:
        request.filter_of([condition])
    assert repr(condition) in refusal.value.problem
    assert refusal.value.remedy


def test_history_file_keeps_order_kinds_and_times(tmp_path):
    (tmp_path / "cow.ogg").write_bytes(b"sound")
    rows = [
        {"kind": "search", "text": "drums"},
        {"kind": "like", "item": "42", "time": "2026-01-02T03:04:05+00:00"},
        {"kind": "upload", "audio": "cow.ogg"},
        {"kind": "rate", "item": 7, "value": 4.5},
    ]
    path = tmp_path / "history.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    events = request.history(path)
    assert [event_pb2.EventKind.Name(event.kind) for event in events] == [
        "EVENT_KIND_SEARCH",
        "EVENT_KIND_LIKE",
        "EVENT_KIND_UPLOAD",
        "EVENT_KIND_RATE",
    ]
    assert events[0].content.text == "drums"
    assert events[1].time.ToJsonString() == "2026-01-02T03:04:05Z"
    assert events[2].content.audio == b"sound"
    assert (events[3].item_id, events[3].value) == ("7", 4.5)


@pytest.mark.parametrize(
    "row", ['{"kind": "like"}', '{"item": "42"}', "not json", '{"kind": "like", "item": "1", "colour": 1}', "[1]"]
)
def test_bad_lines_of_a_history_are_named(tmp_path, row):
    path = tmp_path / "history.jsonl"
    path.write_text('{"kind": "like", "item": "1"}\n' + row)
    with pytest.raises(InvalidQueryError, match="line 2"):
        request.history(path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.jsonl", None, "cannot read .*absent.jsonl: no such file or directory: name a file that is there"),
        (".", None, "cannot read .*: is a directory: name a file that is there"),
        ("h.jsonl", b"\xff\xfe{", "h.jsonl is not UTF-8 .byte 0.: save it as UTF-8"),
        ("h.jsonl", b'{"kind": "rate", "item": "1", "value": 1' + 400 * b"0" + b"}", "line 1 of .* is not an event"),
        ("h.jsonl", b'{"kind": "like", "item": "\\ud800"}', "is not valid Unicode"),
        ("h.jsonl", b'{"kind": "like", "item": "1", "time": 5}', "line 1 of .* is not an event"),
        ("h.jsonl", b"[" * 100_000, "line 1 of .* is not an event"),
    ],
)
def test_a_history_that_cannot_be_read_is_an_error_with_a_remedy(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidQueryError, match=said) as refusal:
        request.history(tmp_path / name)
    assert refusal.value.remedy


def test_a_history_may_have_a_mark_and_any_character_in_its_texts(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"kind": "search", "text": "a\xe2\x80\xa8b"}\r\n{"kind": "like", "item": "1"}')
    assert [event.content.text or event.item_id for event in request.history(path)] == ["a\u2028b", "1"]


def test_a_kind_that_is_not_standard_goes_by_its_name():
    """Whether it is declared, knows who answers."""
    event = request.event("adore", "42")
    assert (event.kind, event.kind_name) == (event_pb2.EVENT_KIND_UNSPECIFIED, "adore")
    assert request.event("like", "42").kind_name == ""


@pytest.mark.parametrize("ending", AUDIOS)
def test_an_upload_is_a_sound_by_the_endings_that_are_indexed_as_sounds(tmp_path, ending):
    path = tmp_path / f"a{ending.upper()}"
    path.write_bytes(b"x")
    assert request.media(path).audio == b"x"


def test_a_file_named_by_an_option_is_what_the_option_says_whatever_its_ending(tmp_path):
    for name in ("tone.opus", "tone", "tone.png"):
        (tmp_path / name).write_bytes(b"x")
        parts = ask._parts("", ask.ContentOptions([tmp_path / name], [tmp_path / name]))
        assert [part.content.WhichOneof("content") for part in parts] == ["image", "audio"]
    path = tmp_path / "history.jsonl"
    path.write_text('{"kind": "upload", "audio": "tone"}\n{"kind": "upload", "image": "tone.opus"}\n')
    assert [event.content.WhichOneof("content") for event in request.history(path)] == ["audio", "image"]


def test_missing_media_says_which(tmp_path):
    for read in (request.media, request.picture, request.sound):
        with pytest.raises(ContentError, match=r"cannot read .*absent\.png: no such file or directory: name a file"):
            read(tmp_path / "absent.png")
