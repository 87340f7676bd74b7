"""`triveni doctor`: each check finds the fault that is made, says how to mend it, and changes nothing."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from engine import opening
from engine.cli import app
from engine.cli.doctor import command, machine
from engine.cli.doctor.command import CHECKS, examine
from engine.cli.doctor.finding import Finding, Level, Patient
from engine.config.settings import Settings, load_settings
from engine.core.filters import FieldKind
from engine.core.types import Event, ItemId, UserId
from engine.events.settings import EventSettings, KindSettings
from engine.events.types import UserEvent
from engine.service.access.tls import TlsFiles
from engine.service.server import ServerOptions
from engine.store.edge import EdgeStore
from tests.client.proxies import make_certificate
from tests.models.versions import FILE, make
from tests.service.running import running
from tests.tiny import concept_space, tiny_space

CLOSED = "127.0.0.1:9"
"""Nobody listens there."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a collection, a version, and settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_space", lambda *_, **__: concept_space())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    say(f'[service]\naddress = "127.0.0.1:{port}"\n')
    settings = load_settings()
    opening.open_store(settings, concept_space()).close()
    registry = opening.registry(settings)
    make(registry, "bird", "one")
    make(registry, "car", "two")
    registry.change(lambda pointer: pointer.promoted("one"))
    yield tmp_path


def say(text: str, mode: int = 0o600) -> None:
    Path("triveni.toml").write_text(text)
    Path("triveni.toml").chmod(mode)


def findings(*checks: str, settings: Settings | None = None) -> list[Finding]:
    """What some checks find."""
    patient = Patient(settings or load_settings(), Path("triveni.toml"))
    return [finding for name, finding in examine(patient) if name in checks]


def one(check: str, settings: Settings | None = None) -> str:
    """The one finding of a check that is not well."""
    (found,) = [one for one in findings(check, settings=settings) if one.level is not Level.OK]
    assert found.remedy
    return f"{found.level}: {found.said}: {found.remedy}"


def run(*more: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *more])


def test_all_is_well() -> None:
    before = sorted(path for path in Path().rglob("*"))
    done = run("--json")
    found = json.loads(done.stdout)
    assert [(row["check"], row["level"]) for row in found if row["level"] == "problem"] == []
    assert {row["check"] for row in found} == set(CHECKS)
    assert done.exit_code == 0
    assert sorted(path for path in Path().rglob("*")) == before
    plain = run()
    assert plain.exit_code == 0
    assert len(plain.stdout.splitlines()) == len(found)
    assert "collection items holds 0 items" in plain.stdout


def test_settings_that_cannot_be_read() -> None:
    say("[service]\nadress = 1\n")
    done = run()
    assert done.exit_code == 1
    assert done.stdout.startswith("problem  settings  there is no setting service.adress")
    assert json.loads(run("--json").stdout)[0]["remedy"].startswith("did you mean service.address?")


def test_secrets_that_others_may_read() -> None:
    say('[store]\napi_key = "sekret"\n', 0o644)
    said = one("settings")
    assert said == "warning: triveni.toml holds secrets, and others may read it: chmod 600 triveni.toml"
    say('[events]\nurl = "postgresql://me:pw@db/x"\n', 0o640)
    assert one("settings") == said
    say('[store]\napi_key = "sekret"\n', 0o600)
    assert [found.level for found in findings("settings")] == [Level.OK]


def test_a_library_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        machine, "requires", lambda _: ["numpy>=99", "nothing-of-this-name>=1", "numpy<1; extra == 'x'"]
    )
    said = [(found.level, found.said, found.remedy) for found in findings("versions")]
    assert [level for level, _, _ in said] == [Level.PROBLEM] * 2
    assert "triveni needs >=99" in said[0][1] and said[1][1] == "nothing-of-this-name is missing, triveni needs >=1"


def test_parts_that_are_not_installed() -> None:
    say("[retrieve.sources]\nnone-of-these = {}\n")
    assert "problem: " in one("parts") and "none-of-these" in one("parts")


def test_a_disk_that_is_nearly_full() -> None:
    say("[store]\nreserve_mb = 1000000000\n")
    assert one("disk").endswith("less than store.reserve_mb, so writes are refused: free space on that disk")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    say(f'[models]\npath = "{tmp_path}/file/trained"\n')
    assert "file of models cannot be written: let this user write there" in one("disk")


