"""The loops in a short form; `make torture` runs them in full."""

import random
from pathlib import Path

import pytest

from tests.events.stores import STORES, no_postgres, store_url
from tests.torture.events import Events
from tests.torture.indexing import Indexing
from tests.torture.promotion import Promotion
from tests.torture.rolling import roll
from tests.torture.snapshot import Snapshot
from tests.torture.striking import torture
from tests.torture.training import Training

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def chance() -> random.Random:
    """Other moments in each run; a failure says which."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)


def test_indexing(tmp_path: Path, chance: random.Random) -> None:
    assert torture(Indexing(tmp_path), 2, chance).rounds == 2


@pytest.mark.parametrize("kind", STORES)
def test_events(tmp_path: Path, chance: random.Random, kind: str) -> None:
    if kind == "postgresql" and no_postgres():
        pytest.skip(no_postgres())
    with store_url(kind, tmp_path) as url:
        assert torture(Events(url), 2, chance).acknowledged > 0


def test_promotion(tmp_path: Path, chance: random.Random) -> None:
    assert torture(Promotion(tmp_path), 2, chance).rounds == 2


def test_training(tmp_path: Path, chance: random.Random) -> None:
    assert torture(Training(tmp_path), 1, chance).rounds == 1


def test_no_call_fails_while_two_servers_are_restarted_in_turns(tmp_path: Path) -> None:
    result = roll(tmp_path, calls=300, restarts=2, tiny=True)
    assert not result.failed
    assert result.lost == 0
    assert result.calls >= 300


def test_snapshot(tmp_path: Path, chance: random.Random) -> None:
    assert torture(Snapshot(tmp_path), 3, chance).rounds == 3
