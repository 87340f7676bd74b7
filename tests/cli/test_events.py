"""`triveni events`, as it is typed; only the space is the tiny one."""

import json
import re
import shlex
import signal
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from encoders.errors import TriveniError
from encoders.types import Text
from engine import opening
from engine.catalog.ingest import digest, point_of
from engine.cli import app
from engine.config.settings import load_settings
from engine.core.types import Item, ItemId, UserId
from engine.events.sql import SqlEventStore
from engine.events.types import RecordOutcome, UserEvent
from tests.events.stores import on, served, vector
from tests.tiny import concept_space

ROWS = [
    {"user_id": "ann", "kind": "like", "time": "2026-01-01T10:00:00Z", "item_id": "a", "id": "e1"},
    {"user_id": "bob", "kind": "rate", "time": "2026-01-01T11:00:00Z", "item_id": "a", "value": 4, "id": "e2"},
    {"user_id": "ann", "kind": "search", "time": "2026-01-02T10:00:00Z", "text": "a bird", "id": "e3"},
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_space", lambda settings: concept_space())
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["events", *arguments])


def document(*arguments: str, code: int = 0) -> dict[str, object]:
    done = run(*arguments, "--json")
    assert done.exit_code == code, (done.output, done.exception)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def write(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_import_stats_export_and_import_again(folder: Path) -> None:
    file = write(folder / "in.jsonl", ROWS)
    assert document("import", file, "--no-check-items")["recorded"] == 3
    assert document("import", file, "--no-check-items")["duplicates"] == 3
    found = document("stats")
    assert (found["events"], found["users"], found["impressions"]) == (3, 2, 0)
    assert found["kinds"] == {"like": 1, "rate": 1, "search": 1}
    assert document("export", "out.parquet", "--since", "2026-01-01T11:00:00")["events"] == 2
    assert document("import", "out.parquet", "--no-check-items")["duplicates"] == 2
    for arguments in (("stats",), ("import", file, "--no-check-items"), ("export", "again.csv")):
        done = run(*arguments)
        assert done.exit_code == 0, done.output
        assert "3" in done.output


def test_all_of_a_person_is_exported(folder: Path) -> None:
    document("import", write(folder / "in.jsonl", ROWS), "--no-check-items")
    with closing(opening.open_events(load_settings())) as store:
        store.record([replace(on(vector()), user=UserId("ann"))])
        store.log_impressions([served("r1", "ann"), served("r2", "bob"), served("r3", "ann", items=())])
    done = document("export", "ann.jsonl", "--user", "ann")
    assert (done["events"], done["lists"], done["lists_file"]) == (3, 2, "ann-lists.jsonl")
    events = [json.loads(line) for line in Path("ann.jsonl").read_text().splitlines()]
    assert [(event["user_id"], event["kind"]) for event in events] == [("ann", kind) for kind in KINDS_OF_ANN]
    assert {"vector", "fingerprint"} <= events[0].keys()
    lists = [json.loads(line) for line in Path("ann-lists.jsonl").read_text().splitlines()]
    assert [one["request_id"] for one in lists] == ["r3", "r1"]
    assert lists[1] == {
        "request_id": "r1", "user": "ann", "items": ["a", "b"], "positions": [1, 2], "propensities": [1.0, 0.5],
        "model": "m1", "tier": "retrieval", "time": "2026-06-01T10:00:00Z", "context": {"device": "phone"},
    }  # fmt: skip
    assert "2 served lists" in run("export", "ann.csv", "--user", "ann").output
    assert run("export", "ann.csv", "--user", "ann", "--since", "2026-01-01").exit_code == 2


KINDS_OF_ANN = ("search", "search", "like")


def test_purge_deletes_what_is_too_old(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document("import", write(folder / "in.jsonl", ROWS), "--no-check-items")
    assert document("purge") == {"deleted": 0}
    days = (datetime.now(UTC) - datetime(2026, 1, 2, tzinfo=UTC)).total_seconds() / 86400
    monkeypatch.setenv("TRIVENI_EVENTS__RETENTION_DAYS", str(days))
    assert document("stats")["events"] == 1
    assert document("purge") == {"deleted": 2}
    assert "0 events and served lists deleted" in run("purge").output
    monkeypatch.delenv("TRIVENI_EVENTS__RETENTION_DAYS")
    assert document("stats")["events"] == 1


def test_bad_lines_are_told_and_the_rest_is_kept(folder: Path) -> None:
    file = write(folder / "in.jsonl", [*ROWS, {**ROWS[0], "id": "e4", "value": -1}, {"user_id": "x"}])
    done = run("import", file, "--no-check-items")
    assert done.exit_code == 1
    assert "line 4" in done.output
    assert "0 or more" in done.output
    assert document("stats")["events"] == 3
    assert run("import", file, "--no-check-items", "--max-errors", "2").exit_code == 0


def test_items_are_looked_up_in_the_catalogue(folder: Path) -> None:
    file = write(folder / "in.jsonl", [*ROWS, {**ROWS[0], "id": "e5", "item_id": "gone"}])
    refused = run("import", file)
    assert refused.exit_code == 1
    assert isinstance(refused.exception, TriveniError)
    assert "--no-check-items" in str(refused.exception)
    space, item = concept_space(), Item(ItemId("a"), (Text("a bird"),))
    store = opening.open_store(load_settings(), space)
    vector = space.encode(item.contents)[0]
    store.upsert([point_of(item, {item.contents[0].modality: vector}, digest_=digest(item))])
    held = run("import", file)
    assert "--no-check-items" in str(held.exception)
    store.close()
    done = document("import", file, code=1)
    assert (done["recorded"], done["rejected"]) == (3, 1)
    assert "'gone' is not in the catalogue" in str(done["examples"])


def test_no_encoder_is_loaded_to_look_items_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(opening.open_store(load_settings(), concept_space())) as store:
        item = Item(ItemId("a"), (Text("a bird"),))
        vector = concept_space().encode(item.contents)[0]
        store.upsert([point_of(item, {item.contents[0].modality: vector}, digest_=digest(item))])
    monkeypatch.setattr(opening, "open_space", lambda settings: pytest.fail("an encoder was loaded"))
    file = write(folder / "in.jsonl", ROWS)
    assert document("import", file)["recorded"] == 3
    assert run("check", file).exit_code == 0


THEIRS = "who,what,sku,when,note\n" + "".join(
    f"ann,{kind},a,2026-01-01 1{hour}:00,x\n" for hour, kind in enumerate(("hearted", "Bought", "view"))
)
OPTIONS = (
    *(part for pair in ("user_id=who", "kind=what", "item_id=sku", "time=when") for part in ("--column", pair)),
    *("--kind-map", "hearted=like", "--timezone", "Europe/Berlin", "--ignore", "note", "--no-check-items"),
)


def test_a_file_of_others_is_read_by_options(folder: Path) -> None:
    (folder / "their file.csv").write_text(THEIRS)
    mapped = (*OPTIONS, "--kind-map", "bought=purchase")
    assert document("import", "their file.csv", *mapped)["recorded"] == 3
    found = document("stats")
    assert found["kinds"] == {"like": 1, "purchase": 1, "view": 1}
    assert found["first"] == "2026-01-01T09:00:00+00:00"
    assert document("check", "their file.csv", *mapped)["events"] == 3
    refused = run("import", "their file.csv", *OPTIONS).output
    assert "line 3: event kind 'Bought' is unknown: use one of impression, view" in refused
    assert "--kind-map NAME=KIND" in refused
    no_zone = [one for one in mapped if one not in ("--timezone", "Europe/Berlin")]
    assert "--timezone Europe/Berlin" in run("import", "their file.csv", *no_zone).output
    shifted = [one if one != "Europe/Berlin" else "-05:30" for one in mapped]
    document("import", "their file.csv", *shifted)
    assert document("stats")["last"] == "2026-01-01T17:30:00+00:00"


def test_the_hint_after_a_failed_import_can_be_pasted(folder: Path) -> None:
    (folder / "their file.csv").write_text(THEIRS + "ann,stared,a,2026-01-01,x\n" * 12)
    done = run("import", "their file.csv", *OPTIONS)
    assert done.exit_code == 1
    (hint,) = re.findall(r"and 3 more, which this counts by cause: triveni (.*)", done.output)
    pasted = shlex.split(hint)
    assert pasted == ["events", "check", "their file.csv", *OPTIONS]
    checked = CliRunner().invoke(app, pasted)
    assert checked.exit_code == 1
    assert "unknown" in checked.output


def test_an_import_that_is_interrupted_says_how_far_it_got(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{**ROWS[0], "id": f"e{number}"} for number in range(5000)]
    file = write(folder / "in.jsonl", rows)
    record, calls = SqlEventStore.record, []

    def interrupted(store: SqlEventStore, events: list[UserEvent]) -> list[RecordOutcome]:
        calls.append(len(events))
        if len(calls) == 3:
            signal.raise_signal(signal.SIGTERM)
        return record(store, events)

    monkeypatch.setattr(SqlEventStore, "record", interrupted)
    done = run("import", file, "--no-check-items")
    assert done.exit_code == 130
    assert "stopped after line 4,000: 4,000 recorded, 0 there already, 0 refused" in done.output
    assert "import the file again, what is there stays as it is" in done.output
    again = document("import", file, "--no-check-items")
    assert (again["recorded"], again["duplicates"]) == (1000, 4000)


def test_check_finds_what_is_wrong_in_a_file_and_nothing_in_a_good_store(folder: Path) -> None:
    file = write(folder / "in.jsonl", [*ROWS, ROWS[0], {**ROWS[1], "id": "e6", "value": None}])
    report = document("check", file, "--no-check-items", code=1)
    codes = {finding["code"] for finding in report["findings"]}  # type: ignore[attr-defined, index]
    assert {"duplicate.id", "missing.value"} <= codes
    assert "ratings without stars" in " ".join(run("check", file, "--no-check-items").output.split())
    good = write(folder / "good.jsonl", ROWS)
    run("import", good, "--no-check-items")
    assert document("check", "--no-check-items")["findings"] == []
    assert "nothing is wrong" in run("check", "--no-check-items").output


@pytest.mark.parametrize(
    "arguments",
    [
        ("import",),
        ("import", "x.jsonl", "--column", "value"),
        ("export", "x.csv", "--since", "yesterday"),
        ("import", "x.jsonl", "--kind", "adore"),
        ("import", "x.jsonl", "--kind-map", "hearted"),
        ("import", "x.jsonl", "--kind-map", "hearted=lik"),
        ("import", "x.jsonl", "--timezone", "Europe/Berln"),
    ],
)
def test_wrong_calls_are_usage_errors(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_slip_in_an_option_names_the_nearest() -> None:
    assert "the nearest is like" in " ".join(run("import", "x.jsonl", "--kind-map", "hearted=lik").output.split())
    assert "Europe/Berlin" in run("import", "x.jsonl", "--timezone", "Europe/Berln").output


def test_a_file_that_is_not_there_is_said() -> None:
    done = run("import", "gone.jsonl", "--no-check-items")
    assert "no file of events at gone.jsonl" in str(done.exception)


@pytest.mark.parametrize("command", [("stats",), ("check", "--no-check-items"), ("export", "out.jsonl")])
def test_who_reads_makes_no_store(folder: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setenv("TRIVENI_EVENTS__URL", "sqlite:///evnts.db")
    done = run(*command)
    assert isinstance(done.exception, TriveniError)
    assert str(done.exception).startswith("there is no event store evnts.db: record or import events first")
    assert not list(folder.iterdir())


CART = '[events.kinds.add_to_cart]\nweight = 1.5\nsign = "positive"\n'


def test_a_kind_of_the_settings_is_imported_and_shown_when_it_is_declared_no_longer(folder: Path) -> None:
    (folder / "triveni.toml").write_text(CART)
    rows = "".join(f"ann,{kind},a,2026-01-01T10:00Z\n" for kind in ("cart", "like"))
    (folder / "a.csv").write_text(f"user_id,kind,item_id,time\n{rows}")
    mapped = ("a.csv", "--kind-map", "cart=add_to_cart", "--no-check-items")
    assert document("import", *mapped)["recorded"] == 2
    assert document("check", *mapped)["findings"] == [] == document("check", "--no-check-items")["findings"]
    bare = write(folder / "bare.jsonl", [{"user_id": "bob", "time": 5e8, "item_id": "b"}])
    assert document("import", bare, "--kind", "add_to_cart", "--no-check-items")["recorded"] == 1
    assert document("stats")["kinds"] == {"add_to_cart": 2, "like": 1}
    assert "not declared" not in run("stats").output
    assert document("export", "out.jsonl")["events"] == 3
    (folder / "triveni.toml").unlink()
    assert "add_to_cart (not declared)" in run("stats").output
    assert document("export", "again.jsonl")["events"] == 3
    assert (folder / "again.jsonl").read_text() == (folder / "out.jsonl").read_text()
    (found,) = document("check", "--no-check-items", code=1)["findings"]  # type: ignore[misc]
    assert (found["code"], found["count"]) == ("invalid.kind", 2)
    assert document("import", "out.jsonl", "--no-check-items", code=1)["rejected"] == 2
    refused = " ".join(run("import", *mapped).output.split())
    assert "--kind-map: event kind 'add_to_cart' is unknown" in refused
    assert "declare it in the settings as" in refused
