"""Archives that are damaged, cut off, or hostile are refused before anything is written."""

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from encoders.errors import SpaceError, TriveniError
from engine.backup.archive import DELETED, Archive, write_archive
from engine.backup.errors import BackupError
from engine.backup.manifest import FORMAT, Manifest, Taken
from engine.backup.restore import restore
from engine.backup.take import State, take
from engine.core.times import now_utc
from engine.core.types import ItemId
from engine.events.database import Database
from engine.models.registry import Registry
from tests.events.stores import click
from tests.events.stores import open_store as open_events
from tests.models.versions import FILE, make
from tests.store.implementations import open_memory, points

TAKEN = Taken(triveni="0.1.0", created=now_utc(), space="tiny", media_root=None, settings="")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    yield from _state(tmp_path / "here")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[State]:
    yield from _state(tmp_path / "there")


def _state(folder: Path) -> Iterator[State]:
    folder.mkdir()
    with closing(open_memory()) as store, closing(Database(f"sqlite:///{folder}/events.db")) as events:
        yield State(store, events, Registry(folder / "models"))


def fill(state: State, tmp_path: Path) -> None:
    state.store.upsert(points(20))
    store = open_events(f"sqlite:///{tmp_path}/here/events.db")
    store.record([click(name="a")])
    store.close()
    make(state.registry, "bird", "one")
    state.registry.change(lambda pointer: pointer.promoted("one"))
    state.registry.deletions.note([state.registry.card("one")], now_utc(), now_utc())


def saved(state: State, path: Path) -> Path:
    path.write_bytes(b"".join(take(state, TAKEN, path.parent / "scratch")))
    return path


def test_all_of_it_comes_back(state: State, empty: State, tmp_path: Path) -> None:
    fill(state, tmp_path)
    with Archive(saved(state, tmp_path / "a.tar")) as archive:
        assert {name: count for name, count in archive.manifest.counts.items() if count} == {
            "items": 20,
            "versions": 1,
            "triveni_events": 1,
        }
        assert archive.manifest.fingerprint == state.store.fingerprint
        restore(archive, empty)
        assert empty.store.count() == 20
        assert empty.registry.pointer() == state.registry.pointer()
        assert empty.registry.verified("one")[1] == state.registry.card("one")
        assert len(state.registry.deletions.all()) == 1
        assert empty.registry.deletions.all() == state.registry.deletions.all()
        with pytest.raises(BackupError, match=r"there are 20 items, rows in triveni_events, 1 versions of the model"):
            restore(archive, empty)
        empty.store.delete([ItemId("i3")])
        restore(archive, empty, replace=True)
        assert empty.store.count() == 20
    assert list((tmp_path / "scratch").iterdir()) == []


def test_somebody_was_deleted_before_there_was_a_version(state: State, empty: State, tmp_path: Path) -> None:
    state.registry.deletions.note([], now_utc(), now_utc())
    with Archive(saved(state, tmp_path / "a.tar")) as archive:
        restore(archive, empty)
    assert empty.registry.deletions.all() == state.registry.deletions.all() != []


