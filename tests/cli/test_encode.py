"""`triveni encode` and the examples of `triveni space build`, with the tiny encoders."""

import json
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import structlog
from typer.testing import CliRunner

from encoders.errors import ContentError
from encoders.types import Image
from engine import opening
from engine.cli import app, vector_files
from engine.cli.space import CaptionedExamples, Counts
from tests.indexers.catalogs import mixed_rows, write_jsonl
from tests.tiny import make_png, make_wav, tiny_space


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "open_space", lambda settings: tiny_space())

    def call(*arguments, code=0):
        result = CliRunner().invoke(app, ["encode", *map(str, arguments)])
        assert result.exit_code == code, result.output
        return result

    yield call
    structlog.reset_defaults()  # the command sets it up for its own standard error


@pytest.fixture
def items(tmp_path):
    (tmp_path / "media").mkdir()
    return write_jsonl(tmp_path / "items.jsonl", mixed_rows(tmp_path, 14))


def test_the_file_holds_ids_and_vectors_in_the_order_of_the_catalogue(run, items, tmp_path):
    run(items, "-o", "out.npz")
    with np.load(tmp_path / "out.npz") as file:
        ids = [json.loads(line)["id"] for line in items.read_text().splitlines()]
        assert file["ids"].tolist() == ids
        expected = tiny_space().encode([Image(tmp_path / "media/1.png")])[0]
        assert file["image"][1] == pytest.approx(expected, abs=1e-6)


def test_a_folder_that_is_not_there_is_said_before_anything_is_encoded(run, items, monkeypatch):
    monkeypatch.setattr(opening, "open_space", lambda settings: pytest.fail("the space was opened"))
    said = run(items, "-o", "absent/out.npz", code=2).output
    assert "cannot write absent/out.npz.part (no such file or" in " ".join(said.replace("│", "").split())


def test_bad_rows_and_repeated_ids_are_named_and_left_out(run, items, tmp_path):
    (tmp_path / "media/1.png").write_bytes(b"broken")
    with items.open("a") as file:
        file.write('not json\n{"id": "item-0", "text": "again"}\n')
    result = run(items, "-o", "out.npz", code=1)
    assert "3 bad rows" in result.stdout
    assert "item-1" in result.stderr
    assert "was in the catalogue before" in result.stderr
    with np.load(tmp_path / "out.npz") as file:
        assert len(file["ids"]) == 13
    run(items, "-o", "out.npz", "--max-errors", "3")


@pytest.mark.parametrize("step", ["prepare", "forward"])
def test_an_item_that_breaks_an_encoder_is_left_out_alone(run, items, monkeypatch, step):
    space = tiny_space()
    prepare, forward = space.prepare, space.forward
    fragile = (items.parent / "media/1.png").read_bytes()
    marked = []

    def prepare_or_fail(content):
        prepared = prepare(content)
        if isinstance(content, Image) and content.source == fragile:
            if step == "prepare":
                raise ZeroDivisionError("a decoder with a fault")
            marked.append(prepared)
        return prepared

    def forward_or_fail(batch):
        if any(one is each for one in batch for each in marked):
            raise ZeroDivisionError("a network with a fault")
        return forward(batch)

    monkeypatch.setattr(space, "prepare", prepare_or_fail)
    monkeypatch.setattr(space, "forward", forward_or_fail)
    monkeypatch.setattr(opening, "open_space", lambda settings: space)
    result = run(items, "-o", "out.npz", code=1)
    assert "13 items" in result.stdout
    assert "1 bad rows" in result.stdout
    assert "item-1: ZeroDivisionError" in result.stderr


def test_an_encoder_that_never_works_ends_it_and_leaves_no_file(run, items, monkeypatch):
    space = tiny_space()
    monkeypatch.setattr(space, "forward", lambda batch: 1 / 0)
    monkeypatch.setattr(opening, "open_space", lambda settings: space)
    assert isinstance(run(items, "-o", "out.npz", code=1).exception, ZeroDivisionError)
    assert not list(items.parent.glob("out.npz*"))


