"""A disk that fills up: the embedded store refuses to write in time, and goes on reading."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from encoders.types import Modality
from engine.config.settings import Settings
from engine.core.errors import DiskFullError
from engine.core.filters import FieldKind
from engine.core.types import ItemId
from engine.opening import store_collections
from engine.store.base import Point
from engine.store.edge import EdgeStore
from engine.store.edge_build import Build
from engine.store.edge_space import DiskRoom, size_of
from engine.store.optimizer import Optimizer
from engine.store.settings import StoreSettings
from tests.disks import MB, small_disk

D = 64


class Disk:
    """Tells how much is left as we please."""

    def __init__(self) -> None:
        self.left = 1000 * MB

    def __call__(self, folder: Path) -> int:
        return self.left


@pytest.fixture
def disk() -> Disk:
    return Disk()


def open_edge(folder: Path, disk: Disk) -> EdgeStore:
    return EdgeStore(
        folder,
        fingerprint="f" * 32,
        dimension=D,
        modalities=(Modality.TEXT,),
        optimize_after=0,
        room=DiskRoom(folder, 100 * MB, disk),
    )


@pytest.fixture
def store(tmp_path: Path, disk: Disk) -> Iterator[EdgeStore]:
    store = open_edge(tmp_path / "store", disk)
    yield store
    store.close()


def points(count: int, size: int = 10, begin: int = 0) -> list[Point]:
    matrix = np.random.default_rng(begin).standard_normal((count, D)).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return [
        Point(ItemId(f"{begin + row}"), {Modality.TEXT: matrix[row]}, {"about": "x" * size}) for row in range(count)
    ]


def test_writes_are_refused_before_the_disk_is_full_and_reads_go_on(store: EdgeStore, disk: Disk) -> None:
    store.upsert(points(3))
    disk.left = 100 * MB - 1
    with pytest.raises(DiskFullError) as caught:
        store.upsert(points(2, begin=3))
    assert caught.value.problem.startswith("writing items wants 100 MB free on the disk of ")
    assert caught.value.problem.endswith("store, 99 are left")
    assert caught.value.remedy == "free space there, or lower store.reserve_mb; reads go on meanwhile"
    assert caught.value.status == "RESOURCE_EXHAUSTED"
    with pytest.raises(DiskFullError, match="indexing the field about wants"):
        store.index_fields({"about": FieldKind.KEYWORD})
    with pytest.raises(DiskFullError, match="making room for vector taste-1 wants"):
        store.add_vector("taste-1", 8)
    assert store.count() == 3
    assert [point and point.id for point in store.retrieve([ItemId("1"), ItemId("4")])] == ["1", None]
    assert store.delete([ItemId("1")]) == 1  # what makes room is let through
    store.flush()
    disk.left = 100 * MB
    store.upsert(points(2, begin=3))
    store.add_vector("taste-1", 8)
    disk.left = 25 * MB - 1
    with pytest.raises(DiskFullError, match="writing vector taste-1 wants"):
        store.put_vectors("taste-1", [ItemId("0")], np.ones((1, 8), np.float32))
    with pytest.raises(DiskFullError, match="deleting items wants 25 MB free"):
        store.delete([ItemId("0")])
    with pytest.raises(DiskFullError, match="dropping vector taste-1 wants 25 MB free"):
        store.drop_vector("taste-1")
    disk.left = 100 * MB
    assert store.delete([ItemId("0")]) == 1


def test_a_large_batch_wants_more_than_the_reserve(store: EdgeStore, disk: Disk) -> None:
    large = points(4, size=4 * MB)
    assert size_of(large, D) >= 4 * 4 * 4 * MB
    disk.left = 120 * MB
    with pytest.raises(DiskFullError, match=r"writing items wants 12\d MB free"):
        store.upsert(large)
    assert store.count() == 0


def test_no_new_collection_on_a_full_disk_and_an_old_one_opens(tmp_path: Path, disk: Disk) -> None:
    store = open_edge(tmp_path / "old", disk)
    store.upsert(points(3))
    store.close()
    disk.left = 25 * MB
    with pytest.raises(DiskFullError, match="a new collection wants 100 MB free"):
        open_edge(tmp_path / "new", disk)
    store = open_edge(tmp_path / "old", disk)
    assert store.count() == 3
    store.close()
    disk.left = 25 * MB - 1  # Edge writes where it opens
    with pytest.raises(DiskFullError, match="opening the store wants 25 MB free"):
        open_edge(tmp_path / "old", disk)
    disk.left = 1000 * MB
    open_edge(tmp_path / "new", disk).close()


def test_a_search_index_is_not_begun_without_room(
    store: EdgeStore, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.store.edge.GRAPH_FROM_BYTES", 1)
    store.upsert(points(50))
    disk.left = 10 * MB
    with pytest.raises(DiskFullError, match="building the search index wants"):
        store.optimize()
    assert store.count() == 50
    disk.left = 1000 * MB
    store.optimize()


def test_a_search_index_is_not_taken_over_without_room(
    store: EdgeStore, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.store.edge.GRAPH_FROM_BYTES", 1)
    store.upsert(points(50))
    build = Optimizer._build

    def build_while_others_write(optimizer: Optimizer, work: Build, niceness: int) -> None:
        store.upsert(points(20, size=MB, begin=40))
        disk.left = 150 * MB
        build(optimizer, work, niceness)

    monkeypatch.setattr(Optimizer, "_build", build_while_others_write)
    with pytest.raises(DiskFullError, match=r"taking over the search index wants 1[6-9][0-9] MB free"):
        store.optimize()
    assert store.count() == 60
    assert len(list(store._folder.glob("shard*"))) == 1
    disk.left = 1000 * MB
    monkeypatch.setattr(Optimizer, "_build", build)
    store.optimize()
    assert store.count() == 60


def test_rows_are_not_written_again_without_room(tmp_path: Path, disk: Disk) -> None:
    store = open_edge(tmp_path / "store", disk)
    store.upsert(points(20))
    store.close()
    for file in (tmp_path / "store" / "rows").iterdir():
        file.unlink()
    disk.left = 30 * MB
    with pytest.raises(DiskFullError, match="writing the rows again after a power cut wants 100 MB free"):
        open_edge(tmp_path / "store", disk)
    disk.left = 1000 * MB
    store = open_edge(tmp_path / "store", disk)
    (found,) = store.retrieve([ItemId("7")], with_vectors=True)
    assert found
    np.testing.assert_allclose(found.vectors[Modality.TEXT], points(20)[7].vectors[Modality.TEXT], atol=1e-6)
    store.close()


def test_the_setting_is_kept(tmp_path: Path) -> None:
    settings = Settings(store=StoreSettings(path=tmp_path, reserve_mb=1 << 30))
    held = store_collections(settings)
    with pytest.raises(DiskFullError, match=f"wants {1 << 30} MB"):
        held.open("items", fingerprint="f" * 32, dimension=D, modalities=(Modality.TEXT,))


FILL = """
import sys
from pathlib import Path
from encoders.types import Modality
from engine.core.errors import DiskFullError
from engine.store.edge import EdgeStore
from engine.store.edge_space import DiskRoom
from tests.store.test_full_disk import D, MB, points
folder = Path(sys.argv[1], "store")
room = DiskRoom(folder, int(sys.argv[2]) * MB)
store = EdgeStore(
    folder, fingerprint="f" * 32, dimension=D, modalities=(Modality.TEXT,), optimize_after=0, room=room
)
count = 0
try:
    while count < 100_000:
        store.upsert(points(200, 2000, begin=count))
        count += 200
