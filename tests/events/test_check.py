"""Bad events, one by one: the field, the problem with its value, the remedy."""

import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from encoders.types import Audio, Image, Modality, Text
from engine.core.types import Event, EventKind, ItemId, UserId, VectorInput
from engine.events.check import EventLimits, check_event, check_impression
from engine.events.errors import EventError
from engine.events.identity import event_id
from engine.events.times import EPOCH, from_micros, micros
from engine.events.types import Impression, UserEvent
from tests.events.stores import FINGERPRINT, NOW, ago, click, on, served, vector

LIMITS = EventLimits(text_characters=20, context_bytes=40, context_entries=3, dimension=16, positions=3)


def of(kind: Any, **fields: Any) -> UserEvent:
    return UserEvent(UserId("ann"), Event(kind, **fields))


@pytest.mark.parametrize(
    ("event", "field", "said"),
    [
        (of("stare", item="a"), "kind", "event kind 'stare' is unknown: use one of impression, view, click"),
        (click(user=""), "user_id", "user_id is empty: fill it in"),
        (click(user="é" * 257), "user_id", "user_id has 514 bytes, the limit is 512: shorten it"),
        (click(user="x" * 10_000_000), "user_id", "user_id has 10000000 characters, the limit is 512: shorten it"),
        (click(user=7), "user_id", "user_id is a int: send a text"),  # type: ignore[arg-type]
        (click(user="a\0"), "user_id", "user_id holds NUL: remove it"),
        (click(item=""), "item_id", "item_id is empty: fill it in"),
        (click(item="\udc80"), "item_id", "item_id '\\udc80' is not valid Unicode: remove surrogates"),
        (click(name="x" * 513), "id", "id has 513 characters, the limit is 512: shorten it"),
        (click(request_id="x\0"), "request_id", "request_id 'x\\x00' holds NUL: remove it"),
        (of(EventKind.CLICK), "item_id", "event has neither an item nor a content: name an item"),
        (of(EventKind.LIKE, item="a", content=Text("b")), "item_id", "event has both an item and a content"),
        (of(EventKind.SEARCH), "content", "search event has no content: send what was searched or uploaded"),
        (of(EventKind.UPLOAD, item="a"), "content", "upload event has no content: send what"),
        (on(Text("")), "content.text", "content.text is empty: fill it in"),
        (on(Text("x" * 21)), "content.text", "text has 21 characters, the limit is 20: shorten it"),
        (on(Text(" \n")), "content.text", "text is blank: send some words"),
        (on(Text("\0")), "content.text", "content.text '\\x00' holds NUL: remove it"),
        (on(Image(b"x")), "content", "content is an image without a vector: encode it first"),
        (on(Audio(b"x")), "content", "content is an audio without a vector: encode it first"),
        (on(vector(dimension=17)), "content", "vector has dimension 17, the limit is 16: send one vector"),
        (on(VectorInput(Modality.TEXT, np.zeros(4, np.float32), FINGERPRINT)), "content", "or is all zeros"),
        (on(VectorInput(Modality.TEXT, np.float32([1, np.nan]), FINGERPRINT)), "content", "vector holds NaN"),
        (on(VectorInput(Modality.TEXT, np.ones((2, 2), np.float32), "f")), "content", "vector has dimension 2x2"),
        (on(VectorInput(Modality.TEXT, np.ones(4, np.float32))), "content", "vector has no fingerprint: say"),
        (click(value=-1.0), "value", "value is -1.0: send a finite number, 0 or more"),
        (click(value=math.nan), "value", "value is nan: send a finite number, 0 or more"),
        (click(value=math.inf), "value", "value is inf: send a finite number, 0 or more"),
        (of(EventKind.RATE, item="a", value=10.0), "value", "rating is 10: scale it to 1 to 5 stars"),
        (click(time=datetime(2026, 1, 1)), "time", "time 2026-01-01 00:00:00 has no time zone: add one"),
        (click(time=NOW + timedelta(minutes=6)), "time", "12:06:00+00:00 lies ahead of now, 2026-06-01T12"),
        (click(time=EPOCH - timedelta(1)), "time", "time 1969-12-31 00:00:00+00:00 is before 1970"),
        (click(context={str(n): "" for n in range(4)}), "context", "context has 4 entries, the limit is 3"),
        (click(context={"a": "x" * 20, "b": "x" * 20}), "context", "context has 42 bytes, the limit is 40"),
        (click(context={"a": "x\0"}), "context", "context 'x\\x00' holds NUL: remove it"),
        (click(context={"": "x"}), "context", "context has an empty key: name what the value is"),
        (click(context={"a": 1}), "context", "context is a int: 1: send a text"),
    ],
)  # fmt: skip
def test_bad_events(event: UserEvent, field: str, said: str) -> None:
    with pytest.raises(EventError) as caught:
        check_event(event, LIMITS, NOW)
    assert caught.value.field == field
    assert said in str(caught.value)
    assert caught.value.status == "INVALID_ARGUMENT"
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "event",
    [
        click(user="é" * 256, item="i" * 512),
        click(time=NOW + timedelta(minutes=5), value=0.0),
        click(time=EPOCH),
        click(time=None, context={"a": ""}),
        of(EventKind.RATE, item="a", value=1.0),
        of(EventKind.LIKE, content=Text("x" * 20)),
        on(vector(dimension=16), kind=EventKind.UPLOAD),
    ],
)
def test_good_events(event: UserEvent) -> None:
    check_event(event, LIMITS, NOW)


