"""Which versions may have learned from people who were deleted since."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.models.deletions import DELETIONS, Deleted
from engine.models.registry import Registry
from tests.models.versions import draft

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(tmp_path: Path, clock: Clock) -> Registry:
    return Registry(tmp_path / "trained", clock=clock)


def make(registry: Registry, version: str, **said: object) -> None:
    registry.create(draft(**said), lambda folder: (folder / "a.json").write_text("{}"), version=version)  # type: ignore[arg-type,return-value]


def counts(registry: Registry) -> dict[str, int]:
    return {name: one.count for name, one in registry.deletions.since(registry.scan()[0]).items() if one.count}


def test_versions_whose_window_covers_the_person_are_marked(registry: Registry, clock: Clock) -> None:
    make(registry, "all", read_until=NOW, read_at=NOW)
    make(registry, "early", read_until=NOW - 9 * DAY, read_at=NOW)
    make(registry, "late", read_from=NOW - 2 * DAY, read_until=NOW, read_at=NOW)
    make(registry, "old-card")
    clock.now += DAY
    cards = registry.scan()[0]
    first = registry.deletions.note(cards, NOW - 5 * DAY, NOW - 3 * DAY)
    assert first.versions == ("all", "old-card")
    clock.now += DAY
    second = registry.deletions.note(cards, NOW - 20 * DAY, NOW - 2 * DAY)
    assert second.versions == ("all", "early", "late", "old-card")
    assert registry.deletions.note(cards, NOW + DAY, NOW + DAY).versions == ()
    assert registry.deletions.note(cards, None, None).versions == ()
    assert registry.deletions.since(cards)["all"] == Deleted(2, clock.now)
    assert counts(registry) == {"all": 2, "early": 1, "late": 1, "old-card": 2}
    assert len({one.id for one in registry.deletions.all()}) == 4


def test_a_version_whose_training_ran_at_the_time_is_marked(registry: Registry, clock: Clock) -> None:
    began = clock.now
    clock.now += DAY
    registry.deletions.note([], began - DAY, began - DAY)
    clock.now += DAY
    make(registry, "ran", read_until=began, read_at=began)
    make(registry, "began-later", read_until=clock.now, read_at=clock.now)
    assert counts(registry) == {"ran": 1}


def test_nothing_is_there_before_the_first(registry: Registry) -> None:
    assert registry.deletions.all() == []
    assert registry.deletions.since([]) == {}
    registry.deletions.note([], NOW, NOW)
    assert registry.versions() == []


def test_a_line_that_was_cut_off_costs_no_other(registry: Registry) -> None:
    registry.deletions.note([], NOW, NOW)
    path = registry.path / DELETIONS
    path.write_bytes(path.read_bytes() + b'{"id": "ab')
    registry.deletions.note([], NOW, NOW)
    assert len(registry.deletions.all()) == 2
