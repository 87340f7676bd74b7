"""The history that every event store gives: in pages, in order, the same however the events came in."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.types import Event, EventKind, ItemId, UserId
from engine.events.base import MAX_PAGE
from engine.events.errors import EventError
from engine.events.sql import SqlEventStore
from engine.events.types import OutcomeKind, UserEvent
from tests.events.stores import (
    ANN,
    BOB,
    NOW,
    STORES,
    ago,
    click,
    kinds,
    no_postgres,
    open_store,
    plain,
    store_url,
    whole_history,
)


def test_pages(store: SqlEventStore) -> None:
    times = [ago(hours=number // 3) for number in range(10)]
    store.record([click(name=f"{number}", time=time) for number, time in enumerate(times)])
    store.record([click(user="bob", name="other")])
    for limit in (1, 2, 5, 9, 10, 11):
        assert [event.id for event in whole_history(store, limit=limit)] == list("2105438769"), limit
    assert store.history(UserId("nobody")).events == ()
    assert store.history(ANN, limit=10).next_cursor is None


def test_newer_events_do_not_disturb_the_pages(store: SqlEventStore) -> None:
    store.record([click(name=f"{number}", time=ago(hours=number)) for number in range(4)])
    page = store.history(ANN, limit=2)
    store.record([click(name="new", time=NOW)])
    rest = store.history(ANN, limit=2, cursor=page.next_cursor)
    assert [event.id for event in page.events + rest.events] == ["0", "1", "2", "3"]


def test_history_before_and_of_kinds(store: SqlEventStore) -> None:
    store.record([click(name=f"{number}", time=ago(hours=number)) for number in range(4)])
    store.record([UserEvent(ANN, Event(EventKind.LIKE, ItemId("bird"), time=ago(hours=2), id="like"))])
    assert [event.id for event in store.history(ANN, before=ago(hours=2)).events] == ["3"]
    assert [event.id for event in store.history(ANN, kinds=[EventKind.LIKE]).events] == ["like"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"limit": 0}, f"limit is 0: ask for 1 to {MAX_PAGE} events"),
        ({"limit": MAX_PAGE + 1}, f"limit is {MAX_PAGE + 1}: ask for 1 to {MAX_PAGE} events"),
        ({"cursor": "x"}, "cursor 'x' is not one of a history: send next_cursor of the last page, or none to begin"),
        ({"cursor": "9" * 30 + ".x"}, "is not one of a history"),
        ({"cursor": "1.\ud800"}, "is not one of a history"),
        ({"before": datetime(2026, 1, 1)}, "before 2026-01-01 00:00:00 has no time zone: add one, such as UTC"),
    ],
)
def test_bad_history_requests(store: SqlEventStore, arguments: dict[str, object], said: str) -> None:
    with pytest.raises(EventError) as caught:
        store.history(ANN, **arguments)  # type: ignore[arg-type]
    assert said in str(caught.value)


@pytest.mark.parametrize("user", ["", "x" * 10_000_000, "a\0b", "\ud800"])
def test_a_user_id_that_cannot_be_one(store: SqlEventStore, user: str) -> None:
    (outcome,) = store.record([click(user=user)])
    assert outcome.error is not None
    assert outcome.error.field == "user_id"
    for refused in (store.history, store.delete_user):
        with pytest.raises(EventError) as caught:
            refused(UserId(user))
        assert str(caught.value) == str(outcome.error)
        assert len(str(caught.value)) < 200


# Whatever the order -----------------------------------------------------------------------------------------

_EVENTS = st.lists(
    st.builds(
        lambda number, user, minutes, named: click(
            user=user, item=f"item {number}", name=f"id {number}" if named else "", time=ago(minutes=minutes)
        ),
        st.integers(0, 9), st.sampled_from(["ann", "bob"]), st.integers(0, 3), st.booleans(),
    ),
    max_size=12,
    unique_by=lambda event: (event.event.id or event.user, event.event.item),
)  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SqlEventStore]]:
    """A store of each kind that is emptied, not made, between examples."""
    with ExitStack() as stack:
        made = {}
        folder = tmp_path_factory.mktemp("kept")
        for kind in STORES:
            if kind == "postgresql" and no_postgres():
                continue
            made[kind] = open_store(stack.enter_context(store_url(kind, folder)))
            stack.callback(made[kind].close)
        yield made


@pytest.mark.parametrize("kind", STORES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=_EVENTS, data=st.data())
def test_any_order_and_duplication_gives_one_history(
    kept: dict[str, SqlEventStore], kind: str, events: list[UserEvent], data: st.DataObject
) -> None:
    if kind not in kept:
        pytest.skip(no_postgres())
    store = kept[kind]
    sent = data.draw(
        st.permutations(events + data.draw(st.lists(st.sampled_from(events)) if events else st.just([])))
    )
    cut = data.draw(st.integers(0, len(sent)))
    views = []
    for calls in ([events], [sent[:cut], sent[cut:]]):
        for user in (ANN, BOB):
            store.delete_user(user)
        outcomes = [outcome for call in calls for outcome in store.record(call)]
        assert kinds(outcomes).count(OutcomeKind.RECORDED) == len(events)
        assert OutcomeKind.REJECTED not in kinds(outcomes)
        views.append([[plain(e) for e in whole_history(store, user)] for user in (ANN, BOB)])
        views[-1].append([plain(e) for e in store.export()])
    assert views[0] == views[1]
    for history in views[0][:2]:
        order = [(row[4], row[6]) for row in history]  # time, id
        assert order == sorted(order, reverse=True)
