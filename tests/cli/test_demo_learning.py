"""The demo's last part on a small catalogue: a real simulation, training and gate; only the space is the tiny one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from engine import opening
from engine.cli import app
from engine.cli.common import console
from engine.cli.demo import learning, report
from engine.cli.demo.learning import Learned, Plan
from engine.config.settings import Settings, load_settings
from engine.learn.simulate.compare import KNOWN, NEW, ORACLE
from tests.cli.test_simulate import index
from tests.tiny import concept_space

PLAN = Plan(users=60, lists=900, rounds=1, new_users=0.25, seed=3)
QUICK = {"LEARN__EPOCHS": "1", "LEARN__WIDTH": "16", "LEARN__STEPS": "4", "MODELS__MIN_CASES": "5"}


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_space", lambda settings: concept_space())
    places = {"EVENTS__URL": "sqlite:///var/demo/simulated.db", "MODELS__PATH": "var/demo/trained"}
    for name, value in {**QUICK, **places}.items():
        monkeypatch.setenv(f"TRIVENI_{name}", value)
    yield load_settings()
    structlog.reset_defaults()


def train() -> None:
    done = CliRunner().invoke(app, ["train"])
    assert done.exit_code in (0, 1), (done.output, done.exception)


def test_it_measures_both_engines_for_people_of_the_log_and_new_ones(settings: Settings, tmp_path: Path) -> None:
    index(120)
    learned = learning.learn(settings, train, PLAN)
    assert isinstance(learned, Learned), learned
    (card,), _ = opening.registry(settings).scan()
    assert card.gate is not None
    assert (learned.promoted, learned.verdict) == (card.gate.promote, card.gate.reason)
    assert learned.promoted == (opening.registry(settings).pointer().serving == card.version)
    assert ("refuses" in learning.verdict(learned)) != learned.promoted

    groups = {(line.group, line.users) for line in learned.lines}
    assert groups == {(KNOWN, 45), (NEW, 15)}
    for line in learned.lines:
        before, after, best = (line.values[name].mean for name in (learning.UNTRAINED, learning.TRAINED, ORACLE))
        assert line.change.mean == pytest.approx(after - before)
        if line.figure != "click_rate":
            assert best == pytest.approx(1)
            assert 0 <= after <= 1
    events = opening.open_events(settings)
    held = events.stats()
    events.close()
    assert held.users <= 45
    assert (held.events, held.impressions) == (learned.events, learned.lists)
    assert sorted(path.name for path in (tmp_path / "var").iterdir()) == ["demo", "store"]

    console.print(learning.table(learned))
    page = tmp_path / "report.html"
    report.write(page, [], {}, tmp_path, {}, learned)
    html = page.read_text()
    assert "15 new people" in html
    assert learning.verdict(learned) in html
    assert html.index("45 people of the log") < html.index("15 new people")


def test_what_cannot_be_learned_is_said_and_what_was_there_is_gone(settings: Settings) -> None:
    index(5)
    assert "5 items are too few" in str(learning.learn(settings, train, PLAN))
    settings.models.path.mkdir(parents=True)
    left = settings.models.path / "left"
    left.touch()
    index(48)
    assert learning.learn(settings, lambda: None, PLAN) == "the training made no version"
    assert not left.exists()
