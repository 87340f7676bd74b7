"""A person is deleted from a system that serves, and has learned: afterwards nothing on disk names them."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog

from engine import opening
from engine.catalog.items import read_items, save_items
from engine.compose.doors import http_doors, server_options
from engine.compose.engine import open_serving
from engine.config.settings import Settings
from engine.core.types import UserId
from engine.events.identity import event_id
from engine.events.pseudonyms import Pseudonyms
from engine.events.times import micros
from engine.events.types import UserEvent
from engine.learn.jobs import job
from engine.learn.window import TimeWindow
from engine.models.deletions import DELETIONS
from engine.service.convert.events import event_of
from engine.store.base import VectorStore
from tests.service.running import Running, item, open_edge, running
from tests.service.test_events import event, record
from tests.tiny import CONCEPTS, concept_png, concept_space, concept_text
from triveni.v1 import content_pb2, event_pb2, model_pb2, recommendation_pb2

E, C = event_pb2, content_pb2.Content
SECRET = "vera.secret+4711@example.org"
HOUR = timedelta(hours=1)


def spellings(name: str) -> dict[str, bytes]:
    raw = name.encode()
    return {
        "utf-8": raw,
        "utf-16": name.encode("utf-16-le"),
        "hex": raw.hex().encode(),
        "base64": base64.b64encode(raw)[: len(raw) // 3 * 4],
        "url": name.replace("@", "%40").replace("+", "%2B").encode(),
    }


def found(folder: Path, name: str = SECRET) -> set[tuple[str, str]]:
    """Every file below the folder that has the name, and how it is written there."""
    return {
        (str(path.relative_to(folder)), how)
        for path in folder.rglob("*")
        if path.is_file()
        for how, raw in spellings(name).items()
        if raw in path.read_bytes()
    }


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(opening, "open_space", lambda *_: concept_space())
    return Settings(
        store={"path": tmp_path / "store"},
        events={"url": f"sqlite:///{tmp_path / 'events.db'}"},
        models={"path": tmp_path / "trained", "min_cases": 5},
        learn={"epochs": 1, "width": 8, "steps": 5, "fields": {}, "compiled": False},
    )  # type: ignore[arg-type]


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "triveni.log"
    with path.open("w") as file:
        structlog.configure(
            processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
            logger_factory=structlog.WriteLoggerFactory(file),
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )
        yield path
    structlog.reset_defaults()


@pytest.fixture
def store(settings: Settings) -> Iterator[VectorStore]:
    with closing(open_edge(settings.store.path, concept_space())) as opened:
        yield opened


@contextmanager
def served_by(settings: Settings, store: VectorStore, log_file: Path) -> Iterator[tuple[Running, str]]:
    """A server over gRPC and HTTP, with everything on disk; and where it answers over HTTP."""
    options = server_options(settings).model_copy(update={"address": "127.0.0.1:0"})
    with (
        closing(opening.open_events(settings, opening.known_items(store))) as events,
        closing(open_serving(settings, concept_space(), store)) as serving,
    ):
        serving.start()
        (door,) = doors = http_doors(settings, "127.0.0.1:0")
        with running(concept_space(), store, events, options, serving=serving, doors=doors) as run:
            items = [
                item(f"{one}/{row}", text=concept_text(one, row).text) for one in CONCEPTS[:6] for row in range(8)
            ]
            run.upsert(items)
            yield run, f"http://127.0.0.1:{door.port}"


@pytest.fixture
def system(settings: Settings, store: VectorStore, log_file: Path) -> Iterator[tuple[Running, str]]:
    with served_by(settings, store, log_file) as made:
        yield made


def lived(run: Running, http: str) -> None:
    """What many people did, and one whose every trace has to go."""
    for user in range(30):
        concept = CONCEPTS[user % 6]
        rows = [event("CLICK", f"{concept}/{(user + row) % 8}", 6000 - 60 * row - user) for row in range(8)]
        record(run, f"user-{user}", rows)
    own = [
        event("LIKE", f"bird/{row}", 5000 + row, id=f"{SECRET}-{row}", context={"who": SECRET}) for row in range(8)
    ]
    own += [event("SEARCH", content=C(text=f"of {SECRET}"), minutes=90)]
    own += [event("UPLOAD", content=C(image=concept_png("car")), minutes=80)]
    assert record(run, SECRET, own).recorded_count == 10
    for _ in range(3):
        run.recommendations.Recommend(recommendation_pb2.RecommendRequest(user_id=SECRET, limit=3), timeout=20)
    url = f"{http}/v1/users/{SECRET.replace('+', '%2B')}/history"
    answer = httpx2.get(url, params={"complete": True})
    assert len(answer.json()["events"]) == 10
    httpx2.get(f"{http}/v1/users/{SECRET}%00/history")  # an error, which is logged


def train(settings: Settings, store: VectorStore, folder: Path, now: datetime) -> str:
    items = folder / "items.npz"
    save_items(read_items(store), items)
    window = TimeWindow(None, now)
    return job.train_version(settings, items, lambda *_: None, lambda: False, window, 1).version


def delete(run: Running, user: str = SECRET) -> E.DeleteUserResponse:
    return run.events.DeleteUser(E.DeleteUserRequest(user_id=user), timeout=30)


def test_nothing_on_disk_names_a_deleted_person(
    settings: Settings, store: VectorStore, system: tuple[Running, str], tmp_path: Path
) -> None:
    run, http = system
    lived(run, http)
    version = train(settings, store, tmp_path, datetime.now(UTC))
    model = run.models.GetModel(model_pb2.GetModelRequest(version=version)).model
    assert (model.deleted_people, model.HasField("last_deletion_time")) == (0, False)
    assert {name.partition("-")[0] for name, _ in found(tmp_path)} == {"events.db"}, "only the event store has it"

    before = datetime.now(UTC)
    receipt = delete(run)
    assert (receipt.deleted_count, receipt.deleted_list_count, receipt.scrubbed) == (10, 3, True)
    assert list(receipt.model_versions) == [version]
    assert before <= receipt.delete_time.ToDatetime(UTC) <= datetime.now(UTC)
    assert found(tmp_path) == set()
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) > 10

    model = run.models.GetModel(model_pb2.GetModelRequest(version=version)).model
    assert model.deleted_people == 1
    assert model.last_deletion_time == receipt.delete_time
    (noted,) = map(json.loads, (settings.models.path / DELETIONS).read_text().splitlines())
    assert (noted["id"], noted["versions"]) == (receipt.receipt_id, [version])
    assert receipt.receipt_id in (tmp_path / "triveni.log").read_text()

    again = delete(run)
    assert (again.deleted_count, again.deleted_list_count, list(again.model_versions)) == (0, 0, [])
    assert again.receipt_id != receipt.receipt_id
    with closing(opening.open_events(settings)) as events:
        assert SECRET not in {one.user for one in events.export()}, "the next training reads this"


def test_with_pseudonyms_the_id_never_reaches_the_disk(
    settings: Settings, store: VectorStore, log_file: Path, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"0123456789abcdef")
    keyed = settings.model_copy(update={"events": settings.events.model_copy(update={"pseudonym_key_file": key})})
    with served_by(keyed, store, log_file) as (run, _):
        rows = [event("LIKE", "bird/1"), event("UPLOAD", content=C(image=concept_png("car")))]
        assert record(run, SECRET, rows).recorded_count == 2
        assert record(run, SECRET, rows).duplicate_count == 2
        for history in ([], [rows[0]]):
            ask = recommendation_pb2.RecommendRequest(user_id=SECRET, history=history, limit=3, trace=True)
            answer = run.recommendations.Recommend(ask, timeout=20)
            recorded = next(stage.count for stage in answer.stages if stage.name == "recorded")
            assert recorded == 2 - len(history), "an event that is recorded and in the request counts once"
        delete(run, "nobody")  # waits for the lists
        page = run.events.GetHistory(E.GetHistoryRequest(user_id=SECRET), timeout=20)
        assert len(page.events) == 2
        bare = [UserEvent(UserId(SECRET), event_of(row)) for row in rows]
        unkeyed = [event_id(one, micros(one.event.time)) for one in bare if one.event.time]
        assert not {one.id for one in page.events} & set(unkeyed), "its hash would tell whose it is"
        (user,) = {one.user for one in run.event_store.export()}
        assert {one.impression.user for one in run.event_store.impressions()} == {user}
        assert user == Pseudonyms(b"0123456789abcdef")(SECRET)
        assert found(tmp_path) == set()
        receipt = delete(run)
        assert (receipt.deleted_count, receipt.deleted_list_count) == (2, 2)
        assert found(tmp_path, user) == set()


def test_lists_that_wait_to_be_written_are_not_written_afterwards(system: tuple[Running, str]) -> None:
    run, _ = system
    ask = recommendation_pb2.RecommendRequest(user_id=SECRET, limit=3)
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            run.recommendations.Recommend(ask, timeout=20)

    threads = [threading.Thread(target=keep_asking) for _ in range(3)]
    for thread in threads:
        thread.start()
    gone = 0
    while gone < 20:
        gone += delete(run).deleted_list_count
    stop.set()
    for thread in threads:
        thread.join(30)
    last = datetime.now(UTC)
    delete(run)
    other = recommendation_pb2.RecommendRequest(user_id="bob", limit=3)
    run.recommendations.Recommend(other, timeout=20)
    delete(run, "nobody")  # waits for what was served before
    assert {one.impression.user for one in run.event_store.impressions(until=last + HOUR)} == {"bob"}


def test_a_complete_history_has_lists_and_vectors(system: tuple[Running, str]) -> None:
    run, http = system
    lived(run, http)
    delete(run, "nobody")  # waits for the lists

    def pages(**said: Any) -> tuple[list[E.Event], list[E.ServedList]]:
        events, lists, token = [], [], ""
        while True:
            asked = E.GetHistoryRequest(user_id=SECRET, page_size=2, page_token=token, **said)
            page = run.events.GetHistory(asked, timeout=20)
            assert len(page.events) + len(page.served_lists) <= 2
            events += page.events
            lists += page.served_lists
            token = page.next_page_token
            if not token:
                return events, lists

    events, lists = pages(complete=True)
    short, none = pages()
    assert (len(short), none) == (10, [])
    assert [one.id for one in events] == [one.id for one in short]
    assert not any(one.HasField("vector") for one in short)
    (upload,) = (one for one in events if one.HasField("vector"))
    assert upload.vector.fingerprint == run.space.fingerprint
    assert len(upload.vector.values) == 4 * run.space.dimension
    assert [len(one.item_ids) for one in lists] == [3, 3, 3]
    assert [list(one.positions) for one in lists] == [[1, 2, 3]] * 3
    assert len({one.request_id for one in lists}) == 3
    assert [one.time.ToNanoseconds() for one in lists] == sorted(one.time.ToNanoseconds() for one in lists)[::-1]
