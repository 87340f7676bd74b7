"""What every event store promises, over all of them."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from encoders.types import Image, Text
from engine.core.types import Event, EventKind, ItemId, UserId
from engine.events.base import EventStore
from engine.events.errors import EventError
from engine.events.sql import SqlEventStore
from engine.events.types import EventStats, Held, OutcomeKind, Retention, UserEvent
from tests.events.stores import ANN, BOB, NOW, ago, click, kinds, on, open_store, plain, served, vector, whole_history


def test_protocol(store: SqlEventStore) -> None:
    assert isinstance(store, EventStore)


def test_everything_comes_back(store: SqlEventStore) -> None:
    events = [
        click(
            name="1", value=2.5, request_id="r", context={"device": "phone", "ünï": '"quoted"\n'}, time=ago(hours=3)
        ),
        replace(on(Text("snowy owl \U0001f989 'quotes'")), user=ANN),
        UserEvent(ANN, Event(EventKind.UPLOAD, content=vector(), time=ago(minutes=1), id="up")),
        UserEvent(ANN, Event(EventKind.RATE, ItemId("\u00e9\u4e2d"), value=5.0, time=ago(microseconds=1), id="é")),
    ]
    outcomes = store.record(events)
    assert kinds(outcomes) == [OutcomeKind.RECORDED] * 4
    back = whole_history(store)
    wanted = [replace(event.event, id=outcome.id) for event, outcome in zip(events, outcomes, strict=True)]
    assert [plain(event) for event in back] == [plain(event) for event in reversed(wanted)]


def test_times_come_back_in_utc(store: SqlEventStore) -> None:
    there = datetime(2026, 5, 1, 23, 30, 0, 123456, timezone(timedelta(hours=5, minutes=30)))
    store.record([click(time=there)])
    (event,) = store.history(ANN).events
    assert event.time == there
    assert event.time.utcoffset() == timedelta(0)


def test_without_a_time_it_happens_now(store: SqlEventStore) -> None:
    store.record([click(time=None)])
    assert store.history(ANN).events[0].time == NOW


def test_bad_events_do_not_keep_out_the_others(store: SqlEventStore) -> None:
    events = [click(name="1"), click(user=""), click(item="x" * 600), click(name="2"), click(time=NOW + timedelta(1))]
    outcomes = store.record(events)
    r, x = OutcomeKind.RECORDED, OutcomeKind.REJECTED
    assert kinds(outcomes) == [r, x, x, r, x]
    assert [outcome.error.field if outcome.error else "" for outcome in outcomes] == [
        "",
        "user_id",
        "item_id",
        "",
        "time",
    ]
    assert all(outcome.error.remedy for outcome in outcomes if outcome.error)
    assert [event.id for event in whole_history(store)] == ["2", "1"]


def test_media_are_refused(store: SqlEventStore) -> None:
    (outcome,) = store.record([on(Image(b"png"))])
    assert str(outcome.error) == (
        "content is an image without a vector: encode it first: a store of events keeps vectors and no media"
    )


def test_unknown_items_are_rejected(url: str) -> None:
    asked: list[list[ItemId]] = []

    def known(items: Sequence[ItemId]) -> set[ItemId]:
        asked.append(list(items))
        return {ItemId("bird")} & set(items)

    store = open_store(url, known_items=known)
    outcomes = store.record([click(item="bird"), click(item="dodo"), click(item="dodo", user="bob"), on(Text("owl"))])
    store.close()
    r, x = OutcomeKind.RECORDED, OutcomeKind.REJECTED
    assert kinds(outcomes) == [r, x, x, r]
    assert str(outcomes[1].error) == "item 'dodo' is not in the catalogue: index it first"
    assert asked == [["bird", "dodo"]]


def test_sent_again_it_is_a_duplicate(store: SqlEventStore) -> None:
    events = [click(name="1"), click(item="cat"), on(Text("owl")), on(vector())]
    first = store.record(events)
    again = store.record(events)
    assert kinds(again) == [OutcomeKind.DUPLICATE] * 4
    assert [outcome.id for outcome in again] == [outcome.id for outcome in first]
    assert len(whole_history(store)) == 4


def test_twice_in_one_call_is_a_duplicate(store: SqlEventStore) -> None:
    outcomes = store.record([click(name="1"), click(name="1"), click(), click()])
    r, d = OutcomeKind.RECORDED, OutcomeKind.DUPLICATE
    assert kinds(outcomes) == [r, d, r, d]


@pytest.mark.parametrize("other", [click(user="bob", name="1"), click(item="cat", name="1")])
@pytest.mark.parametrize("together", [True, False])
def test_an_id_that_is_taken(store: SqlEventStore, other: UserEvent, together: bool) -> None:
    if together:
        outcomes = store.record([click(name="1"), other])
    else:
        outcomes = [*store.record([click(name="1")]), *store.record([other])]
    assert kinds(outcomes) == [OutcomeKind.RECORDED, OutcomeKind.REJECTED]
    assert str(outcomes[1].error) == (
        "event id '1' is taken by an event of another user, kind or item: give every event an id of its own, or none"
    )
    assert store.stats().events == 1


def test_more_than_one_transaction(store: SqlEventStore) -> None:
    events = [click(name=f"{number:05}", time=ago(seconds=number)) for number in range(4100)]
    assert set(kinds(store.record(events[::2]))) == {OutcomeKind.RECORDED}
    outcomes = store.record(events)
    assert kinds(outcomes) == [OutcomeKind.DUPLICATE, OutcomeKind.RECORDED] * 2050
    assert [event.event.id for event in store.export()] == [f"{number:05}" for number in reversed(range(4100))]


# Deletion, export, statistics -------------------------------------------------------------------------------


def test_delete_user(store: SqlEventStore) -> None:
    store.record([click(name="1"), click(name="2"), click(user="bob", name="3")])
    store.log_impressions([served("r1", time=ago(hours=9)), served("r2", "bob")])
    assert store.held(ANN) == Held(2, 1, ago(hours=9), ago(hours=1))
    assert store.delete_user(ANN) == Held(2, 1, ago(hours=9), ago(hours=1))
    assert store.held(ANN) == store.delete_user(ANN) == Held(0, 0, None, None)
    store.scrub()
    assert whole_history(store) == []
    assert [event.user for event in store.export()] == [BOB]
    assert [one.impression.user for one in store.impressions()] == [BOB]
    assert kinds(store.record([click(name="1")])) == [OutcomeKind.RECORDED]


def test_export_between_times(store: SqlEventStore) -> None:
    store.record([click(name=f"{number}", time=ago(hours=number)) for number in range(5)])
    assert [event.event.id for event in store.export()] == list("43210")
    assert [event.event.id for event in store.export(since=ago(hours=3), until=ago(hours=1))] == list("32")
    with pytest.raises(EventError, match="since 2026-01-01 00:00:00 has no time zone"):
        store.export(since=datetime(2026, 1, 1))


def test_export_goes_on_while_others_write(store: SqlEventStore) -> None:
    store.record([click(name=f"{number:04}", time=ago(hours=5)) for number in range(1500)])
    stream = store.export()
    first = [next(stream).event.id for _ in range(3)]
    store.record([click(name="late", time=NOW)])
    store.delete_user(BOB)
    rest = [event.event.id for event in stream]
    assert first + rest == [*(f"{number:04}" for number in range(1500)), "late"]


def test_stats(store: SqlEventStore) -> None:
    assert store.stats() == EventStats(0, 0, 0, {}, None, None)
    store.record([click(time=ago(hours=1)), click(user="bob", time=ago(hours=9)), on(Text("owl"))])
    store.log_impressions([served()])
    found = {EventKind.CLICK: 2, EventKind.SEARCH: 1}
    assert store.stats() == EventStats(3, 2, 1, found, ago(hours=9), ago(hours=1))


# Retention --------------------------------------------------------------------------------------------------


def test_what_is_too_old_is_not_read_and_purged_in_batches(url: str) -> None:
    every = open_store(url)
    old, new = [ago(days=9, seconds=row) for row in range(7)], [ago(days=1, seconds=row) for row in range(3)]
    every.record([click(name=f"{time}", time=time, request_id="n0") for time in (*old, *new)])
    every.log_impressions([served(f"o{row}", time=time) for row, time in enumerate(old)])
    every.log_impressions([served(f"n{row}", time=time) for row, time in enumerate(new)])
    assert every.purge() == 0
    kept = open_store(url, retention=Retention(timedelta(days=5), timedelta(days=5)))

    def look(store: SqlEventStore) -> tuple[int, ...]:
        followed = [len(one.followed) for one in store.impressions() if one.impression.request_id == "n0"]
        return (
            len(whole_history(store)),
            len(store.history(ANN, before=NOW, kinds=[EventKind.CLICK]).events),
            len(list(store.export(since=ago(days=99)))),
            len(list(store.impressions())),
            len(store.lists(ANN).lists),
            *followed,
            *(store.stats().events, store.stats().impressions, len(store.recent_kinds())),
        )

    assert look(kept) == (3, 3, 3, 3, 3, 3, 3, 3, 1)
    assert look(every) == (10, 10, 10, 10, 10, 10, 10, 10, 1)
    assert [kept.purge(4) for _ in range(5)] == [4, 4, 4, 2, 0]
    assert look(every) == look(kept) == (3, 3, 3, 3, 3, 3, 3, 3, 1)
    every.close()
    kept.close()


def test_each_has_a_retention_of_its_own(url: str) -> None:
    every = open_store(url)
    every.record([click(name="1", time=ago(days=9))])
    every.log_impressions([served("r1", time=ago(days=9))])
    every.close()
    kept = open_store(url, retention=Retention(lists=timedelta(days=5)))
    assert (kept.purge(), kept.stats().events, kept.stats().impressions) == (1, 1, 0)
    kept.close()
    kept = open_store(url, retention=Retention(events=timedelta(days=5)))
    assert (kept.purge(), kept.stats().events) == (1, 0)
    kept.close()


def test_events_that_are_too_old_are_rejected(url: str) -> None:
    store = open_store(url, retention=Retention(events=timedelta(days=5)))
    outcomes = store.record([click(name="1", time=ago(days=5)), click(name="2", time=ago(days=5, seconds=1))])
    assert kinds(outcomes) == [OutcomeKind.RECORDED, OutcomeKind.REJECTED]
    assert str(outcomes[1].error) == (
        "time 2026-05-27 11:59:59+00:00 is older than events are kept: leave it out, or raise events.retention_days"
    )
    store.close()


def test_a_person_is_deleted_with_what_is_too_old(url: str) -> None:
    every = open_store(url)
    every.record([click(name="1", time=ago(days=9))])
    every.close()
    kept = open_store(url, retention=Retention(events=timedelta(days=5)))
    assert kept.delete_user(ANN) == Held(1, 0, ago(days=9), ago(days=9))
    kept.close()


def test_lists_of_a_person_come_in_pages(store: SqlEventStore) -> None:
    mine = [served(f"r{row}", time=ago(hours=row // 2)) for row in range(5)]
    store.log_impressions([*mine, served("other", "bob"), served("nobody", "")])
    assert store.lists(ANN).lists == tuple(sorted(mine, key=lambda one: (one.time, one.request_id), reverse=True))
    first = store.lists(ANN, limit=3)
    second = store.lists(ANN, limit=3, cursor=first.next_cursor)
    assert (*first.lists, *second.lists) == store.lists(ANN).lists
    assert (len(second.lists), second.next_cursor) == (2, None)
    with pytest.raises(EventError, match="user_id is empty"):
        store.lists(UserId(""))


# Served lists -----------------------------------------------------------------------------------------------


def test_impressions_with_what_followed(store: SqlEventStore) -> None:
    lists = [
        served("r1", time=ago(hours=4)),
        served("r2", items=(), time=ago(hours=3)),
        served("r3", "", time=ago(hours=2)),
    ]
    assert store.log_impressions(lists) == 3
    assert store.log_impressions([*lists, served("r1", "bob")]) == 0
    store.record([
        click(name="late", request_id="r1", time=ago(hours=1)),
        click(name="soon", request_id="r1", time=ago(hours=3.5)),
        click(name="forged", user="bob", request_id="r1"),
        click(name="anybody", user="bob", request_id="r3"),
        click(name="other"),
    ])  # fmt: skip
    found = [(one.impression, [event.id for event in one.followed]) for one in store.impressions()]
    assert found == [(lists[0], ["soon", "late"]), (lists[1], []), (lists[2], ["anybody"])]
    between = [(one.impression.request_id, [event.id for event in one.followed])
               for one in store.impressions(since=ago(hours=4), until=ago(hours=3))]  # fmt: skip
    assert between == [("r1", ["soon"])]


def test_one_bad_impression_logs_none(store: SqlEventStore) -> None:
    with pytest.raises(EventError) as caught:
        store.log_impressions([served("r1"), served("r2", propensities=(0.5, 0.0))])
    assert str(caught.value) == "propensity is 0.0: give a probability above 0, to 1"
    assert caught.value.field == "impressions[1].propensities"
    assert store.stats().impressions == 0


# Many at once -----------------------------------------------------------------------------------------------


def test_many_writers_and_readers(store: SqlEventStore) -> None:
    failures: list[Exception] = []
    recorded: list[int] = []

    def write(writer: int) -> None:
        # All send the same events, each in an order of its own, and some that are its own.
        for turn in range(8):
            shared = [click(name=f"shared {turn} {(number * (writer + 1)) % 17}") for number in range(17)]
            own = [click(user=f"user {writer}", name=f"own {writer} {turn} {number}") for number in range(10)]
            recorded.append(kinds(store.record(shared + own)).count(OutcomeKind.RECORDED))

    def read(_: int) -> None:
        for _turn in range(8):
            whole_history(store, limit=50)
            sum(1 for _ in store.export())

    def guard(work: object, number: int) -> None:
        try:
            work(number)  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=guard, args=(work, number)) for number in range(6) for work in (write, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(recorded) == store.stats().events == 8 * 17 + 6 * 8 * 10


def test_closing_twice(store: SqlEventStore) -> None:
    store.close()
    store.close()
