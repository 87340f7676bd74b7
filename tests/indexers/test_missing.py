"""Items of which a content cannot be read: indexed by the others, named, and tried again."""

import json
from pathlib import Path

import pytest

from encoders.decoding import processes
from encoders.decoding.limits import DecodeLimits
from encoders.decoding.quarantine import Quarantine
from encoders.spaces.space import Space
from encoders.types import Modality
from engine.catalog.ingest import item_of, missing_of
from engine.core.types import ItemId
from engine.store.base import VectorStore
from indexers.catalog import Catalog
from indexers.pipeline import index
from indexers.report import IndexStoppedError, RowOutcome
from indexers.verify import verify
from tests.indexers.catalogs import assert_same, everything, plain, write_jsonl
from tests.indexers.test_pipeline import Counting
from tests.tiny import make_png, make_wav, tiny_space, wav_bytes

OWL = ItemId("owl")
WHOLE = {"id": "owl", "text": "an owl", "image": "owl.png", "audio": "owl.wav", "price": 1}


@pytest.fixture
def catalog(root: Path) -> Catalog:
    """One item of all modalities whose sound is broken."""
    make_png(root / "owl.png", 1)
    (root / "owl.wav").write_bytes(wav_bytes()[:60])
    return Catalog(write_jsonl(root / "items.jsonl", [WHOLE]), root)


def letters_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_what_is_good_is_indexed_and_what_is_missing_is_named(
    store: VectorStore, space: Space, catalog: Catalog, tmp_path: Path
) -> None:
    letters = tmp_path / "letters.jsonl"
    report = index(catalog, store, space, dead_letters=letters)
    assert report.outcomes == {RowOutcome.ADDED: 1, RowOutcome.UNCHANGED: 0}
    assert (report.rows, report.errors, report.missing) == (1, 0, {("ContentError", "audio"): 1})
    point = everything(store)[OWL]
    assert set(point.vectors) == {Modality.TEXT, Modality.IMAGE}
    assert missing_of(point.payload) == {Modality.AUDIO}
    item = item_of(point)
    assert (item.text, item.media, item.payload["price"]) == ("an owl", {Modality.IMAGE: "owl.png"}, 1)
    (letter,) = letters_of(letters)
    assert (letter["line"], letter["id"], letter["modality"], letter["indexed"]) == (1, "owl", "audio", True)
    assert str(letter["reason"]).startswith("indexed without audio: audio is truncated")
    assert letter["remedy"] == "send the whole file"
    assert [example.reason for example in report.examples] == [letter["reason"]]


@pytest.mark.parametrize("broken", ["owl.png", "owl.wav"])
@pytest.mark.parametrize("how", ["gone", "a folder", "large", "outside"])
def test_a_file_that_cannot_be_read_costs_no_more(
    memory: VectorStore, space: Space, root: Path, broken: str, how: str
) -> None:
    make_png(root / "owl.png", 1)
    make_wav(root / "owl.wav")
    (root / broken).unlink()
    if how == "a folder":
        (root / broken).mkdir()
    elif how == "large":
        (root / broken).write_bytes(bytes(100_001))
    elif how == "outside":
        (root / broken).symlink_to("/etc/hostname")
    catalog = Catalog(write_jsonl(root / "items.jsonl", [WHOLE]), root, max_bytes=100_000)
    report = index(catalog, memory, space)
    modality = Modality.IMAGE if broken == "owl.png" else Modality.AUDIO
    assert [name for _, name in report.missing] == [modality]
    assert set(everything(memory)[OWL].vectors) == set(Modality) - {modality}
    again = index(catalog, memory, space)
    assert again.outcomes == {RowOutcome.UNCHANGED: 1}
    assert again.missing == report.missing


