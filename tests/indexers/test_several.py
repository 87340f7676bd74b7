"""Items with several texts, pictures or sounds: lists in rows, several columns, and what becomes of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from encoders.spaces.space import Space
from encoders.types import Modality
from engine.catalog.ingest import item_of, missing_of, paths_of, spans_of, vectors_of
from engine.core.types import ItemId
from engine.store.base import VectorStore
from indexers.catalog import Catalog
from indexers.pipeline import index
from indexers.readers import TextFormat
from indexers.report import RowOutcome
from indexers.verify import verify
from tests.indexers.catalogs import assert_same, everything, plain, write_jsonl
from tests.indexers.test_pipeline import Counting
from tests.tiny import make_png, tiny_space

T, I = Modality.TEXT, Modality.IMAGE  # noqa: E741
OWL = ItemId("owl")
PICTURES = ["front.png", "side.png", "back.png"]
ROW = {"id": "owl", "text": ["an owl", "it hunts at night"], "image": PICTURES, "price": 1}


@pytest.fixture
def pictures(root: Path) -> Path:
    for number, name in enumerate(PICTURES):
        make_png(root / name, number)
    return root


def catalog(root: Path, row: dict[str, object], **how: object) -> Catalog:
    return Catalog(write_jsonl(root / "items.jsonl", [row, {"id": "one", "text": "a wren"}]), root, **how)  # type: ignore[arg-type]


def test_lists_are_parts_and_all_of_them_are_kept(store: VectorStore, space: Space, pictures: Path) -> None:
    found = catalog(pictures, ROW)
    assert index(found, store, space).outcomes == {RowOutcome.ADDED: 2, RowOutcome.UNCHANGED: 0}
    points = everything(store)
    assert_same(points, plain(found, space))
    owl = points[OWL]
    assert (len(owl.parts(T)), len(owl.parts(I))) == (2, 3)
    assert item_of(owl).text == "an owl\nit hunts at night"
    assert (item_of(owl).media[I], paths_of(owl.payload, I)) == ("front.png", PICTURES)
    assert [item_of(owl).text[start:stop] for _, start, stop in spans_of(owl.payload, T)] == ROW["text"]
    assert "_parts" not in points[ItemId("one")].payload
    assert verify(found, store).in_order
    counting = Counting(space)
    assert index(found, store, counting).outcomes == {RowOutcome.UNCHANGED: 2}
    assert counting.prepared == 0


def test_fewer_parts_leave_nothing_behind(store: VectorStore, space: Space, pictures: Path) -> None:
    index(catalog(pictures, ROW), store, space)
    fewer = catalog(pictures, {**ROW, "text": "an owl", "image": ["side.png"]})
    index(fewer, store, space)
    owl = everything(store)[OWL]
    assert (owl.more, owl.payload["_image"]) == ({}, "side.png")
    assert_same(everything(store), plain(fewer, space))


def test_one_value_and_a_list_of_one_are_the_same(store: VectorStore, space: Space, pictures: Path) -> None:
    index(catalog(pictures, {**ROW, "text": "an owl", "image": "side.png"}), store, space)
    again = catalog(pictures, {**ROW, "text": ["an owl"], "image": ["side.png", "", None]})
    assert index(again, store, space).outcomes[RowOutcome.UNCHANGED] == 2


def test_a_part_that_cannot_be_read_is_missing_and_comes_later(
    store: VectorStore, space: Space, pictures: Path
) -> None:
    (pictures / "side.png").write_bytes(b"no picture")
    found = catalog(pictures, ROW)
    report = index(found, store, space)
    assert report.missing == {("ContentError", "image"): 1}
    owl = everything(store)[OWL]
    assert missing_of(owl.payload) == {I}
    assert {key.number for key in vectors_of(owl) if key.modality is I} == {0, 2}
    assert verify(found, store, space=space).unreadable.count == 1
    counting = Counting(space)
    assert index(found, store, counting).outcomes[RowOutcome.UNCHANGED] == 2
    assert counting.prepared <= 1  # only what is missing is tried again
    make_png(pictures / "side.png", 9)
    index(found, store, space)
    assert_same(everything(store), plain(found, space))
    (pictures / "back.png").unlink()  # what the store has is not given up
    report = index(catalog(pictures, ROW), store, space)
    assert report.errors == 1
    assert len(everything(store)[OWL].parts(I)) == 3


def test_too_many_parts_are_refused(store: VectorStore, space: Space, pictures: Path) -> None:
    report = index(catalog(pictures, ROW, max_parts=2), store, space)
    assert report.errors == 1
    assert report.examples[0].reason == "item has 3 contents of modality image, the limit is 2"
    assert set(everything(store)) == {"one"}


def test_columns_of_pictures_are_parts_and_of_texts_are_one(store: VectorStore, space: Space, pictures: Path) -> None:
    row = {"id": "owl", "title": "an owl", "body": "it hunts", "a": "front.png", "b": ["back.png", "side.png"]}
    found = catalog(pictures, row, columns={"text": ["title", "body", "text"], "image": ["a", "b"]})
    index(found, store, space)
    owl = everything(store)[OWL]
    assert (len(owl.parts(T)), owl.payload["_text"]) == (1, "an owl\nit hunts")
    assert paths_of(owl.payload, I) == ["front.png", "back.png", "side.png"]


def test_lists_of_csv_and_parquet_are_parts(store: VectorStore, space: Space, pictures: Path) -> None:
    (pictures / "items.csv").write_text('id,text,image\nowl,an owl,front.png|back.png\nwren,"a wren",\n')
    index(Catalog(pictures / "items.csv", pictures, text=TextFormat(split={"image": "|"})), store, space)
    from_csv = everything(store)[OWL]
    assert paths_of(from_csv.payload, I) == ["front.png", "back.png"]
    table = pa.table(
        {"id": ["owl", "wren"], "text": ["an owl", "a wren"], "image": [["front.png", "back.png"], None]}
    )
    pq.write_table(table, pictures / "items.parquet")
    index(Catalog(pictures / "items.parquet", pictures), store, space)
    np.testing.assert_allclose(everything(store)[OWL].parts(I), from_csv.parts(I), atol=1e-6)
    assert tiny_space().fingerprint == space.fingerprint
