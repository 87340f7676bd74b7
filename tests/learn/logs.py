"""Small logs for the tests of evaluation."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from encoders.types import Modality
from engine.catalog.items import ItemTable
from engine.core.types import Event, EventKind, ItemId, UserId
from engine.events.types import UserEvent

START = datetime(2026, 1, 1, tzinfo=UTC)


def event(
    user: str, item: str, hour: float, kind: EventKind = EventKind.CLICK, value: float | None = None
) -> UserEvent:
    """What somebody did with an item, some hours after the start."""
    return UserEvent(UserId(user), Event(kind, ItemId(item), time=START + timedelta(hours=hour), value=value))


def clicks(histories: dict[str, str]) -> list[UserEvent]:
    """Clicks, one an hour, on items whose names are single letters."""
    return [event(user, item, hour) for user, items in histories.items() for hour, item in enumerate(items)]


def table(names: Sequence[str], seed: int = 0, texts: Sequence[str] = ()) -> ItemTable:
    """Items with text vectors of eight dimensions; every third lacks one."""
    vectors = np.random.default_rng(seed).standard_normal((len(names), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    present = np.arange(len(names)) % 3 != 2
    return ItemTable(
        tuple(ItemId(name) for name in names),
        {Modality.TEXT: np.where(present[:, None], vectors, 0).astype(np.float32)},
        {Modality.TEXT: present},
        tuple({"title": texts[row]} if texts else {} for row in range(len(names))),
        np.full(len(names), np.nan),
    )


def crowd(users: int = 60, items: int = 40, length: int = 12, seed: int = 0) -> list[UserEvent]:
    """People of two tastes who walk through their half of the items in order, with some noise: easy to predict."""
    random = np.random.default_rng(seed)
    events = []
    for user in range(users):
        half, position = user % 2, int(random.integers(items // 2))
        for step in range(length):
            position = (position + 1 if random.random() < 0.8 else int(random.integers(items // 2))) % (items // 2)
            events.append(event(f"p{user}", f"i{half * (items // 2) + position}", step * 24 + user / 100))
    return events