def test_a_blank_text_beside_a_picture(memory: VectorStore, space: Space, root: Path) -> None:
    make_png(root / "owl.png", 1)
    rows = [{"id": "owl", "text": "  ", "image": "owl.png"}, {"id": "7", "text": 7, "image": "owl.png"}]
    report = index(Catalog(write_jsonl(root / "items.jsonl", rows), root), memory, space)
    assert report.missing == {("ContentError", "text"): 1, ("RowError", "text"): 1}
    for point in everything(memory).values():
        assert set(point.vectors) == {Modality.IMAGE}
        assert "_text" not in point.payload


def test_an_item_without_a_good_content_is_refused(memory: VectorStore, space: Space, root: Path) -> None:
    (root / "owl.png").write_bytes(b"none")
    rows = [
        {"id": "a", "image": "owl.png"},
        {"id": "b", "image": "owl.png", "audio": "gone.wav"},
        {"id": "c", "text": " "},
        {"id": "d", "image": "gone.png", "audio": "gone.wav"},
    ]
    report = index(Catalog(write_jsonl(root / "items.jsonl", rows), root), memory, space)
    assert (memory.count(), report.errors, report.missing) == (0, 4, {})


def test_strict_refuses_the_whole_item(
    memory: VectorStore, space: Space, root: Path, catalog: Catalog, tmp_path: Path
) -> None:
    letters = tmp_path / "letters.jsonl"
    report = index(catalog, memory, space, strict=True, dead_letters=letters)
    assert (memory.count(), report.errors, report.missing) == (0, 1, {})
    (letter,) = letters_of(letters)
    assert letter["indexed"] is False
    assert str(letter["reason"]).startswith("audio is truncated")
    (root / "owl.wav").unlink()
    assert index(catalog, memory, space, strict=True).failed == {("PathError", "audio"): 1}


def test_a_following_run_tries_only_what_is_missing(
    store: VectorStore, root: Path, catalog: Catalog, tmp_path: Path
) -> None:
    space, letters = Counting(tiny_space()), tmp_path / "letters.jsonl"
    index(catalog, store, space)
    before = everything(store)[OWL].payload
    space.prepared = space.forwarded = 0
    report = index(catalog, store, space, dead_letters=letters)
    assert report.outcomes == {RowOutcome.UNCHANGED: 1}
    assert report.missing == {("ContentError", "audio"): 1}
    assert len(letters_of(letters)) == 1
    assert (space.prepared, space.forwarded) == (1, 0)  # the sound; the others are neither decoded nor encoded
    assert everything(store)[OWL].payload == before

    make_wav(root / "owl.wav")  # repaired
    report = index(catalog, store, space, dead_letters=letters)
    assert report.outcomes == {RowOutcome.CHANGED: 1, RowOutcome.UNCHANGED: 0}
    assert (report.missing, letters_of(letters)) == ({}, [])
    assert_same(everything(store), plain(catalog, space))


def test_a_raised_limit_lets_the_missing_content_in(memory: VectorStore, root: Path) -> None:
    """The file is the same, and so is its digest."""
    make_png(root / "owl.png", 1, 64)
    catalog = Catalog(write_jsonl(root / "items.jsonl", [{"id": "owl", "text": "an owl", "image": "owl.png"}]), root)
    index(catalog, memory, tiny_space(limits=DecodeLimits(max_pixels=2000)))
    space = Counting(tiny_space())
    report = index(catalog, memory, space)
    assert report.outcomes == {RowOutcome.CHANGED: 1, RowOutcome.UNCHANGED: 0}
    assert (space.prepared, space.forwarded) == (1, 1)
    assert_same(everything(memory), plain(catalog, space))