except DiskFullError as error:
    print(error.problem.split(" on ")[0])
assert store.count() == count > 200
assert len([point for point in store.retrieve([point.id for point in points(50)]) if point]) == 50
store.flush()
store.close()
print(store.count())
"""


def test_a_real_disk_that_fills_up(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 80) as disk:
        command = [sys.executable, "-c", FILL, str(disk), "20"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr  # without the check it ends by SIGBUS
        said, count = run.stdout.splitlines()
        assert said == "writing items wants 20 MB free"
        assert int(count) > 200


def test_the_first_content_of_a_modality_asks_for_room_for_all_items(tmp_path: Path, disk: Disk) -> None:
    """Edge makes room for the vector of all points as soon as one has it."""
    both = (Modality.TEXT, Modality.IMAGE)
    room = DiskRoom(tmp_path, MB, disk)
    store = EdgeStore(tmp_path / "s", fingerprint="f" * 32, dimension=D, modalities=both, optimize_after=0, room=room)
    store.upsert(points(5000))
    disk.left = 5 * MB
    store.upsert(points(1, begin=1))
    picture = Point(ItemId("picture"), {Modality.IMAGE: points(1)[0].vectors[Modality.TEXT]}, {})
    with pytest.raises(DiskFullError):
        store.upsert([picture])
    disk.left = 50 * MB
    store.upsert([picture])
    store.close()
