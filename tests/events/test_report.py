"""The report over a whole file: each fault planted, found and counted."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from encoders.types import Text
from engine.core.types import Event, EventKind, ItemId, UserId
from engine.events.errors import EventError
from engine.events.report import CheckReport, Finding, check_events
from engine.events.rows import BadLine, Line
from engine.events.types import UserEvent
from tests.events.stores import NOW, ago, click, on, vector

CLEAN = [click(user=f"user {n % 50}", name=f"{n}", time=ago(minutes=1000 - n), request_id="r") for n in range(500)]


def findings(events: Sequence[Line | BadLine | UserEvent], **options: object) -> dict[str, Finding]:
    report = check_events(events, now=NOW, **options)  # type: ignore[arg-type]
    assert all(found.problem and found.remedy and found.count > 0 for found in report.findings)
    return {found.code: found for found in report.findings}


def test_nothing_is_wrong_with_clean_events() -> None:
    report = check_events(CLEAN, now=NOW, known_items=lambda items: items)
    assert report == CheckReport(500, 50, 1, ago(minutes=1000), ago(minutes=501), ())


def test_no_events() -> None:
    assert check_events([], now=NOW) == CheckReport(0, 0, 0, None, None, ())


def test_invalid() -> None:
    lines = [
        Line(2, click(user="")),
        Line(3, click(value=-1.0)),
        Line(5, click(value=-2.0)),
        BadLine(9, EventError("line is not JSON", "write JSON")),
        click(time=None),
    ]
    found = findings([*lines, *CLEAN])
    assert found.keys() == {"invalid.user_id", "invalid.value", "invalid", "invalid.time"}
    assert found["invalid.value"].count == 2
    assert found["invalid.value"].examples == (
        "line 3: value is -1.0",
        "line 5: value is -2.0",
    )
    assert found["invalid"].examples == ("line 9: line is not JSON",)
    assert found["invalid.time"].examples == ("line 5: event has no time",)


def test_duplicates() -> None:
    again = [CLEAN[3], CLEAN[3], CLEAN[4]]
    relogged = [click(user="user 7", name="new id", time=ago(minutes=993), request_id="r")]
    found = findings([*CLEAN, *relogged, *again])
    assert found["duplicate.id"].count == 3
    assert found["duplicate.contents"].count == 1
    other = [on(vector(0)), on(vector(1)), on(Text("a")), on(Text("b"))]
    assert "duplicate.contents" not in findings([*CLEAN, *other])


def test_clocks() -> None:
    early = [click(user="old", time=NOW - timedelta(days=3000 + n), request_id="r") for n in range(2)]
    found = findings([*early[::-1], *CLEAN])
    assert (found["clock.jump"].count, "clock.back" in found) == (2, False)
    back = [click(user="back", name="back", time=ago(minutes=990), request_id="r")]
    found = findings([*CLEAN[:300], *back, *CLEAN[300:]])
    assert (found["clock.back"].count, "clock.jump" in found) == (1, False)
    assert "clock.back" not in findings(CLEAN[::-1])  # sorted another way, which says nothing about clocks


def test_an_id_commands_no_terminal() -> None:
    event = click(item="é\x1b[31m\n" + "x" * 99, request_id="r")
    report = check_events([*CLEAN, event], now=NOW, known_items=lambda items: [one for one in items if len(one) < 9])
    (found,) = (one for one in report.findings if one.code == "unknown_item")
    assert found.examples == (r"é\x1b[31m\n" + "x" * 73,)


def test_bots() -> None:
    def burst(kind: EventKind, count: int, gap: float) -> list[UserEvent]:
        return [
            UserEvent(UserId("bot"), Event(kind, ItemId(f"{n}"), time=ago(seconds=gap * (count - n)), request_id="r"))
            for n in range(count)
        ]

    found = findings([*CLEAN, *burst(EventKind.CLICK, 121, 0.4)])
    assert (found["bot.minute"].count, found["bot.minute"].examples) == (121, ("bot",))
    assert "bot.minute" not in findings([*CLEAN, *burst(EventKind.CLICK, 120, 0.4)])
    assert "bot.minute" not in findings([*CLEAN, *burst(EventKind.IMPRESSION, 200, 0.1)])
    assert findings([*CLEAN, *burst(EventKind.VIEW, 5001, 15)]).keys() == {"bot.day"}


def test_unknown_items() -> None:
    asked: list[int] = []

    def known(items: Sequence[ItemId]) -> list[ItemId]:
        asked.append(len(items))
        return [item for item in items if item == "bird"]

    strange = [click(item=f"dodo {n % 1500}", name=f"d{n}", time=ago(minutes=3), request_id="r") for n in range(1600)]
    many = [UserEvent(UserId(f"u{n}"), one.event) for n, one in enumerate(strange)]
    found = findings([*CLEAN, *many], known_items=known)
    assert found.keys() == {"unknown_item"}
    assert found["unknown_item"].count == 1600
    assert found["unknown_item"].problem == "events on 1500 items that are not in the catalogue"
    assert (sum(asked), max(asked)) == (1501, 1000)


@pytest.mark.parametrize(
    ("code", "event"),
    [
        (
            "missing.value",
            UserEvent(UserId("a"), Event(EventKind.RATE, ItemId("i"), time=ago(hours=1), request_id="r")),
        ),
        ("missing.request_id", click()),
    ],
)
def test_missing(code: str, event: UserEvent) -> None:
    found = findings([*CLEAN, event])
    assert (found.keys(), found[code].count) == ({code}, 1)


def test_a_search_answers_no_list() -> None:
    search = UserEvent(UserId("ann"), Event(EventKind.SEARCH, content=Text("red"), time=ago(minutes=3)))
    asked, unasked = click(request_id="r", time=ago(minutes=2)), click(item="b", time=ago(minutes=1))
    assert "missing.request_id" not in findings([search, asked])
    assert findings([search, asked, unasked])["missing.request_id"].count == 1