@pytest.mark.parametrize(
    ("impression", "field", "said"),
    [
        (served(""), "request_id", "request_id is empty: fill it in"),
        (served(user="x" * 600), "user_id", "user_id has 600 characters, the limit is 512"),
        (served(items=("a", "b", "c", "d")), "items", "list has 4 items, the limit is 3: serve fewer"),
        (served(positions=(1,)), "items", "list has 2 items, 1 positions, 2 propensities: give each item one"),
        (served(positions=(0, 1)), "positions", "position is 0: count the positions from 1"),
        (served(positions=(2, 2)), "positions", "two items have one position: count the positions from 1"),
        (served(propensities=(1.0, 1.1)), "propensities", "propensity is 1.1: give a probability above 0, to 1"),
        (served(propensities=(math.nan, 1.0)), "propensities", "propensity is nan"),
        (served(items=("a", "")), "items", "items is empty: fill it in"),
        (served(time=NOW + timedelta(1)), "time", "lies ahead of now"),
        (served(context={"a": "x" * 50}), "context", "context has 50 characters, the limit is 40"),
    ],
)
def test_bad_impressions(impression: Impression, field: str, said: str) -> None:
    with pytest.raises(EventError) as caught:
        check_impression(impression, LIMITS, NOW)
    assert caught.value.field == field
    assert said in str(caught.value)


def test_times_are_exact() -> None:
    for time in (NOW, EPOCH, datetime.max.replace(tzinfo=NOW.tzinfo), NOW + timedelta(microseconds=1)):
        assert from_micros(micros(time)) == time


# Ids made from contents -------------------------------------------------------------------------------------


def made(event: UserEvent, time: datetime = NOW) -> str:
    return event_id(event, micros(time))


def test_an_id_is_kept_and_one_that_is_made_never_changes() -> None:
    assert made(click(name="own")) == "own"
    # Written down: it must be the same in every release, or files would be imported twice.
    assert made(click(value=1, context={"b": "1", "a": "2"})) == "auto-fd8936d67a19bbf2a529f5a18939bcfc"
    assert made(click(value=1.0, context={"a": "2", "b": "1"})) == "auto-fd8936d67a19bbf2a529f5a18939bcfc"


def test_whatever_differs_makes_another_id() -> None:
    base = of(EventKind.LIKE, content=Text("owl"))
    change = [
        base,
        replace(base, user=UserId("bob")),
        of(EventKind.SEARCH, content=Text("owl")),
        of(EventKind.LIKE, content=Text("cat")),
        of(EventKind.LIKE, item=ItemId("owl")),
        of(EventKind.LIKE, content=Image(b"owl")),
        of(EventKind.LIKE, content=Audio(b"owl")),
        of(EventKind.LIKE, content=vector(0)),
        of(EventKind.LIKE, content=vector(1)),
        of(EventKind.LIKE, content=replace(vector(0), fingerprint="f")),
        of(EventKind.LIKE, content=replace(vector(0), modality=Modality.AUDIO)),
        of(EventKind.LIKE, content=Text("owl"), value=1.0),
        of(EventKind.LIKE, content=Text("owl"), request_id="r"),
        of(EventKind.LIKE, content=Text("owl"), context={"a": "b"}),
    ]
    ids = [made(event) for event in change] + [made(base, ago(seconds=1))]
    assert len(set(ids)) == len(ids)
