"""From an empty store to a version that serves: index, simulate, train, judge, promote, recommend."""

import json
from pathlib import Path

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from encoders.errors import TriveniError
from engine import opening
from engine.cli import app
from engine.compose.engine import build_engine, open_serving
from engine.config.settings import load_settings
from engine.core.deadline import Deadline
from engine.core.types import Event, EventKind, ItemId, Query, UserId

MODELS = Path(__file__).parents[2] / "var" / "models"
STORE = ("--store", "sqlite:///var/events.db")
THINGS = {
    "food": ("apple", "pear", "bread", "cheese", "soup", "cake", "rice", "lemon", "onion", "pepper"),
    "animals": ("dog", "cat", "horse", "cow", "owl", "eagle", "salmon", "snake", "frog", "bear"),
    "music": ("violin", "cello", "drum", "flute", "piano", "guitar", "harp", "trumpet", "organ", "banjo"),
    "vehicles": ("car", "bus", "train", "ship", "plane", "bicycle", "tram", "truck", "canoe", "sledge"),
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    quick = {"EPOCHS": "1", "TOWER_EPOCHS": "1", "WIDTH": "16", "STEPS": "5"}
    learn = {f"LEARN__{name}": value for name, value in quick.items()}
    for name, value in {
        "SPACE__CACHE": str(MODELS),
        "SPACE__DEVICE": "cpu",
        "MODELS__MIN_CASES": "5",
        **learn,
    }.items():
        monkeypatch.setenv(f"TRIVENI_{name}", value)
    monkeypatch.setenv("TRIVENI_LEARN__FIELDS", '{"category": "category"}')
    rows = [
        {"id": f"{kind}-{name}", "text": f"A {name}.", "category": kind}
        for kind, names in THINGS.items()
        for name in names
    ]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def call(*arguments: str, code: int | None = 0) -> Result:
        result = CliRunner().invoke(app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code is None or result.exit_code == code, result.output
        return result

    yield call
    structlog.reset_defaults()  # the commands set it up for their own standard error


STAGES = [
    *("starting", "loading the program", "loading the encoders", "reading the catalogue", "reading events"),
    *("reading served lists", "laying out histories", "two towers, whole: epoch 1 of 1", "making training rows"),
    *("making training rows of served lists", "epoch 1 of 1", "calibrating", "asking the full network"),
    *("training the small network", "measuring the small network", "judging it on the youngest events"),
    *("writing the version", "done"),
]


def test_the_whole_loop(run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("index", "items.jsonl")
    for command in ("train", "tune"):
        with pytest.raises(TriveniError, match=r"there are 0 events of 0 users, .* 40 items") as too_little:
            run(command)
        assert "triveni simulate" in str(too_little.value)
    assert json.loads(run("model", "list", "--json").stdout) == []

    run("simulate", "--users", "40", "--impressions", "1200", "--days", "20", "--seed", "3", *STORE)
    monkeypatch.setenv("TRIVENI_LOG__JSON_LINES", "true")
    said = run("train", "--seed", "1", "--no-promote", code=None)
    assert said.exit_code in (0, 1)
    told = [json.loads(line) for line in said.stderr.splitlines() if '"training"' in line]
    stages, shares = [one["stage"] for one in told], [one["done"] for one in told]
    assert shares == sorted(shares)
    assert (stages[0], stages[-1]) == ("starting", "done")
    assert [stage for stage in dict.fromkeys(stages) if stage in STAGES] == STAGES
    (version,) = json.loads(run("model", "list", "--json").stdout)
    settings = load_settings()
    card = opening.registry(settings).card(version["version"])
    assert card.kind == "reranker"
    assert list(settings.models.path.glob(".runs/*/state.safetensors"))  # where a training that is killed goes on
    assert {"network.onnx", "small.onnx", "network.safetensors"} <= set(card.files)
    assert card.settings["small"]["precision"] in {"int8", "float32"}
    assert card.gate is not None
    assert card.gate.metric == "replayed_ndcg"
    assert card.gate.promote == (said.exit_code == 0)
    assert (card.parent, card.settings["held_against"]) == ("", "untrained")
    assert 0 < card.metrics["replayed_ndcg"] <= 1
    assert set(card.metrics) == set(card.baseline_metrics) == set(card.intervals)

    tuned = json.loads(run("tune", "--trials", "1", "--json").stdout)
    assert [(one["state"], one["as_it_was"], one["setting"]["width"]) for one in tuned["trials"]] == [
        ("done", True, 16)
    ]
    assert json.loads(run("tune", "--trials", "1", "--json").stdout) == tuned

    run("model", "promote", version["version"])
    monkeypatch.setenv("TRIVENI_LEARN__COMPILED", "false")
    assert "not better" in run("train", "--seed", "1", code=1).stdout.replace("\n", " ")
    (twin,) = (one for one in opening.registry(settings).scan()[0] if one.version != version["version"])
    assert twin.gate is not None
    assert "network.onnx" not in twin.files
    assert twin.settings["held_against"] == version["version"]
    assert (twin.gate.difference, twin.gate.low, twin.gate.high) == (0, 0, 0)  # what serves has younger counts
    assert twin.metrics == pytest.approx(twin.baseline_metrics)
    assert twin.metrics == pytest.approx(card.metrics)
    structlog.reset_defaults()
    asked = json.loads(run("recommend", "--like", "music-violin", "--json").stdout)
    assert (asked["model"], asked["tier"]) == (version["version"], "full")
    structlog.reset_defaults()
    space = opening.open_space(settings)
    store = opening.open_store(settings, space)
    serving = open_serving(settings, space, store)
    try:
        serving.start()
        engine = build_engine(settings, space, store, models=serving)
        liked = tuple(Event(EventKind.LIKE, ItemId(f"music-{name}")) for name in ("violin", "cello"))
        answer = engine.recommend(Query(history=liked, limit=5, user=UserId("u")), Deadline())
        assert (answer.model, answer.tier) == (version["version"], "full")
        assert len(answer.results) == 5
        assert {result.item for result in answer.results}.isdisjoint(event.item for event in liked)
    finally:
        serving.close()
        store.close()
