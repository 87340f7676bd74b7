"""Events from Redis Streams: each is recorded once, whatever dies on the way."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

redis = pytest.importorskip("redis", reason="the package redis is not installed")

from engine.events.errors import EventStoreError  # noqa: E402
from engine.events.files import RowReader  # noqa: E402
from engine.events.follow import Follower, Letters  # noqa: E402
from engine.events.sql import SqlEventStore  # noqa: E402

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
GROUP = "triveni"


def no_redis() -> str:
    """Why Redis cannot be tested, "" if it can."""
    try:
        with closing(redis.Redis.from_url(URL, socket_connect_timeout=2)) as client:
            client.ping()
    except redis.exceptions.RedisError as error:
        return f"no Redis at REDIS_URL: {error}"
    return ""


needs_redis = pytest.mark.skipif(bool(no_redis()), reason=no_redis() or "-")


@pytest.fixture
def client() -> Iterator[Any]:
    with closing(redis.Redis.from_url(URL)) as made:
        yield made


@pytest.fixture
def stream(client: Any) -> Iterator[str]:
    name = f"triveni-test-{uuid.uuid4()}"
    yield name
    client.delete(name)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlEventStore]:
    with closing(SqlEventStore(f"sqlite:///{tmp_path}/events.db")) as made:
        yield made


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[Letters]:
    with closing(Letters(tmp_path / "letters.jsonl")) as made:
        yield made


def follower(client: Any, stream: str, store: SqlEventStore, letters: Letters, **said: Any) -> Follower:
    return Follower(client, stream, GROUP, said.pop("consumer", "me"), store, RowReader(), letters, **said)


def row(number: int, **said: object) -> dict[Any, Any]:
    return {"user_id": f"u{number % 5}", "kind": "click", "item_id": f"i{number}", **said}


def go_on(seconds: float) -> bool:
    return threading.Event().wait(seconds)


@needs_redis
def test_entries_are_recorded_and_acknowledged(
    client: Any, stream: str, store: SqlEventStore, letters: Letters, tmp_path: Path
) -> None:
    client.xadd(stream, row(1, time="2026-01-01T10:00:00Z", id="own", context='{"device": "phone"}'))
    client.xadd(stream, {"event": json.dumps(row(2, value=4.5, kind="rate"))})
    place = client.xadd(stream, row(3)).decode()
    client.xadd(stream, row(1, time="2026-01-01T10:00:00Z", id="own", context='{"device": "phone"}'))
    made = follower(client, stream, store, letters)
    made.run(go_on, once=True)
    made.run(go_on, once=True)
    assert (made.done.recorded, made.done.duplicates, made.done.rejected) == (3, 1, 0)
    assert client.xpending(stream, GROUP)["pending"] == 0
    events = {one.event.id: one.event for one in store.export()}
    assert {one.item for one in events.values()} == {"i1", "i2", "i3"}
    assert events["own"].context == {"device": "phone"}
    assert events[f"{stream}-{place}"].time.timestamp() == int(place.split("-")[0]) / 1000  # type: ignore[union-attr]
    assert not (tmp_path / "letters.jsonl").exists()


@needs_redis
def test_bad_entries_are_told_and_do_not_come_again(
    client: Any, stream: str, store: SqlEventStore, letters: Letters, tmp_path: Path
) -> None:
    bad: list[tuple[dict[Any, Any], str]] = [
        ({"user_id": "u", "kind": "clicked", "item_id": "a"}, "event kind 'clicked' is unknown"),
        ({"event": json.dumps({"\ud800": "\ud800"})}, "is unknown"),
        (row(1, value="-1", kind="rate"), "value"),
        ({"event": "[1]"}, "is a list, not an object"),
        ({"event": '{"user_id"'}, "not JSON"),
        ({b"user_id": b"\xff", "kind": "like"}, "not UTF-8"),
        (row(1, colour="red"), "column 'colour' is unknown"),
        (row(1, time="yesterday"), "is no time"),
        (row(1), "has no time, and its place 99999999999999999-1 is none"),
    ]
    for fields, reason in bad:
        client.xadd(stream, fields, id="99999999999999999-1" if "its place" in reason else "*")
    client.xadd(stream, row(7, time="2026-01-01T10:00:00Z"), id="99999999999999999-2")
    made = follower(client, stream, store, letters, batch=3)
    made.run(go_on, once=True)
    assert (made.done.recorded, made.done.rejected) == (1, len(bad))
    assert client.xpending(stream, GROUP)["pending"] == 0
    told = [json.loads(line) for line in (tmp_path / "letters.jsonl").read_text().splitlines()]
    for letter, (_, reason) in zip(told, bad, strict=True):
        assert reason in letter["reason"]
        assert letter["remedy"]
        no_row = any(word in reason for word in ("not an object", "not JSON", "not UTF-8", "its place"))
        assert (letter["row"] == "") == no_row
        assert "user_id" not in letter["row"], "nobody looks through letters when a person is deleted"
    assert [letter["entry"].encode() for letter in told] == [key for key, _ in client.xrange(stream)[:-1]]


@needs_redis
def test_what_others_left_is_taken_over_and_nothing_is_doubled(
    client: Any, stream: str, store: SqlEventStore, letters: Letters
) -> None:
    for number in range(10):
        client.xadd(stream, row(number))
    client.xgroup_create(stream, GROUP, id="0")
    client.xreadgroup(GROUP, "dead", {stream: ">"}, count=6)
    client.xdel(stream, client.xrange(stream)[0][0])  # an entry that is gone, but still pending
    patient = follower(client, stream, store, letters, claim_seconds=60)
    patient.run(go_on, once=True)
    assert (patient.done.recorded, patient.done.claimed) == (4, 0)
    hasty = follower(client, stream, store, letters, claim_seconds=0, batch=2)
    hasty.run(go_on, once=True)
    assert (hasty.done.recorded, hasty.done.claimed) == (5, 5)
    assert client.xpending(stream, GROUP)["pending"] == 0
    client.xreadgroup(GROUP, "me", {stream: ">"})
    client.xadd(stream, row(99))
    client.xreadgroup(GROUP, "me", {stream: ">"})  # read, and died before it was recorded
    again = follower(client, stream, store, letters)
    again.run(go_on, once=True)
    assert again.done.recorded == 1, "a consumer of the same name goes on with what it had read"


@needs_redis
def test_kill_9_loses_nothing_and_sigterm_ends_cleanly(client: Any, stream: str, tmp_path: Path) -> None:
    count = 4000
    with client.pipeline() as pipe:
        for number in range(count):
            pipe.xadd(stream, row(number))
        pipe.execute()
    command = [sys.executable, "-m", "engine.cli", "events", "follow", URL, "--stream", stream]
    environment = {**os.environ, "TRIVENI_EVENTS__URL": f"sqlite:///{tmp_path}/events.db"}

    def start(*options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, *options],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def recorded() -> int:
        if not (tmp_path / "events.db").exists():
            return 0
        with closing(SqlEventStore(f"sqlite:///{tmp_path}/events.db")) as store:
            return store.stats().events

    victim = start("--batch", "20")
    until(lambda: recorded() > 100)
    victim.kill()
    victim.communicate()
    assert 100 < recorded() < count, "it was killed too late to show anything"
    survivor = start("--claim-seconds", "0", "--json")
    until(lambda: recorded() == count)
    survivor.send_signal(signal.SIGTERM)
    out, err = survivor.communicate(timeout=30)
    assert survivor.returncode == 0, err
    document = json.loads(out[out.index("{") :])
    assert document["recorded"] <= count - 100
    assert document["rejected"] == 0
    assert recorded() == count
    assert client.xpending(stream, GROUP)["pending"] == 0


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no program redis-server")
def test_an_outage_is_waited_out(tmp_path: Path, store: SqlEventStore, letters: Letters) -> None:
    """The server comes late, goes, and comes back without its stream."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    client = redis.Redis(port=port, socket_connect_timeout=1, retry=None)
    made = follower(client, "s", store, letters)
    stop, waits = threading.Event(), []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return stop.wait(min(seconds, 0.05))

    thread = threading.Thread(target=made.run, args=(wait,))
    thread.start()
    try:
        until(lambda: len([one for one in waits if one]) > 3)
        assert [one for one in waits if one][:3] == [0.2, 0.4, 0.8]
        for number in (1, 2):
            server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            with closing(redis.Redis(port=port)) as own:
                until(lambda own=own: answers(own))  # type: ignore[misc]
                own.xadd("s", row(number))
                until(lambda number=number: store.stats().events == number)  # type: ignore[misc]
            server.kill()
            server.wait()
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    with pytest.raises(EventStoreError, match="Redis failed"):
        follower(client, "s", store, letters).run(go_on, once=True)
    client.close()


def answers(client: Any) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.RedisError:
        return False


def until(reached: Callable[[], bool]) -> None:
    """Wait for something that has to come."""
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline, "it did not come within a minute"
        time.sleep(0.02)
