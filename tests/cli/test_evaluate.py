"""`triveni evaluate`, as it is typed; only the space is the tiny one."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from encoders.errors import TriveniError
from engine import compose
from engine.cli import app
from engine.config import load_settings
from engine.events.files import export_events
from engine.events.types import Impression, UserEvent
from engine.ingest import digest, point_of
from engine.types import Event, EventKind, Item, ItemId, UserId
from tests.learn.logs import START, crowd, event
from tests.tiny import CONCEPTS, concept_space, concept_text

FAST = ("--ranker", "popularity", "--ranker", "markov")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compose, "open_space", lambda settings: concept_space())
    return tmp_path


def write(name: str, events: list[UserEvent]) -> str:
    export_events(Path(name), events)
    return name


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["evaluate", *arguments])


def document(*arguments: str) -> dict[str, object]:
    done = run(*arguments, "--json", "-")
    assert done.exit_code == 0, (done.output, done.exception)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def test_a_file_is_evaluated_and_reported(folder: Path) -> None:
    file = write("events.parquet", crowd())
    done = run(file, *FAST, "--k", "5", "--k", "10", "--report", "out.html", "--json", "out.json")
    assert done.exit_code == 0, (done.output, done.exception)
    told = json.loads((folder / "out.json").read_text())
    assert [one["name"] for one in told["rankers"]] == ["popularity", "markov"]
    assert told["reference"] == "markov"
    assert told["ks"] == [5, 10]
    assert "<svg" in (folder / "out.html").read_text()
    assert "markov" in done.output
    assert "out.html" in done.output


def test_every_split(folder: Path) -> None:
    events = sorted(crowd(), key=lambda one: one.event.time or START)
    file = write("events.csv", events)
    assert document(file, *FAST, "--split", "time", "--at", "2026-01-08")["split"] == "time"
    assert document(file, *FAST, "--split", "hidden-items", "--share", "0.2")["slices"]["new items"] > 10  # type: ignore[index]
    train, valid = write("train.jsonl", events[:500]), write("valid.jsonl", events[500:600])
    test = write("test.jsonl", events[600:])
    told = document(train, *FAST, "--split", "ready", "--valid", valid, "--test", test)
    assert (told["split"], told["events"]) == ("ready-made", 600)


def test_the_stores_events_and_the_catalogues_items_are_used(folder: Path) -> None:
    settings, space = load_settings(), concept_space()
    items = [Item(ItemId(name), (concept_text(name),), {"title": name}) for name in CONCEPTS]
    vectors = space.encode([one.contents[0] for one in items])
    store = compose.open_store(settings, space)
    store.upsert(
        [
            point_of(one, {one.contents[0].modality: vector}, digest_=digest(one))
            for one, vector in zip(items, vectors, strict=True)
        ]
    )
    store.close()
    events = compose.open_events(settings)
    events.record([event(f"p{one}", CONCEPTS[(one + step) % 12], step) for one in range(12) for step in range(4)])
    events.log_impressions(
        [Impression("r1", UserId("p1"), (ItemId("bird"), ItemId("car")), (1, 2), (1.0, 1.0), "m", "full", START)]
    )
    click = Event(EventKind.CLICK, ItemId("car"), time=datetime(2026, 2, 1, tzinfo=UTC), request_id="r1")
    events.record([UserEvent(UserId("p1"), click)])
    events.close()
    told = document("--ranker", "mean vector", "--ranker", "tf-idf", "--ablate")
    assert told["items"] == 12
    assert told["shown"]["click-through rate"]["mean"] == 0.5  # type: ignore[index]
    assert document(*FAST, "--no-catalog")["items"] == 12
    stranger = write("other.csv", [event("ann", "x", 0), event("ann", "y", 1)])
    assert "--no-catalog" in str(run(stranger, *FAST).exception)


def test_bad_lines_are_told_and_left_out(folder: Path) -> None:
    file = write("events.jsonl", crowd())
    with Path(file).open("a") as lines:
        lines.write("no event\n")
    done = run(file, *FAST)
    assert done.exit_code == 0
    assert "line 721" in done.output
    assert "1 lines are no events" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("x.csv", "--split", "ready"),
        ("x.csv", "--test", "y.csv"),
        ("x.csv", "--at", "2026-01-01"),
        ("x.csv", "--share", "2"),
        ("x.csv", "--k", "0"),
    ],
)
def test_wrong_calls_are_usage_errors(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone.csv",), "no file of events at gone.csv"),
        (("few.csv",), "nobody has a positive event"),
        (("many.csv", "--ranker", "sasrec"), "there is no baseline 'sasrec'"),
        (("many.csv", "--ranker", "mean vector"), "no item has a vector"),
        (("many.csv", "--catalog"), "there is no catalogue"),
        (("many.csv", "--ranker", "popularity", "--reference", "x"), "no ranker is called 'x'"),
        ((), "there are no events in the event store"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], said: str) -> None:
    write("few.csv", [event("ann", "a", 0)])
    write("many.csv", crowd(people=6))
    done = run(*arguments)
    assert isinstance(done.exception, TriveniError)
    assert said in str(done.exception)


def test_only_good_ratings_count() -> None:
    rows = [
        event(one.user, one.event.item or "", hour, EventKind.RATE, 1 + hour % 5) for hour, one in enumerate(crowd())
    ]
    file = write("rated.csv", rows)
    every, good = document(file, *FAST), document(file, *FAST, "--kind", "rate", "--min-value", "4")
    assert every["events"] != good["events"]