def test_a_content_in_quarantine_is_named_with_what_lifts_it(memory: VectorStore, root: Path, tmp_path: Path) -> None:
    """As another run or the server has left it: two processes were lost to the picture."""
    make_png(root / "owl.png", 1, 64)
    catalog = Catalog(write_jsonl(root / "items.jsonl", [{"id": "owl", "image": "owl.png"}]), root)
    path, letters = tmp_path / "quarantine.jsonl", tmp_path / "letters.jsonl"
    for _ in range(2):
        Quarantine(path, 20).add((root / "owl.png").read_bytes(), "owl.png", "image cannot be decoded")
    space = tiny_space(limits=DecodeLimits(quarantine=path))
    report = index(catalog, memory, space, dead_letters=letters)
    assert report.failed == {("QuarantineError", "image"): 1}
    (letter,) = letters_of(letters)
    assert letter["reason"] == "image is in quarantine, it cost 2 decoders: image cannot be decoded"
    assert str(letter["remedy"]).endswith(f" from {path}")
    path.unlink()
    assert index(catalog, memory, space).outcomes[RowOutcome.ADDED] == 1


def test_a_new_price_is_written_while_the_sound_stays_missing(
    memory: VectorStore, root: Path, catalog: Catalog
) -> None:
    space = Counting(tiny_space())
    index(catalog, memory, space)
    space.forwarded = 0
    write_jsonl(root / "items.jsonl", [{**WHOLE, "price": 2}])
    report = index(catalog, memory, space)
    assert report.outcomes == {RowOutcome.PAYLOAD: 1, RowOutcome.UNCHANGED: 0}
    point = everything(memory)[OWL]
    assert (point.payload["price"], missing_of(point.payload), space.forwarded) == (2, {Modality.AUDIO}, 0)


@pytest.mark.parametrize("how", ["gone", "broken"])
def test_a_file_that_is_lost_for_a_while_does_not_cost_its_vector(
    memory: VectorStore, space: Space, root: Path, how: str
) -> None:
    make_png(root / "owl.png", 1)
    make_wav(root / "owl.wav")
    catalog = Catalog(write_jsonl(root / "items.jsonl", [WHOLE]), root)
    index(catalog, memory, space)
    before = everything(memory)
    (root / "owl.wav").unlink()
    if how == "broken":
        (root / "owl.wav").write_bytes(b"RIFF")
    write_jsonl(root / "items.jsonl", [{**WHOLE, "text": "another owl"}])
    report = index(catalog, memory, space)
    assert (report.errors, report.missing) == (1, {})
    assert report.examples[0].reason.endswith("; the item stays in the store as it was")
    assert everything(memory) == before


def test_a_decoder_that_does_not_start_ends_the_run_instead_of_costing_every_item(
    memory: VectorStore, space: Space, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes._end_all()
    monkeypatch.setattr(processes, "_PROGRAM", "raise SystemExit('no codec')")
    with pytest.raises(IndexStoppedError, match="decoder does not start"):
        index(catalog, memory, space)
    assert memory.count() == 0


def test_verify_tells_why_a_content_is_missing(
    memory: VectorStore, space: Space, root: Path, catalog: Catalog
) -> None:
    index(catalog, memory, space)
    verdict = verify(catalog, memory, space=space)
    assert (verdict.same, verdict.unreadable.count, verdict.incomplete.count) == (0, 1, 0)
    assert verdict.unreadable.examples[0].startswith("1: audio is truncated")
    (root / "owl.wav").unlink()
    assert (
        verify(catalog, memory, space=space).unreadable.examples[0].startswith("1: audio file 'owl.wav' is not under")
    )
    make_wav(root / "owl.wav")
    assert verify(catalog, memory, space=space).stale.examples == ["owl"]


def test_verify_calls_incomplete_what_indexing_again_would_complete(memory: VectorStore, root: Path) -> None:
    make_png(root / "owl.png", 1, 64)
    catalog = Catalog(write_jsonl(root / "items.jsonl", [{"id": "owl", "text": "an owl", "image": "owl.png"}]), root)
    index(catalog, memory, tiny_space(limits=DecodeLimits(max_pixels=2000)))
    assert verify(catalog, memory, space=tiny_space()).incomplete.examples == ["owl"]
