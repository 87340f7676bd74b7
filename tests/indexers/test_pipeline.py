"""The pipeline: what it writes, what it leaves alone, what it deletes."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from encoders.errors import SpaceError
from encoders.spaces.space import Space
from encoders.types import Content, Floats, Modality, Prepared
from engine.catalog.ingest import INDEXED_AT
from engine.core.errors import StoreError
from engine.core.filters import FieldKind, Match
from engine.core.types import ItemId
from engine.store.base import Point, VectorStore
from engine.store.memory import MemoryStore
from indexers.catalog import Catalog
from indexers.errors import CatalogError, PruneError
from indexers.pipeline import index
from indexers.progress import Silent
from indexers.report import IndexStoppedError, RowOutcome
from tests.indexers.catalogs import (
    assert_same,
    everything,
    mixed_catalog,
    mixed_rows,
    plain,
    public,
    write_jsonl,
)
from tests.tiny import make_png, png_bytes, tiny_space


class Counting(Space):
    """A space that counts what it is asked to do."""

    def __init__(self, inner: Space) -> None:
        encoders = {modality: inner.encoder(modality) for modality in inner.modalities}
        super().__init__(inner.manifest.name, encoders, inner.calibration)
        self.prepared = 0
        self.forwarded = 0

    def prepare(self, content: Content) -> Prepared:
        self.prepared += 1
        return super().prepare(content)

    def forward(self, batch: Sequence[Prepared]) -> Floats:
        self.forwarded += len(batch)
        return super().forward(batch)


@pytest.mark.parametrize("batch", [1, 5, 64])
@pytest.mark.parametrize("decoders", [1, 3])
def test_store_equals_a_plain_loop(store: VectorStore, space: Space, root: Path, batch: int, decoders: int) -> None:
    catalog = mixed_catalog(root, 40)
    report = index(catalog, store, space, batch=batch, decoders=decoders)
    assert report.outcomes == {RowOutcome.ADDED: 40, RowOutcome.UNCHANGED: 0}
    assert (report.errors, report.stored, report.written, report.rows) == (0, 40, 40, 40)
    assert_same(everything(store), plain(catalog, space))


def test_second_run_decodes_and_writes_nothing(store: VectorStore, root: Path) -> None:
    catalog, space = mixed_catalog(root, 30), Counting(tiny_space())
    index(catalog, store, space)
    before = everything(store)
    space.prepared = space.forwarded = 0
    report = index(catalog, store, space)
    assert report.outcomes == {RowOutcome.UNCHANGED: 30}
    assert (space.prepared, space.forwarded, report.written) == (0, 0, 0)
    assert {i: p.payload for i, p in everything(store).items()} == {i: p.payload for i, p in before.items()}


def test_changed_contents_are_encoded_again_and_nothing_else(store: VectorStore, root: Path) -> None:
    rows, space = mixed_rows(root, 21), Counting(tiny_space())
    catalog = Catalog(write_jsonl(root / "items.jsonl", rows), root)
    index(catalog, store, space)
    make_png(root / "media/1.png", 999)  # item 1 is an image alone
    rows[0]["text"] = "another text"  # item 0 is a text alone
    write_jsonl(root / "items.jsonl", rows)
    space.prepared = space.forwarded = 0
    report = index(catalog, store, space)
    assert report.outcomes == {RowOutcome.CHANGED: 2, RowOutcome.UNCHANGED: 19}
    assert (space.prepared, space.forwarded) == (2, 2)
    assert_same(everything(store), plain(catalog, space))


def test_changed_payload_keeps_vectors_and_time(store: VectorStore, root: Path) -> None:
    rows, space = mixed_rows(root, 14), Counting(tiny_space())
    catalog = Catalog(write_jsonl(root / "items.jsonl", rows), root)
    index(catalog, store, space)
    before = everything(store)
    rows[6]["price"] = 99.5  # item 6 has all modalities
    del rows[3]["category"]
    write_jsonl(root / "items.jsonl", rows)
    space.prepared = space.forwarded = 0
    report = index(catalog, store, space)
    assert report.outcomes == {RowOutcome.PAYLOAD: 2, RowOutcome.UNCHANGED: 12}
    assert (space.prepared, space.forwarded) == (0, 0)
    after = everything(store)
    assert after[ItemId("item-6")].payload["price"] == 99.5
    assert "category" not in after[ItemId("item-3")].payload
    assert after[ItemId("item-6")].payload[INDEXED_AT] == before[ItemId("item-6")].payload[INDEXED_AT]
    assert_same(after, plain(catalog, space))


def test_moved_file_is_a_payload_change(store: VectorStore, space: Space, root: Path) -> None:
    make_png(root / "a.png", 1)
    catalog = Catalog(write_jsonl(root / "items.jsonl", [{"id": "1", "image": "a.png"}]), root)
    index(catalog, store, space)
    (root / "a.png").rename(root / "b.png")
    write_jsonl(root / "items.jsonl", [{"id": "1", "image": "b.png"}])
    assert index(catalog, store, space).outcomes[RowOutcome.PAYLOAD] == 1
    assert everything(store)[ItemId("1")].payload["_image"] == "b.png"


def test_item_that_loses_a_modality_loses_its_vector(store: VectorStore, space: Space, root: Path) -> None:
    make_png(root / "a.png", 1)
    catalog = Catalog(write_jsonl(root / "items.jsonl", [{"id": "1", "text": "owl", "image": "a.png"}]), root)
    index(catalog, store, space)
    write_jsonl(root / "items.jsonl", [{"id": "1", "text": "owl"}])
    assert index(catalog, store, space).outcomes[RowOutcome.CHANGED] == 1
    assert_same(everything(store), plain(catalog, space))


def test_fields_become_filterable(store: VectorStore, space: Space, root: Path) -> None:
    catalog = Catalog(mixed_catalog(root, 12).path, root, fields={"price": FieldKind.INTEGER})
    index(catalog, store, space)
    assert store.schema == {
        "category": FieldKind.KEYWORD,
        "price": FieldKind.INTEGER,
        INDEXED_AT: FieldKind.DATETIME,
    }
    assert store.count(Match("category", "kind 1")) == 4


def test_declared_kind_against_that_of_the_store_is_refused(store: VectorStore, space: Space, root: Path) -> None:
    catalog = mixed_catalog(root, 3)
    index(catalog, store, space)
    with pytest.raises(StoreError, match="price"):
        index(Catalog(catalog.path, root, fields={"price": FieldKind.KEYWORD}), store, space)


def test_prune_deletes_what_left_the_catalogue(store: VectorStore, space: Space, root: Path) -> None:
    rows = mixed_rows(root, 20)
    catalog = Catalog(write_jsonl(root / "items.jsonl", rows), root)
    index(catalog, store, space)
    write_jsonl(root / "items.jsonl", rows[:15])
    assert index(catalog, store, space).pruned == 0
    assert store.count() == 20
    dry = index(catalog, store, space, prune=True, dry_run=True)
    assert (dry.pruned, store.count()) == (5, 20)
    report = index(catalog, store, space, prune=True)
    assert (report.pruned, report.stored) == (5, 15)
    assert_same(everything(store), plain(catalog, space))


def test_prune_keeps_rows_that_failed(store: VectorStore, space: Space, root: Path) -> None:
    rows = mixed_rows(root, 10)
    catalog = Catalog(write_jsonl(root / "items.jsonl", rows), root)
    index(catalog, store, space)
    (root / "media/1.png").write_bytes(b"broken")  # its content
    (root / "media/8.png").unlink()  # its file
    report = index(catalog, store, space, prune=True)
    assert (report.pruned, report.errors, report.stored) == (0, 2, 10)


def test_prune_refuses_to_delete_over_half(store: VectorStore, space: Space, root: Path) -> None:
    rows = mixed_rows(root, 10)
    catalog = Catalog(write_jsonl(root / "items.jsonl", rows), root)
    index(catalog, store, space)
    write_jsonl(root / "items.jsonl", rows[:4])
    with pytest.raises(IndexStoppedError, match=r"would delete 6 of 10 items.*--force") as caught:
        index(catalog, store, space, prune=True)
    assert isinstance(caught.value.__cause__, PruneError)
    assert caught.value.report.outcomes == {RowOutcome.UNCHANGED: 4}
    assert store.count() == 10
    assert index(catalog, store, space, prune=True, force=True).pruned == 6


def test_prune_refuses_while_ids_are_unknown(store: VectorStore, space: Space, root: Path) -> None:
    rows = mixed_rows(root, 10)
    catalog = Catalog(write_jsonl(root / "items.jsonl", rows), root)
    index(catalog, store, space)
    write_jsonl(root / "items.jsonl", [*rows[:9], '{"id": "item-9", "te'])
    with pytest.raises(IndexStoppedError, match=r"1 rows have no readable id.*dead letters"):
        index(catalog, store, space, prune=True)
    assert store.count() == 10


def test_dry_run_decodes_and_writes_nothing(store: VectorStore, root: Path, tmp_path: Path) -> None:
    catalog, space = mixed_catalog(root, 10), Counting(tiny_space())
    (root / "media/1.png").write_bytes(b"broken")
    letters = tmp_path / "letters.jsonl"
    report = index(catalog, store, space, dry_run=True, dead_letters=letters)
    assert report.dry_run
    assert report.outcomes[RowOutcome.ADDED] == 9
    assert (report.errors, report.stored, store.count(), store.schema) == (1, 0, 0, {})
    assert (space.prepared, space.forwarded) == (16, 0)
    assert json.loads(letters.read_text())["id"] == "item-1"


def test_store_of_another_space_is_refused(space: Space, root: Path) -> None:
    other = MemoryStore(fingerprint="0" * 32, dimension=space.dimension, modalities=space.modalities)
    with pytest.raises(SpaceError, match=f"{'0' * 12}….*{space.manifest.name} .{space.fingerprint[:12]}"):
        index(mixed_catalog(root, 3), other, space)


def test_parquet_bytes_have_no_path(store: VectorStore, space: Space, root: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": ["1"], "image": [png_bytes(3)]}), root / "items.parquet")
    index(Catalog(root / "items.parquet"), store, space)
    (point,) = everything(store).values()
    assert set(public(point)) == {"_digest"}
    assert set(point.vectors) == {"image"}


class BrokenStore(MemoryStore):
    """A store that fails at its third write."""

    writes = 0

    def upsert(self, points: Sequence[Point]) -> None:
        self.writes += 1
        if self.writes == 3:
            raise StoreError("the disk is full", "make room")
        super().upsert(points)


def test_failing_store_ends_the_run_and_keeps_what_was_acknowledged(space: Space, root: Path) -> None:
    store = BrokenStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
    catalog = mixed_catalog(root, 200)
    threads = threading.active_count()
    with pytest.raises(IndexStoppedError, match="the disk is full: make room") as caught:
        index(catalog, store, space, batch=10)
    assert caught.value.report.written == store.count() == 20
    assert threading.active_count() == threads
    assert index(catalog, store, space, batch=10).outcomes == {RowOutcome.ADDED: 180, RowOutcome.UNCHANGED: 20}
    assert_same(everything(store), plain(catalog, space))


class BrokenSpace(Counting):
    """A space whose network fails on the content whose features are all one."""

    def forward(self, batch: Sequence[Prepared]) -> Floats:
        if self.poison is None or any(prepared.value is self.poison for prepared in batch):
            raise RuntimeError("the network failed")
        return super().forward(batch)

    poison: object = None

    def prepare(self, content: Content) -> Prepared:
        prepared = super().prepare(content)
        if getattr(content, "text", "") == "poison":
            self.poison = prepared.value
        return prepared


def test_item_that_the_network_refuses_fails_alone(memory: VectorStore, root: Path, tmp_path: Path) -> None:
    rows = [{"id": str(n), "text": "poison" if n == 4 else f"text {n}"} for n in range(10)]
    space, letters = BrokenSpace(tiny_space()), tmp_path / "letters.jsonl"
    space.poison = object()
    report = index(Catalog(write_jsonl(root / "i.jsonl", rows)), memory, space, dead_letters=letters)
    assert (report.written, report.failed) == (9, {("RuntimeError", "text"): 1})
    assert json.loads(letters.read_text())["id"] == "4"


def test_network_that_refuses_everything_ends_the_run(memory: VectorStore, root: Path) -> None:
    rows = [{"id": str(n), "text": f"text {n}"} for n in range(10)]
    with pytest.raises(RuntimeError, match="the network failed"):
        index(Catalog(write_jsonl(root / "i.jsonl", rows)), memory, BrokenSpace(tiny_space()))
    assert memory.count() == 0


def test_catalogue_that_breaks_half_way_keeps_what_came_before(memory: VectorStore, space: Space, root: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pa.table({"id": [str(n) for n in range(3000)], "text": [f"text number {n}" for n in range(3000)]})
    path = root / "items.parquet"
    pq.write_table(rows, path, row_group_size=1000, compression="none", use_dictionary=False)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"text number 2500")
    raw[at - 40_000 : at + 2000] = b"\xff" * 42_000
    path.write_bytes(raw)
    with pytest.raises(IndexStoppedError, match="not readable Parquet after row") as caught:
        index(Catalog(path), memory, space)
    assert isinstance(caught.value.__cause__, CatalogError)
    assert memory.count() == caught.value.report.written


def test_same_code_serves_a_single_item(store: VectorStore, space: Space, root: Path) -> None:
    """An item that came by the service is unchanged for the indexer, and the other way round."""
    catalog = Catalog(write_jsonl(root / "i.jsonl", [{"id": "1", "text": "owl", "price": 2}]))
    store.upsert(list(plain(catalog, space).values()))
    assert index(catalog, store, space).outcomes == {RowOutcome.UNCHANGED: 1}


def test_modality_that_the_space_lacks(root: Path) -> None:
    whole = tiny_space()
    space = Space("texts", {Modality.TEXT: whole.encoder(Modality.TEXT)}, whole.calibration)
    store = MemoryStore(fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
    catalog = mixed_catalog(root, 7)  # four of the seven have a picture, four a sound, one is a text alone
    report = index(catalog, store, space)
    assert (report.written, report.errors) == (4, 3)
    assert report.missing == {("SpaceError", "image"): 2, ("SpaceError", "audio"): 2}
    assert "texts has no image encoder, only text" in report.examples[0].reason
    assert "--ignore image" in report.examples[0].remedy
    ignoring = Catalog(catalog.path, root, ignore=frozenset({"image", "audio"}))
    assert index(ignoring, store, space).outcomes == {RowOutcome.CHANGED: 3, RowOutcome.UNCHANGED: 1}


class Watching(Silent):
    """Notes that it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("step", ["flush", "optimize"])
def test_a_store_that_fails_at_the_end_keeps_the_counts(
    memory: VectorStore, space: Space, root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full() -> None:
        raise StoreError("disk full", "make room")

    watcher = Watching()
    monkeypatch.setattr(memory, step, full)
    with pytest.raises(IndexStoppedError, match="disk full: make room") as caught:
        index(mixed_catalog(root, 9), memory, space, watcher=watcher)
    assert caught.value.report.outcomes == {RowOutcome.ADDED: 9, RowOutcome.UNCHANGED: 0}
    assert caught.value.report.stored == 9
    assert watcher.closed
