"""People under a keyed hash of their ids: nothing of the id is on disk, and everything else is as without."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from encoders.types import Text
from engine import opening
from engine.cli import app
from engine.config.settings import Settings, load_settings
from engine.core.deadline import Deadline
from engine.core.errors import SettingsError
from engine.core.types import EventKind, Query, UserId
from engine.events.check import EventLimits, check_user
from engine.events.errors import EventError, EventKeyError
from engine.events.history import StoredHistory
from engine.events.identity import event_id
from engine.events.pseudonyms import Pseudonyms, read_key
from engine.events.sql import SqlEventStore
from engine.events.times import micros
from engine.events.types import Held, OutcomeKind
from tests.events.stores import ANN, BOB, ago, click, kinds, on, open_store, plain, served, vector, whole_history

KEY, OTHER = b"k" * 16, b"o" * 16
NAMES = Pseudonyms(KEY)
VERA = UserId("vera@example.org")


def keyed(url: str, key: bytes = KEY) -> SqlEventStore:
    return open_store(url, limits=EventLimits(users=Pseudonyms(key)))


@pytest.fixture
def store(url: str) -> Iterator[SqlEventStore]:
    with closing(keyed(url)) as opened:
        yield opened


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=60))
def test_a_pseudonym_is_an_id_and_its_own(user: str) -> None:
    made = NAMES(user)
    check_user(made)
    assert made == NAMES(user) == NAMES(made)
    assert made != Pseudonyms(OTHER)(user)
    assert user not in made or len(user) < 20


def test_different_people_have_different_ones() -> None:
    assert len({NAMES(f"user-{row}") for row in range(2000)}) == 2000


@pytest.mark.parametrize("user", ["", "x" * 513, "a\0", "\udc80"])
def test_what_is_no_id_stays_and_is_refused(store: SqlEventStore, user: str) -> None:
    assert NAMES(user) == user
    (outcome,) = store.record([click(user)])
    assert outcome.kind is OutcomeKind.REJECTED
    with pytest.raises(EventError):
        store.history(UserId(user))


def test_everything_finds_the_person(store: SqlEventStore) -> None:
    events = [
        click(VERA, name="1"),
        on(Text("owls"), VERA),
        on(vector(), VERA, EventKind.UPLOAD),
        click("bob", name="2"),
    ]
    assert kinds(store.record(events)) == [OutcomeKind.RECORDED] * 4
    assert kinds(store.record(events)) == [OutcomeKind.DUPLICATE] * 4
    assert store.log_impressions([served("r1", VERA), served("r2", "bob"), served("r3", "")]) == 3
    pseudonym = NAMES(VERA)
    assert len(whole_history(store, VERA)) == len(whole_history(store, pseudonym)) == 3
    assert [one.user for one in store.lists(VERA).lists] == [pseudonym]
    assert {event.user for event in store.export()} == {pseudonym, NAMES("bob")}
    assert {one.impression.user for one in store.impressions()} == {pseudonym, NAMES("bob"), ""}
    assert store.stats().users == 2
    assert store.held(VERA) == store.delete_user(VERA) == Held(3, 1, ago(hours=2), ago(hours=1))
    assert {event.user for event in store.export()} == {NAMES("bob")}


def test_an_exported_store_is_imported_as_it_was(store: SqlEventStore, tmp_path: Path) -> None:
    store.record([click(VERA, name="1"), click("bob", name="2")])
    with closing(keyed(f"sqlite:///{tmp_path / 'other.db'}")) as other:
        other.record(list(store.export()))
        assert list(map(plain, other.export())) == list(map(plain, store.export()))


def test_the_id_is_in_no_file(tmp_path: Path) -> None:
    with closing(keyed(f"sqlite:///{tmp_path / 'events.db'}")) as store:
        made = event_id(click(VERA), micros(ago(hours=1)))
        store.record([click(VERA), on(Text("owls"), VERA)])
        store.log_impressions([served("r1", VERA)])
        raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert NAMES(VERA).encode() in raw
        assert VERA.encode() not in raw
        assert made.encode() not in raw, "the hash of what an event says would tell whose it is"


def test_an_event_that_is_recorded_and_sent_counts_once(store: SqlEventStore) -> None:
    event = click(VERA)
    store.record([event])
    history = StoredHistory(store, {EventKind.CLICK: 1.0}, 10)
    joined = history.join(Query(history=(event.event,), user=NAMES(VERA)), Deadline())
    assert len(joined.query.history) == 1


def test_another_key_or_none_is_refused(url: str) -> None:
    with closing(keyed(url)) as store:
        store.record([click()])
    with pytest.raises(EventKeyError, match=rf"of the key {NAMES.fingerprint}, but .* is not set: name"):
        open_store(url)
    with pytest.raises(EventKeyError, match=rf"but .* has the key {Pseudonyms(OTHER).fingerprint}"):
        keyed(url, OTHER)
    with closing(keyed(url)) as store:
        assert len(whole_history(store)) == 1


@pytest.mark.parametrize("what", ["events", "lists"])
def test_a_database_of_plain_ids_takes_no_key(url: str, what: str) -> None:
    with closing(open_store(url)) as store:
        if what == "events":
            store.record([click()])
        else:
            store.log_impressions([served()])
    with pytest.raises(EventKeyError, match=r"user ids as they came, but .* export its events, then import"):
        keyed(url)
    with closing(open_store(url)) as store:
        store.delete_user(ANN)
    with closing(keyed(url)) as store:
        store.record([click(BOB)])


def test_a_database_of_an_earlier_release_is_opened(url: str) -> None:
    with closing(open_store(url)) as store:
        store.record([click()])
        with store._database.write() as connection:
            connection.exec_driver_sql("DROP TABLE triveni_pseudonyms")
    with closing(open_store(url)) as store:
        assert len(whole_history(store)) == 1


def test_the_key_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    settings = Settings(events={"url": f"sqlite:///{tmp_path}/events.db", "pseudonym_key_file": path})  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"pseudonym_key_file .* cannot be read: No such file"):
        opening.open_events(settings)
    path.write_bytes(b"short\n")
    with pytest.raises(SettingsError, match=r"has 5 bytes, 16 are the least: make one: openssl rand"):
        opening.open_events(settings)
    path.write_bytes(KEY + b"\n")
    assert read_key(path) == KEY
    with closing(opening.open_events(settings)) as store:
        store.record([click(VERA)])
        assert [event.user for event in store.export()] == [NAMES(VERA)]


def test_the_command_line_writes_pseudonyms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("key").write_bytes(KEY)
    monkeypatch.setenv("TRIVENI_EVENTS__PSEUDONYM_KEY_FILE", "key")
    row = {"user_id": VERA, "kind": "like", "time": "2026-01-01T10:00:00Z", "item_id": "a"}
    Path("in.jsonl").write_text(json.dumps(row) + "\n")

    def run(*arguments: str) -> None:
        done = CliRunner().invoke(app, ["events", *arguments])
        assert done.exit_code == 0, done.output

    run("import", "in.jsonl", "--no-check-items")
    run("export", "all.jsonl")
    run("export", "vera.jsonl", "--user", VERA)
    assert json.loads(Path("all.jsonl").read_text())["user_id"] == NAMES(VERA)
    assert json.loads(Path("vera.jsonl").read_text())["user_id"] == VERA
    with closing(opening.open_events(load_settings())) as store:
        assert len(whole_history(store, VERA)) == 1
