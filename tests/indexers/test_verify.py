"""Verify: it finds each kind of difference, and nothing else."""

from pathlib import Path

from encoders.spaces.space import Space
from encoders.types import Modality, Text
from engine.catalog.ingest import point_of
from engine.core.types import Item, ItemId
from engine.store.base import Point, VectorStore
from indexers.catalog import Catalog
from indexers.pipeline import index
from indexers.verify import verify
from tests.indexers.catalogs import everything, mixed_rows, write_jsonl
from tests.tiny import make_png


def test_indexed_catalogue_is_in_order(store: VectorStore, space: Space, root: Path) -> None:
    catalog = Catalog(write_jsonl(root / "items.jsonl", mixed_rows(root, 20)), root)
    index(catalog, store, space)
    verdict = verify(catalog, store, fingerprint=space.fingerprint)
    assert verdict.in_order
    assert verdict.same == 20
    assert {name: found.count for name, found in verdict.differences.items()} == dict.fromkeys(verdict.differences, 0)


def test_each_difference_is_found(store: VectorStore, space: Space, root: Path) -> None:
    rows = mixed_rows(root, 20)
    catalog = Catalog(write_jsonl(root / "items.jsonl", rows), root)
    index(catalog, store, space)

    make_png(root / "media/1.png", 999)  # stale content
    rows[2]["price"] = 1000  # stale payload
    (root / "media/8.png").unlink()  # unreadable; its item is still in the catalogue, not extra
    store.delete([ItemId("item-3")])  # missing
    text = Item(ItemId("another"), (Text("another"),))
    store.upsert([point_of(text, {Modality.TEXT: space.encode(text.contents)[0]})])  # extra
    whole = everything(store)[ItemId("item-6")]
    half = {Modality.TEXT: whole.vectors[Modality.TEXT]}
    payload = {key: value for key, value in whole.payload.items() if key != "_id"}
    store.upsert([Point(whole.id, half, payload)])  # incomplete
    write_jsonl(root / "items.jsonl", [*rows, "no json"])

    verdict = verify(catalog, store, fingerprint="0" * 32)
    assert not verdict.in_order
    assert verdict.wrong_space == space.fingerprint
    assert verdict.missing.examples == ["item-3"]
    assert sorted(verdict.stale.examples) == ["item-1", "item-2"]
    assert verdict.incomplete.examples == ["item-6"]
    assert verdict.extra.examples == ["another"]
    assert [reason.split(":")[0] for reason in verdict.unreadable.examples] == ["9", "21"]
    assert verdict.same == 15
    assert verify(catalog, store).wrong_space == ""


def test_a_broken_file_is_called_unreadable_and_not_missing_or_stale(
    store: VectorStore, space: Space, root: Path
) -> None:
    catalog = Catalog(write_jsonl(root / "items.jsonl", mixed_rows(root, 14)), root)
    (root / "media/1.png").write_bytes(b"broken from the beginning")
    report = index(catalog, store, space)
    assert report.errors == 1
    store.delete([ItemId("item-5")])  # missing, its picture is sound
    (root / "media/8.png").write_bytes(b"broken since")
    verdict = verify(catalog, store, space=space)
    assert (verdict.missing.examples, verdict.stale.examples, verdict.same) == (["item-5"], [], 11)
    assert [reason.split(":")[0] for reason in verdict.unreadable.examples] == ["2", "9"]
    assert not verdict.in_order


def test_store_is_left_as_it_is(store: VectorStore, space: Space, root: Path) -> None:
    catalog = Catalog(write_jsonl(root / "items.jsonl", mixed_rows(root, 5)), root)
    verdict = verify(catalog, store)
    assert (verdict.missing.count, store.count(), store.schema) == (5, 0, {})