def test_a_restore_that_was_cut_short_is_completed(
    state: State, empty: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue comes last: if it fails, all else is there already."""
    fill(state, tmp_path)
    with Archive(saved(state, tmp_path / "a.tar")) as archive:
        with monkeypatch.context() as patch:
            patch.setattr(empty.store, "upsert", _full_disk)
            with pytest.raises(TriveniError, match="the disk is full"):
                restore(archive, empty)
        assert (empty.store.count(), empty.registry.versions()) == (0, ["one"])
        restore(archive, empty, replace=True)
    assert empty.store.count() == 20


def _full_disk(*_: object) -> None:
    raise TriveniError("the disk is full")


def test_another_space_is_refused(state: State, tmp_path: Path) -> None:
    fill(state, tmp_path)
    path = saved(state, tmp_path / "a.tar")
    with (
        closing(open_memory("f" * 32)) as store,
        closing(Database(f"sqlite:///{tmp_path}/other.db")) as events,
        Archive(path) as archive,
    ):
        other = State(store, events, Registry(tmp_path / "other"))
        with pytest.raises(SpaceError, match=rf"is of space {state.store.fingerprint} \(tiny\), space {'f' * 32} is"):
            restore(archive, other)
        assert (store.count(), other.registry.versions()) == (0, [])


def test_a_damaged_version_is_left_out_and_said(state: State, empty: State, tmp_path: Path) -> None:
    fill(state, tmp_path)
    make(state.registry, "car", "two")
    state.registry.change(lambda pointer: pointer.promoted("two"))
    (tmp_path / "here/models/two" / FILE).write_bytes(b"damaged")
    with Archive(saved(state, tmp_path / "a.tar")) as archive:
        (said,) = archive.manifest.left_out
        assert f"{FILE} of model version two is corrupt" in said
        restore(archive, empty)
    assert empty.registry.versions() == ["one"]
    assert (empty.registry.pointer().serving, empty.registry.pointer().previous) == ("", ("", "one"))


def test_half_an_archive_is_refused_wherever_it_ends(state: State, tmp_path: Path) -> None:
    fill(state, tmp_path)
    whole = saved(state, tmp_path / "a.tar").read_bytes()
    cut = tmp_path / "cut.tar"
    for end in (*range(0, len(whole) - 2 * tarfile.BLOCKSIZE, 700), len(whole) - 2 * tarfile.BLOCKSIZE - 1):
        cut.write_bytes(whole[:end])
        with pytest.raises(BackupError, match=r"is cut off|is no backup|is damaged"):
            Archive(cut)


def test_a_changed_byte_is_found(state: State, tmp_path: Path) -> None:
    fill(state, tmp_path)
    path = saved(state, tmp_path / "a.tar")
    with tarfile.open(path) as tar:
        places = [one.offset_data + one.size // 2 for one in tar if one.size]
    assert len(places) >= 6
    whole = path.read_bytes()
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        with pytest.raises(BackupError, match=r"corrupt|manifest of .* is broken|does not hold what"):
            Archive(path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    def describe(sums: object) -> Manifest:
        said = {"format": FORMAT + 1, "space": "s", "fingerprint": "f", "counts": {}, "files": sums}
        return Manifest(triveni="9", created=now_utc(), **said)  # type: ignore[arg-type]

    (tmp_path / "a.tar").write_bytes(b"".join(write_archive([], describe, 0)))
    with pytest.raises(BackupError, match=f"is of format {FORMAT + 1}, this release reads formats up to {FORMAT}"):
        Archive(tmp_path / "a.tar")


def _member(name: str, **about: object) -> Callable[[tarfile.TarFile], None]:
    def add(tar: tarfile.TarFile) -> None:
        one = tarfile.TarInfo(name)
        for key, value in about.items():
            setattr(one, key, value)
        tar.addfile(one, io.BytesIO(b"x" * one.size) if one.isreg() else None)

    return add


@pytest.mark.parametrize(
    "add",
    [
        _member("/etc/passwd", size=1),
        _member("../settings.toml", size=1),
        _member("models/../../x/card.json", size=1),
        _member("models/one/../../card.json", size=1),
        _member("models/one/.bashrc.json", size=1),
        _member("models/one/model.pkl", size=1),
        _member("more.txt", size=1),
        _member("models/one", type=tarfile.DIRTYPE),
        _member("settings.toml", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        _member("store.parquet", type=tarfile.LNKTYPE, linkname="settings.toml"),
        _member("store.parquet", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        _member("store.parquet", type=tarfile.FIFOTYPE),
        _member("store.parquet", type=tarfile.GNUTYPE_SPARSE),
        _member("settings.toml", size=1),
    ],
)  # fmt: skip
def test_hostile_members_are_refused(state: State, tmp_path: Path, add: Callable[[tarfile.TarFile], None]) -> None:
    """Among whole files: paths that lead out, links, devices, what no backup has, a name that is there twice."""
    fill(state, tmp_path)
    path = saved(state, tmp_path / "a.tar")
    with tarfile.open(path, "a:", format=tarfile.GNU_FORMAT) as tar:
        add(tar)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(BackupError, match=r"holds .*, which no backup has|is damaged"):
        Archive(path)
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("raw", [b"", b"no archive", b"\0" * 10240, b"\x1f\x8b" + b"\0" * 600])
def test_what_is_no_archive(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(raw)
    with pytest.raises(BackupError, match=r"is no backup|is cut off"):
        Archive(tmp_path / "a.tar")
    with pytest.raises(BackupError, match="cannot be read: no such file"):
        Archive(tmp_path / "none.tar")


def test_a_forged_manifest_leads_nowhere(state: State, empty: State, tmp_path: Path) -> None:
    """Checksums that are right for files that are wrong: each part refuses by itself."""
    fill(state, tmp_path)
    with Archive(saved(state, tmp_path / "a.tar")) as archive:
        files = {name: archive.read(name) for name in archive.names()}
        manifest = archive.manifest
    for name in files:
        forged = files | {name: b'{"serving": 3, "version": "../../x"}'}
        if name in ("settings.toml", DELETED):  # a line that says nothing is left out where it is read
            continue
        made = ((one, io.BytesIO(raw)) for one, raw in forged.items())
        path = tmp_path / "forged.tar"
        path.write_bytes(b"".join(write_archive(made, lambda sums: manifest.model_copy(update={"files": sums}), 0)))
        with Archive(path) as archive, pytest.raises(TriveniError):
            restore(archive, empty, replace=True)
        assert not (tmp_path / "x").exists()
