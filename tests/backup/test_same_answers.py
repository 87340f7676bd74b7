"""A deployment is backed up while it serves; what is restored of it answers 100 recorded requests as it did."""

import base64
import io
import json
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from engine import opening
from engine.backup.archive import Archive, write_archive
from engine.backup.manifest import Manifest
from engine.backup.restore import restore
from engine.backup.take import State
from engine.cli import app
from engine.config.settings import Settings, load_settings
from engine.core.types import Event, EventKind, ItemId, UserId
from engine.events.database import Database
from engine.events.sql import SqlEventStore
from engine.events.types import UserEvent
from engine.http.server import HttpServer
from engine.http.settings import HttpSettings
from engine.models.registry import Registry
from engine.store.base import VectorStore
from tests.backup.deployment import ITEMS, SPACE, answers, fill, serving
from tests.service.running import item
from tests.store.implementations import NO_SERVER, QDRANT_URL, drop, open_store

Answers = list[list[tuple[str, float]]]


@dataclass(frozen=True)
class Saved:
    """A deployment that was backed up, what it answered before, and what was written while the backup was taken."""

    archive: Path
    answers: Answers
    lists: int
    said: dict[str, object]
    written: list[ItemId]
    """Items that came and went while the backup was taken: each may be in it or not."""
    over_http: bytes
    """Another backup, of when nothing was written any more."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    folder = Path(tmp_path_factory.mktemp("deployment"))
    (folder / "triveni.toml").write_text(
        '[store]\napi_key = "sekret"\n[index.fields]\nprice = "float"\n[policy]\ndiversity = 0.2\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(opening, "open_space", lambda *_, **__: SPACE)
        settings = load_settings()
        fill(settings)
        store, events = opening.open_store(settings, SPACE), opening.open_events(settings)
        collections = opening.store_collections(settings)
        collections.note_media_root(settings.store.collection, SPACE.fingerprint, Path("/media/of/it"))
        door = HttpServer(HttpSettings(address="127.0.0.1:0"), max_message_bytes=1 << 20)
        with closing(store), closing(events), serving(settings, store, events, [door]) as server:
            before = answers(server)
            until = time.monotonic() + 30
            while events.stats().impressions < 100:  # a thread writes the served lists
                assert time.monotonic() < until
                time.sleep(0.01)
            ended, written = threading.Event(), []
            writing = threading.Thread(target=_write, args=(server, events, ended, written))
            writing.start()
            done = CliRunner().invoke(app, ["backup", "saved.tar", "--server", server.address, "--json"])
            ended.set()
            writing.join()
            assert done.exit_code == 0, (done.output, done.exception)
            assert written
            lines = httpx.post(f"http://127.0.0.1:{door.port}/v1/backup", json={}, timeout=60).raise_for_status()
            data = b"".join(base64.b64decode(json.loads(line)["data"]) for line in lines.text.splitlines())
            assert (folder / "saved.tar").stat().st_mode & 0o777 == 0o600
            yield Saved(folder / "saved.tar", before, 100, json.loads(done.stdout.splitlines()[-1]), written, data)


def _write(server: object, events: SqlEventStore, ended: threading.Event, written: list[ItemId]) -> None:
    """Write and delete an item, and record events, all the time."""
    while not ended.is_set():
        name = ItemId(f"new{len(written)}")
        server.upsert([item(name, text="nothing of note")])  # type: ignore[attr-defined]
        events.record([UserEvent(UserId("late"), Event(EventKind.CLICK, name, id=name))])
        server.store.delete([name])  # type: ignore[attr-defined]
        written.append(name)


def test_what_the_command_says(saved: Saved) -> None:
    counts = saved.said["counts"]
    assert isinstance(counts, dict)
    assert counts["items"] >= ITEMS and counts["triveni_events"] >= 144
    assert (counts["versions"], counts["triveni_impressions"]) == (1, saved.lists)
    assert saved.said["left_out"] == []
    assert saved.said["media_root"] == "/media/of/it"
    assert [path.name for path in saved.archive.parent.iterdir() if path.name.startswith(".")] == []
    assert list((saved.archive.parent / "var/trained/.backup").iterdir()) == []


def test_over_http(saved: Saved, tmp_path: Path) -> None:
    (tmp_path / "http.tar").write_bytes(saved.over_http)
    with Archive(tmp_path / "http.tar") as archive:
        assert archive.manifest.counts["items"] == ITEMS


def test_secrets_are_in_no_part_of_it(saved: Saved) -> None:
    assert b"sekret" not in saved.archive.read_bytes()
    with tarfile.open(saved.archive) as tar:
        settings = tar.extractfile("settings.toml")
        assert settings is not None
        text = settings.read().decode()
    assert "store.api_key" in text.splitlines()[0] and "diversity = 0.2" in text


def test_restored_into_a_new_folder(saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_space", lambda *_, **__: SPACE)
    monkeypatch.setenv("TRIVENI_MODELS__PATH", str(tmp_path / "elsewhere"))  # says nothing of what is restored
    done = CliRunner().invoke(app, ["restore", str(saved.archive), "--into", "restored", "--with-settings"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "next: cd restored && triveni doctor && triveni serve" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["restored"]
    monkeypatch.delenv("TRIVENI_MODELS__PATH")
    monkeypatch.chdir(tmp_path / "restored")
    settings = load_settings()
    assert (settings.policy.diversity, settings.store.api_key) == (0.2, "")
    assert opening.media_root(settings) == Path("/media/of/it")
    with (
        closing(opening.open_store(settings, SPACE)) as store,
        closing(opening.open_events(settings, existing=True)) as events,
    ):
        store.delete(saved.written)
        with serving(settings, store, events) as server:
            assert_same(answers(server), saved.answers, store)
        assert store.schema["price"] == "float"
        assert events.stats().impressions >= saved.lists
    again = CliRunner().invoke(app, ["restore", str(saved.archive), "--into", "."])
    assert "restored is not empty" in str(again.exception)


def test_settings_of_a_backup_are_shown_and_in_force_only_if_that_is_said(
    saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody forged one that opens the server, shows the files of another folder, and writes to the terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_space", lambda *_, **__: SPACE)
    with Archive(saved.archive) as archive:
        parts = [(name, io.BytesIO(archive.read(name))) for name in archive.names() if name != "settings.toml"]
        manifest = archive.manifest
    opens = b'[service]\naddress = "0.0.0.0:1"\ninsecure = true\n[studio]\nmedia = "/\\u001b[2J"\n'

    def forge(settings: bytes) -> str:
        def describe(sums: object) -> Manifest:
            return manifest.model_copy(update={"files": sums, "media_root": "/etc"})

        made = write_archive([("settings.toml", io.BytesIO(settings)), *parts], describe, 0)
        (tmp_path / "forged.tar").write_bytes(b"".join(made))
        return "forged.tar"

    done = CliRunner().invoke(app, ["restore", forge(opens), "--into", "restored"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert 'service.address = "0.0.0.0:1"' in done.output and "service.insecure = true" in done.output
    assert "none is in force" in done.output and "\x1b[2J" not in done.output
    assert 'pictures and sounds were below "/etc"' in done.output
    monkeypatch.chdir(tmp_path / "restored")
    settings = load_settings()
    assert (settings.service, settings.studio) == (Settings().service, Settings().studio)
    assert opening.media_root(settings) is None
    assert load_settings(Path("triveni.proposed.toml")).service.insecure
    monkeypatch.chdir(tmp_path)
    for nonsense in (b"store = 3\n", b"[[[", b"\xff", b"# \x1b[31m\n"):
        refused = CliRunner().invoke(app, ["restore", forge(nonsense), "--into", "nowhere"])
        assert "makes no sense" in str(refused.exception) and not (tmp_path / "nowhere").exists()


@pytest.fixture(params=["memory", "server"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Another kind of store; nothing is left on a live server."""
    if request.param == "server" and not QDRANT_URL:
        pytest.skip(NO_SERVER)
    yield str(request.param)
    drop(request.param, tmp_path)


def test_restored_into_another_store(saved: Saved, kind: str, tmp_path: Path) -> None:
    settings = Settings(models={"path": tmp_path / "models"}, events={"url": f"sqlite:///{tmp_path}/events.db"})
    store = open_store(kind, tmp_path, fingerprint=SPACE.fingerprint, dimension=SPACE.dimension)
    with closing(store), Archive(saved.archive) as archive:
        with closing(Database(settings.events.url)) as database:
            restore(archive, State(store, database, Registry(settings.models.path)))
        store.delete(saved.written)
        with closing(opening.open_events(settings)) as events, serving(settings, store, events) as server:
            assert_same(answers(server), saved.answers, store)


def assert_same(found: Answers, wanted: Answers, store: VectorStore) -> None:
    """The same items in the same order."""
    assert store.count() == ITEMS
    assert len(found) == len(wanted) == 100
    for one, other in zip(found, wanted, strict=True):
        assert [name for name, _ in one] == [name for name, _ in other]
        np.testing.assert_allclose([score for _, score in one], [score for _, score in other], atol=1e-5)
