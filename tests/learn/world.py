"""A small world with rules that can be learned: what follows what, and what is like what."""

from datetime import UTC, datetime, timedelta

import numpy as np

from encoders.types import Modality
from engine.catalog.items import ItemTable
from engine.core.types import Event, EventKind, ItemId, UserId
from engine.events.types import UserEvent
from engine.learn.log import EventLog, event_log
from engine.learn.rows.point_in_time import PointInTimeFeatures

START = datetime(2026, 1, 1, tzinfo=UTC)


def catalogue(size: int = 96, dimension: int = 16, groups: int = 6, seed: int = 0) -> ItemTable:
    """Items in groups of like vectors, every third without a picture."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(groups, dimension))
    text = centres[np.arange(size) % groups] + 0.3 * random.normal(size=(size, dimension))
    image = centres[np.arange(size) % groups] + 0.6 * random.normal(size=(size, dimension))
    there = np.arange(size) % 3 != 0
    vectors = {
        Modality.TEXT: (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32),
        Modality.IMAGE: (image / np.linalg.norm(image, axis=1, keepdims=True) * there[:, None]).astype(np.float32),
    }
    present = {Modality.TEXT: np.ones(size, np.bool_), Modality.IMAGE: there}
    payloads = tuple({"group": f"g{row % groups}", "price": float(row)} for row in range(size))
    ids = tuple(ItemId(f"i{row}") for row in range(size))
    return ItemTable(ids, vectors, present, payloads, np.full(size, (START - timedelta(days=9)).timestamp()))


def walks(items: ItemTable, users: int = 80, steps: int = 8, groups: int = 6, seed: int = 1) -> EventLog:
    """People who stay in a group and mostly go on to the item `groups` further on."""
    random = np.random.default_rng(seed)
    events: list[UserEvent] = []
    for user in range(users):
        row = int(random.integers(len(items)))
        time = START + timedelta(minutes=float(random.uniform(0, 60 * 24 * 30)))
        for _ in range(steps):
            event = Event(EventKind.CLICK, items.ids[row], time=time)
            events.append(UserEvent(UserId(f"u{user}"), event))
            jump = groups if random.random() < 0.8 else groups * int(random.integers(2, 5))
            row = (row + jump) % len(items)
            time += timedelta(minutes=float(random.uniform(1, 30)))
    return event_log(sorted(events, key=lambda one: one.event.time or START))


def older_steps(point_in_time: PointInTimeFeatures, newest: int) -> np.ndarray:
    """(n,) bool, over the log: the positive steps, but the newest so many of each person."""
    mask = point_in_time.positive.copy()
    for rows in point_in_time.of_user:
        steps = rows[point_in_time.positive[rows]]
        mask[steps[max(len(steps) - newest, 0) :]] = False
    return mask
