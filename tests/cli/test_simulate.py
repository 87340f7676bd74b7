"""`triveni simulate`, as it is typed; only the space is the tiny one."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from encoders.errors import TriveniError
from engine import opening
from engine.catalog.ingest import point_of
from engine.cli import app, with_new_names
from engine.config.settings import load_settings
from engine.core.types import Item, ItemId
from engine.learn.simulate.errors import SimulationError
from tests.tiny import CONCEPTS, concept_image, concept_space, concept_text

UNTIL = ("--until", "2026-05-01T00:00:00Z")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_space", lambda settings: concept_space())
    return tmp_path


def index(count: int = 48) -> None:
    """A catalogue of pictures, half of them with a text."""
    space = concept_space()
    store = opening.open_store(load_settings(), space)
    points = []
    for number in range(count):
        concept = CONCEPTS[number % len(CONCEPTS)]
        contents = (concept_image(concept, number), concept_text(concept, number))[: 1 + number % 2]
        item = Item(ItemId(f"item-{number}"), contents, {"title": f"{concept} {number}"})
        vectors = {content.modality: vector for content, vector in zip(contents, space.encode(contents), strict=True)}
        points.append(point_of(item, vectors))
    store.upsert(points)
    store.close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


def document(*arguments: str) -> dict[str, object]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    result: dict[str, object] = json.loads(done.stdout)
    return result


STORE = ("--store", "sqlite:///var/events.db")
"""The store that `triveni events` reads by default."""


def test_a_log_goes_into_the_event_store_and_again_it_changes_nothing() -> None:
    index()
    arguments = (
        "simulate",
        "--users",
        "12",
        "--impressions",
        "150",
        "--positions",
        "5",
        "--seed",
        "2",
        *UNTIL,
        *STORE,
    )
    first = document(*arguments)
    assert first["lists"] == 150
    assert first["written"] == first["events"]
    assert 0 < float(str(first["ndcg_share"])) < 1
    again = document(*arguments)
    assert again["written"] == 0
    assert {**again, "written": 0} == {**first, "written": 0}
    held = document("events", "stats")
    assert (held["events"], held["impressions"], held["kinds"]) == (first["events"], 150, first["kinds"])
    assert str(held["last"]) <= "2026-05-01T00:00:00"
    found = json.loads(run("events", "check", "--json").stdout)["findings"]
    assert {finding["code"] for finding in found} <= {"missing.request_id"}  # searches and uploads answer no list


def test_a_file_is_imported_without_a_refusal() -> None:
    index()
    made = document("simulate", "--users", "9", "--impressions", "60", "--out", "log.jsonl", *UNTIL)
    assert document("events", "import", "log.jsonl")["recorded"] == made["written"]


def test_they_get_a_store_of_their_own_and_it_is_said_how_to_train_on_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index()
    done = run("simulate", "--users", "9", "--impressions", "60", *UNTIL)
    assert done.exit_code == 0, (done.output, done.exception)
    assert not (folder / "var" / "events.db").exists()
    (store,) = (folder / "var" / "simulated").glob("sim-*/events.db")
    (said,) = [line.split() for line in done.output.splitlines() if line.endswith("triveni train")]
    variables = dict(word.split("=", 1) for word in said[:2])
    assert variables.keys() == {"TRIVENI_EVENTS__URL", "TRIVENI_MODELS__PATH"}
    assert Path(variables["TRIVENI_MODELS__PATH"]) == store.parent.relative_to(folder) / "trained"
    monkeypatch.setenv("TRIVENI_EVENTS__URL", variables["TRIVENI_EVENTS__URL"])
    assert document("events", "stats")["impressions"] == 60


def test_a_store_of_real_people_is_refused_before_anything_is_done_unless_told(folder: Path) -> None:
    index()
    arguments = ("simulate", "--users", "9", "--impressions", "60", *UNTIL, *STORE)
    first = document(*arguments)
    line = {"user_id": "ann", "kind": "like", "time": "2026-01-01T10:00:00Z", "item_id": "item-1"}
    (folder / "real.jsonl").write_text(json.dumps(line) + "\n")
    assert run("events", "import", "real.jsonl").exit_code == 0
    refused = run(*arguments, "--seed", "7")
    assert isinstance(refused.exception, SimulationError)
    assert "'ann'" in str(refused.exception)
    assert "--mix" in str(refused.exception)
    assert document("events", "stats")["impressions"] == 60
    assert document(*arguments, "--seed", "7", "--mix")["lists"] == 60
    held = document("events", "stats")
    assert held["impressions"] == 120
    assert int(str(held["events"])) > int(str(first["events"])) + 1


def test_the_table_tells_what_was_shown_and_done() -> None:
    index()
    done = run("simulate", "--users", "9", "--impressions", "60", "--policy", "random", "--days", "3")
    assert done.exit_code == 0, (done.output, done.exception)
    for said in ("users", "served lists", "click rate", "share of the oracle's NDCG@10, random", "new events in"):
        assert said in done.output


def test_the_engine_does_better_than_chance_and_the_oracle_best() -> None:
    index(240)
    plan = ("simulate", "--users", "20", "--impressions", "300", *UNTIL)
    shares = {
        policy: float(str(document(*plan, "--policy", policy)["ndcg_share"]))
        for policy in ("random", "engine", "oracle")
    }
    assert shares["random"] < shares["engine"] < shares["oracle"]
    assert shares["oracle"] == pytest.approx(1)


def test_without_a_catalogue_it_says_what_to_do() -> None:
    refused = run("simulate")
    assert refused.exit_code == 1
    assert isinstance(refused.exception, TriveniError)
    assert "index it first" in str(refused.exception)


def test_a_catalogue_that_is_too_small_is_refused() -> None:
    index(5)
    refused = run("simulate", "--users", "9", "--impressions", "60")
    assert isinstance(refused.exception, SimulationError)


@pytest.mark.parametrize(
    "arguments", [("--users", "0"), ("--until", "tomorrow"), ("--policy", "guess"), ("--out", "a.csv", "--mix")]
)
def test_wrong_calls_are_usage_errors(arguments: tuple[str, ...]) -> None:
    assert run("simulate", *arguments).exit_code == 2


def test_options_of_before_are_taken_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert with_new_names(["simulate", "--people", "9", "--places=5"]) == [
        "simulate",
        "--users",
        "9",
        "--positions=5",
    ]
    assert "option --people is called --users now: rename it" in capsys.readouterr().err
    assert with_new_names(["search", "--people", "a\nb=c"]) == ["search", "--people", "a\nb=c"]