@pytest.mark.parametrize(("limit", "used"), [("1500000000", "1400000000"), ("max", "0")])
def test_little_memory(limit: str, used: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the machine, or of the container if that has less."""
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text(used)
    machine_kb = 8 << 20 if limit != "max" else 100 << 10
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable:  {machine_kb} kB\n")
    free = machine._free_memory(tmp_path / "meminfo", tmp_path)
    assert free == 100_000_000 if limit != "max" else 100 << 20
    monkeypatch.setattr(machine, "_free_memory", lambda: free)
    assert one("memory").startswith("warning: 0.1 GB of memory are free, loading takes 1.1 GB: stop other programs")


def test_a_port_that_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        say(f'[http]\naddress = "{address}"\n[service]\naddress = "127.0.0.1:0"\n')
        assert one("ports") == (
            f"problem: http.address is {address}: address already in use: "
            "stop the program that has it, or set another address"
        )
    say('[service]\naddress = "no such host:5"\n')
    assert one("ports").startswith("problem: service.address is no such host:5: ")


def test_a_server_that_runs_is_asked() -> None:
    settings = load_settings()
    store, events = opening.open_store(settings, concept_space()), opening.open_events(settings)
    with closing(store), closing(events):
        assert one("ports").startswith("warning: store ") and "in use by process" in one("ports")
        with running(concept_space(), store, events, ServerOptions(address="127.0.0.1:0")) as server:
            store.announce(server.address)
            found = {found.said for found in findings("ports", "store")}
            assert found == {
                f"the server at {server.address} says SERVING",
                f"collection items is held by a process that answers at {server.address}",
            }
            assert run().exit_code == 0
        assert "does not answer: UNAVAILABLE" in one("ports")


def test_a_server_of_a_collection_that_serves_no_more_is_known() -> None:
    settings, tiny = load_settings(), tiny_space()
    with closing(opening.open_store(settings, concept_space())) as store:
        assert isinstance(store, EdgeStore)
        store.announce("127.0.0.1:1")
        opening.open_store(settings, tiny, beside=True).close()
        opening.store_collections(settings).switch("items", tiny.fingerprint)
        said = f"the server at 127.0.0.1:1 has items-{concept_space().fingerprint[:12]} open"
        assert said in one("ports") and "restart it" in one("ports")
    assert [found.level for found in findings("ports")] == [Level.OK]


def test_a_server_with_a_certificate_is_asked(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path, "shop.example")
    say(f'[service]\naddress = "127.0.0.1:0"\ntls_cert = "{cert}"\ntls_key = "{key}"\n')
    settings = load_settings()
    store, events = opening.open_store(settings, concept_space()), opening.open_events(settings)
    tls = TlsFiles(cert, key)
    with (
        closing(store),
        closing(events),
        running(concept_space(), store, events, tls=tls, ca=cert.read_bytes()) as server,
    ):
        store.announce(server.address)
        assert [found.said for found in findings("ports")] == [f"the server at {server.address} says SERVING"]


def test_files_that_say_who_may_come_in(tmp_path: Path) -> None:
    assert [found.said for found in findings("access")] == ["everybody may do everything, in the clear"]
    say('[access]\nkeys = "gone.toml"\n[log]\naudit = "audit.jsonl"\n')
    assert one("access").startswith("problem: the file of keys gone.toml cannot be read")
    cert, key = make_certificate(tmp_path, "shop.example")
    Path("gone.toml").write_text("")
    files = f'tls_cert = "{cert}"\ntls_key = "{key}"\n'
    say(f'[access]\nkeys = "gone.toml"\n[service]\n{files}[log]\naudit = "audit.jsonl"\n')
    assert findings("access")[0].said == "a key or a token is asked for, connections are encrypted"
    assert one("access").startswith(f"warning: the certificate {cert} is valid until ")
    assert not Path("audit.jsonl").exists()


def test_a_space_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    settings = load_settings().model_copy(update={"space": load_settings().space.model_copy(update={"name": "mars"})})
    assert "problem: there is no space 'mars': set space.name to starter" in one("space", settings)


def test_a_collection_of_another_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "open_space", lambda *_, **__: tiny_space())
    (found,) = findings("store")
    assert found.said == (
        f"collection items is of space {concept_space().fingerprint[:12]}…, the settings' space "
        f"{tiny_space().manifest.name} is {tiny_space().fingerprint[:12]}…"
    )
    assert found.remedy.endswith("triveni index CATALOG --switch")


def test_no_collection_yet(tmp_path: Path) -> None:
    say(f'[store]\npath = "{tmp_path}/other"\n')
    assert one("store").startswith("warning: there is no collection items: index a catalogue")


def test_settings_that_changed_since_it_was_indexed() -> None:
    with closing(opening.open_store(load_settings(), concept_space())) as store:
        assert isinstance(store, EdgeStore)
        store.index_words(["_text", "title"])
        store.index_fields({"price": FieldKind.FLOAT})
        store._describe(graphed=1, quantization="none")
        say('[index]\nwords = ["_text", "title"]\nfields = {price = "float"}\n[store]\nquantization = "none"\n')
        assert [found.level for found in findings("indexed")] == [Level.OK], "also while it is open elsewhere"
        store.announce("127.0.0.1:1")
        say("[store]\nquantization = '4bit'\n[index]\nwords = ['_text', 'title']\n")
        assert one("indexed") == (
            "warning: the search graphs are of vectors with quantization none, store.quantization is 4bit: "
            "restart the server, which converts them"
        )
    assert one("indexed").endswith("`triveni optimize`")
    say("[store]\nquantization = 'none'\n[index]\nwords = ['sku']\nfields = {price = 'keyword', made = 'datetime'}\n")
    assert [found.said for found in findings("indexed")] == [
        "items are found by the words of _text, title, index.words is sku",
        "field price is indexed as float, index.fields says keyword",
        "field made cannot be filtered on yet, index.fields names it",
    ]


def test_a_store_that_is_broken(folder: Path) -> None:
    next(folder.glob("var/store/*.alias.json")).write_text("{")
    assert "items.alias.json cannot be read" in one("store")


@pytest.mark.parametrize(
    ("check", "text"),
    [
        ("store", f'[store]\nbackend = "server"\nurl = "http://{CLOSED}"\ntimeout_seconds = 1\n'),
        ("events", f'[events]\nurl = "postgresql://me@{CLOSED}/x?connect_timeout=2"\n'),
    ],
)
def test_a_database_that_cannot_be_reached(check: str, text: str) -> None:
    say(text)
    assert one(check).startswith("problem: ") and "127.0.0.1:9" in one(check)


def test_an_event_store_that_is_none() -> None:
    Path("var/events.db").write_bytes(b"no database" * 100)
    assert "is not a sound SQLite database" in one("events")
    Path("var/events.db").unlink()
    assert "there is no event store var/events.db yet" in findings("events")[0].said


def test_events_of_kinds_that_are_not_declared() -> None:
    declared = Settings(events=EventSettings(kinds={"share": KindSettings(weight=1.0)}))
    with closing(opening.open_events(declared)) as events:
        events.record([UserEvent(UserId("ann"), Event("share", ItemId("a")))])  # type: ignore[arg-type]
    assert one("events") == (
        "warning: events of kinds that are not declared are left out: share: declare them in [events.kinds]"
    )


def test_a_damaged_version_and_one_of_another_space(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("var/trained/two", FILE).write_bytes(b"damaged")
    assert one("models").startswith(f"warning: {FILE} of model version two is corrupt")
    Path("var/trained/one", FILE).write_bytes(b"damaged")
    assert [found.level for found in findings("models")][:2] == [Level.PROBLEM, Level.WARNING]
    monkeypatch.setattr(opening, "open_space", lambda *_, **__: tiny_space())
    assert all("is of space" in found.said for found in findings("models")[:2])


def test_a_version_that_is_to_serve_and_is_gone(folder: Path) -> None:
    (folder / "var/trained/one").rename(folder / "gone")
    assert one("models") == "problem: version one is to serve, and is not there: triveni model rollback, or promote"


def test_a_check_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Patient) -> Iterator[Finding]:
        raise RuntimeError("nobody thought of this")
        yield

    monkeypatch.setattr(command, "CHECKS", {"new": fails, "parts": machine.parts})
    assert [(name, found.level) for name, found in examine(Patient(Settings()))] == [
        ("new", Level.PROBLEM),
        ("parts", Level.OK),
    ]
