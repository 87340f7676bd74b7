"""`learn.private` from end to end: events, a private training, what it spent in the card, and a server with it."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from engine import opening
from engine.cli import app
from engine.cli.serving import open_server
from engine.config.settings import load_settings
from tests.service.running import started
from tests.tiny import CONCEPTS, concept_space, concept_text
from triveni.client import Client

SPACE = concept_space()
SET = {
    "MODELS__MIN_CASES": "5", "LEARN__PRIVATE": "true", "LEARN__PRIVATE_EPSILON": "6", "LEARN__PRIVATE_DELTA": "1e-3",
    "LEARN__PRIVATE_EPOCHS": "2", "LEARN__PRIVATE_PEOPLE": "8", "LEARN__WIDTH": "8", "LEARN__STEPS": "4",
    "LEARN__FIELDS": '{"category": "category"}',
}  # fmt: skip


def run(*arguments: str, code: int | None = 0) -> str:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert code is None or result.exit_code == code, result.output
    return result.stdout


def test_a_private_version_is_trained_told_of_and_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_space", lambda *_, **__: SPACE)
    for name, value in SET.items():
        monkeypatch.setenv(f"TRIVENI_{name}", value)
    rows = [
        {"id": f"{concept}-{seed}", "text": concept_text(concept, seed).text, "category": concept}
        for concept in CONCEPTS
        for seed in range(48 // len(CONCEPTS))
    ]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    try:
        run("index", "items.jsonl")
        run("simulate", "--users", "40", "--impressions", "600", "--days", "20", "--store", "sqlite:///var/events.db")
        told = run("train", "--seed", "1", "--no-promote", code=None)
        (version,) = [one["version"] for one in json.loads(run("model", "list", "--json"))]
        card = opening.registry(load_settings()).card(version)
        assert card.privacy is not None
        assert 0 < card.privacy.epsilon <= 6
        assert (card.privacy.unit, card.privacy.delta) == ("person", 1e-3)
        assert f"private, by person: ε {card.privacy.epsilon:.2f}, δ 0.001" in told.replace("\n", " ")
        assert json.loads(run("model", "show", version))["privacy"]["epsilon"] == card.privacy.epsilon
        assert "small.onnx" not in card.files
        run("model", "promote", version)
        structlog.reset_defaults()
        with ExitStack() as opened:
            whole = open_server(load_settings(), opened, address="127.0.0.1:0")
            with started(whole.server), Client(f"127.0.0.1:{whole.server.port}") as client:
                answer = client.recommend(user="somebody new", like=[rows[0]["id"]], limit=5)
                assert (answer.model, answer.tier, len(list(answer))) == (version, "full", 5)
    finally:
        structlog.reset_defaults()  # the commands set it up for their own standard error