def test_contents_are_decoded_in_several_threads(run, items, monkeypatch):
    space = tiny_space()
    prepare, both = space.prepare, threading.Barrier(2, timeout=20)

    def together(content):
        if isinstance(content, Image) and not both.broken:
            both.wait()
        return prepare(content)

    monkeypatch.setattr(space, "prepare", together)
    monkeypatch.setattr(opening, "open_space", lambda settings: space)
    monkeypatch.setenv("TRIVENI_INDEX__DECODERS", "2")
    pictures = sum("image" in json.loads(line) for line in items.read_text().splitlines())
    if pictures % 2:
        with items.open("a") as file:
            file.write('{"id": "even", "image": "media/1.png"}\n')
    run(items, "-o", "out.npz")
    assert not both.broken


def test_examples_name_their_files_and_what_is_left_out_is_counted(tmp_path):
    make_png(tmp_path / "a.png")
    make_wav(tmp_path / "a.wav")
    rows = [
        {"id": "1", "text": "a picture", "image": "a.png"},
        {"id": "2", "text": "a sound", "audio": "a.wav"},
        {"id": "3", "text": "words only"},
        {"id": "4", "image": "a.png"},
        {"id": "5", "text": "gone", "image": "gone.png"},
        {"id": "1", "text": "twice", "image": "a.png"},
    ]
    captioned = CaptionedExamples(write_jsonl(tmp_path / "items.jsonl", rows), None, 1 << 20)
    assert captioned.count() == Counts(examples=2, sounds=1, bad=2, uncaptioned=2)
    picture, sound = captioned.examples()
    assert picture.caption == "a picture"
    assert picture.image == Image(tmp_path.resolve() / "a.png")
    assert sound.audio is not None
    assert isinstance(sound.audio.source, Path)


def test_a_part_file_that_cannot_be_finished_is_taken_away(run, items, monkeypatch):
    def refuse(settings):
        raise ContentError("no space", "mend it")

    monkeypatch.setattr(opening, "open_space", refuse)
    run(items, "-o", "out.npz", code=1)
    assert not list(items.parent.glob("out.npz*"))


def test_an_item_with_a_file_that_is_gone_is_left_out_whole(run, tmp_path):
    make_png(tmp_path / "a.png")
    rows = [{"id": "1", "text": "whole", "image": "a.png"}, {"id": "2", "text": "half", "image": "gone.png"}]
    result = run(write_jsonl(tmp_path / "some.jsonl", rows), "-o", tmp_path / "out.npz", code=1)
    assert "line 2, 2: image file 'gone.png' is not under" in result.stderr


def test_a_parquet_file_holds_the_same_vectors_and_is_written_in_groups(run, items, tmp_path, monkeypatch):
    monkeypatch.setattr(vector_files, "_GROUP", 4)
    run(items, "-o", "out.npz")
    run(items, "-o", "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert pq.read_metadata(tmp_path / "out.parquet").num_row_groups == 4
    assert table.schema.metadata[b"fingerprint"].decode() == tiny_space().fingerprint
    with np.load(tmp_path / "out.npz") as file:
        assert table["id"].to_pylist() == file["ids"].tolist()
        for modality in ("text", "image", "audio"):
            assert table.schema.field(modality).type == pa.list_(pa.float32(), tiny_space().dimension)
            present = [row for row, one in enumerate(table[modality].to_pylist()) if one is not None]
            assert present == np.flatnonzero(file[f"{modality}_present"]).tolist()
            vectors = np.array([table[modality][row].as_py() for row in present], np.float32)
            np.testing.assert_array_equal(vectors, file[modality][present])


def test_files_of_other_kinds_are_refused(run, items):
    assert "name a .npz or .parquet file" in " ".join(run(items, "-o", "out.csv", code=2).output.split())
