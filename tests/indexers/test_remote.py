"""Catalogues and media at URLs."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from encoders.errors import LimitError, TriveniError
from encoders.spaces.space import Space
from engine import opening
from engine.cli.index import _note_media_root
from engine.config.settings import Settings
from engine.store.base import VectorStore
from indexers.catalog import Catalog
from indexers.errors import CatalogError, PathError
from indexers.pipeline import index
from indexers.remote import media_at
from tests.indexers.catalogs import mixed_rows, write_jsonl
from tests.tiny import concept_space


@pytest.fixture
def bucket() -> Iterator[str]:
    """A place in memory, as a bucket is."""
    files = fsspec.filesystem("memory")
    files.makedirs("/bucket/media", exist_ok=True)
    yield "memory://bucket"
    files.rm("/bucket", recursive=True)


def put(url: str, raw: bytes) -> None:
    with fsspec.open(url, "wb") as file:
        file.write(raw)


@pytest.fixture
def items(bucket: str, root: Path) -> str:
    rows = mixed_rows(root, 14)
    for path in (root / "media").iterdir():
        put(f"{bucket}/media/{path.name}", path.read_bytes())
    put(f"{bucket}/items.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows).encode())
    return f"{bucket}/items.jsonl"


def test_a_catalogue_and_its_media_at_a_url(items: str, root: Path, memory: VectorStore, space: Space) -> None:
    report = index(Catalog(items), memory, space)
    assert (report.rows, report.errors) == (14, 0)
    assert memory.retrieve(["item-1"])[0].payload["_image"] == "media/1.png"  # type: ignore[union-attr,list-item]
    local = Catalog(write_jsonl(root / "items.jsonl", mixed_rows(root, 14)), root)
    for catalog in (Catalog(items), local, Catalog(f"file://{root}/items.jsonl", f"file://{root}")):
        again = index(catalog, memory, space)
        assert {str(outcome) for outcome, number in again.outcomes.items() if number} == {"unchanged"}


def test_media_at_a_url_of_a_catalogue_here(items: str, root: Path) -> None:
    catalog = Catalog(write_jsonl(root / "x.jsonl", [{"id": "1", "image": "media/1.png"}]), items.rpartition("/")[0])
    assert catalog.media()("media/1.png", "image", 1 << 20) == ((root / "media/1.png").read_bytes(), "media/1.png")


def test_a_row_that_changes_between_runs_is_seen(bucket: str, memory: VectorStore, space: Space) -> None:
    put(f"{bucket}/x.csv", b"id,text\n1,a\n")
    index(Catalog(f"{bucket}/x.csv"), memory, space)
    put(f"{bucket}/x.csv", b"id,text\n1,b\n")
    assert index(Catalog(f"{bucket}/x.csv"), memory, space).rows == 1
    assert memory.retrieve(["1"])[0].payload["_text"] == "b"  # type: ignore[union-attr,list-item]


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "media/../../secret.png", "memory://other/x.png"])
def test_paths_out_of_the_root(bucket: str, name: str) -> None:
    put("memory://secret.png", b"secret")
    with pytest.raises(PathError, match="leads outside the root"):
        media_at(bucket)(name, "image", 100)
    fsspec.filesystem("memory").rm("/secret.png")


def test_a_link_out_of_a_folder_given_by_url(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(PathError, match="leads outside the root"):
        media_at(f"file://{root}")("link.png", "image", 100)


def test_media_that_cannot_be_read(bucket: str) -> None:
    put(f"{bucket}/large.png", bytes(101))
    cases: list[tuple[str, type[TriveniError], str]] = [
        ("large.png", LimitError, "over 100 bytes, the limit: raise limits.max_bytes"),
        ("gone.png", PathError, "is not under memory://bucket"),
        ("media", PathError, "is not under|cannot be read"),
    ]
    for name, kind, reason in cases:
        with pytest.raises(kind, match=reason):
            media_at(bucket)(name, "image", 100)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("memory://bucket/gone.csv", r"no catalogue at memory://bucket/gone\.csv"),
        ("memory://bucket", "is a folder: name a catalogue file"),
        ("nothing://bucket/x.csv", "cannot be read .protocol not known"),
    ],
)
def test_catalogues_that_are_not_there(bucket: str, url: str, reason: str) -> None:
    with pytest.raises(CatalogError, match=reason):
        Catalog(url)


def test_a_missing_package_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(CatalogError, match=r"needs a package.*s3fs.*pip install 'triveni\[remote\]'"):
        Catalog("s3://bucket/items.parquet")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(CatalogError, match=r"pip install 'triveni\[remote\]'"):
        Catalog("memory://bucket/items.parquet")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nothing://key:secret@bucket/x.csv", "nothing://key:***@bucket/x.csv"),
        ("nothing://key:a:secret@b@bucket/x.csv", "nothing://key:***@bucket/x.csv"),
        ("nothing://bucket/x.csv?signature=secret", "nothing://bucket/x.csv?…"),
    ],
)
def test_secrets_of_a_url_are_not_told(url: str, shown: str) -> None:
    for ask in (Catalog, media_at):
        with pytest.raises(CatalogError) as caught:
            ask(url)
        assert str(caught.value).startswith(f"{shown} cannot be read")
        assert "secret" not in str(caught.value)


def test_secrets_of_a_root_are_not_in_dead_letters() -> None:
    for name in ("../x.png", "gone.png"):
        with pytest.raises(PathError) as caught:
            media_at("memory://key:secret@bucket/media")(name, "image", 1 << 20)
        assert "secret" not in str(caught.value)


def test_secrets_of_a_root_are_not_noted_with_the_collection(tmp_path: Path) -> None:
    """`triveni index` notes where media lie, for Studio: a folder here, and nothing of a URL."""
    settings = Settings(store={"path": tmp_path / "items"})
    fingerprint = concept_space().fingerprint
    opening.open_store(settings, concept_space()).close()
    for root in ("s3://key:hunter2@bucket/media", "https://shop.example/media?signature=hunter2"):
        _note_media_root(settings, fingerprint, root)
        assert opening.media_root(settings) is None
    _note_media_root(settings, fingerprint, tmp_path)
    assert opening.media_root(settings) == tmp_path
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"hunter2" in raw for raw in written)
