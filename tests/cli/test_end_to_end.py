"""The commands one after the other, with the real starter space, over a small catalogue that is made here."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import structlog
from click.testing import Result
from PIL import Image as Pillow
from PIL import ImageDraw
from typer.testing import CliRunner

from engine.cli import app

MODELS = Path(__file__).parents[2] / "var" / "models"
TEXTS = ("A red apple.", "A violin and its bow.", "A dog that barks at the postman.")


def draw(path: Path, colour: str, shape: str) -> None:
    picture = Pillow.new("RGB", (300, 300), "white")
    pen = ImageDraw.Draw(picture)
    getattr(pen, shape)((60, 60, 240, 240), fill=colour, outline="black", width=4)
    picture.save(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a catalogue of texts, pictures and a sound, and what they are asked with."""
    folder = tmp_path_factory.mktemp("place")
    media = folder / "media"
    media.mkdir()
    rows: list[dict[str, object]] = [
        {"id": f"text-{number}", "text": text, "category": "words"} for number, text in enumerate(TEXTS)
    ]
    for colour, shape in (("red", "ellipse"), ("blue", "ellipse"), ("gold", "rectangle"), ("green", "rectangle")):
        name = f"{colour}-{shape}"
        draw(media / f"{name}.png", colour, shape)
        rows.append(
            {"id": name, "image": f"media/{name}.png", "title": f"A {colour} [{shape}]", "category": "shapes"}
        )
    time = np.arange(16_000) / 16_000
    soundfile.write(media / "tone.wav", 0.4 * np.sin(2 * np.pi * 440 * time), 16_000)
    soundfile.write(folder / "asked.flac", 0.3 * np.sin(2 * np.pi * 450 * time), 16_000)
    rows.append({"id": "tone", "text": "A long tone.", "audio": "media/tone.wav", "category": "sounds"})
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def run(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("TRIVENI_SPACE__CACHE", str(MODELS))
    monkeypatch.setenv("TRIVENI_SPACE__DEVICE", "cpu")

    def call(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == code, result.output
        return result

    yield call
    structlog.reset_defaults()  # the commands set it up for their own standard error


@pytest.fixture
def indexed(run, place: Path):
    if not (place / "var" / "store").exists():
        summary = json.loads(run("index", "items.jsonl", "--json").stdout)
        assert (summary["added"], summary["errors"]) == (8, 0)
    return run


def found(result: Result) -> list[str]:
    return [one["item_id"] for one in json.loads(result.stdout.splitlines()[-1])["results"]]


def test_verify_finds_the_catalogue_in_the_store(indexed):
    verdict = json.loads(indexed("verify", "items.jsonl", "--json").stdout)
    assert (verdict["in_order"], verdict["same"]) == (True, 8)


def test_search_by_words_picture_sound_item_and_filter(indexed):
    assert found(indexed("search", "string", "instrument", "--json"))[0] == "text-1"
    assert found(indexed("search", "--image", "media/red-ellipse.png", "--json"))[0] == "red-ellipse"
    assert found(indexed("search", "--audio", "asked.flac", "--json"))[0] == "tone"
    like = found(indexed("search", "--item", "blue-ellipse", "--limit", "3", "--json"))
    assert len(like) == 3
    assert "blue-ellipse" not in like
    only = found(indexed("search", "a barking dog", "--filter", "category=shapes", "--json"))
    assert {name.split("-")[0] for name in only} == {"red", "blue", "gold", "green"}


def test_results_are_shown_as_a_table_with_reasons(indexed):
    shown = indexed("search", "a", "red", "disc", "--filter", "category=shapes").stdout
    words = " ".join(shown.replace("│", " ").split())
    assert "A red [ellipse]" in words
    assert "by its picture" in words


def test_recommend_from_a_history_of_all_kinds(indexed):
    answer = indexed(
        *("recommend", "--searched", "fruit", "--like", "text-1", "--upload", "asked.flac", "--dislike", "text-2"),
        *("--limit", "3", "--json"),
    )
    assert {"text-0", "tone"} <= set(found(answer))
    assert not {"text-1", "text-2"} & set(found(answer))


def test_encode_gives_the_vectors_that_are_searched_with(indexed, place: Path):
    printed = indexed("encode", "items.jsonl", "-o", "vectors.npz").stdout
    assert "8 items (4 of text, 4 of image, 1 of audio)" in printed
    with np.load(place / "vectors.npz") as file:
        assert file["ids"].tolist()[:3] == ["text-0", "text-1", "text-2"]
        assert file["text_present"].tolist() == [True] * 3 + [False] * 4 + [True]
        assert np.linalg.norm(file["image"][3:7], axis=1) == pytest.approx(1, abs=1e-5)
        assert not file["audio"][:7].any()
        fingerprint = str(file["fingerprint"])
    assert fingerprint in indexed("space", "show").stdout.replace("\n", "")


def test_space_show_and_verify(run):
    shown = run("space", "show").stdout
    assert "all-MiniLM-L6-v2" in shown
    assert "Apache-2.0" in shown
    assert ["text", "image", "-0.003", "0.097", "2.68", "0.094", "0.220", "0.346"] in [
        line.replace("│", " ").split() for line in shown.splitlines()
    ]  # mean + 1.0, 2.3 and 3.6 standard deviations
    manifest = json.loads(run("space", "show", "--json").stdout)
    assert manifest["dimension"] == 384
    assert "is in order" in run("space", "verify").stdout


def test_a_history_file_that_is_not_there_ends_with_an_error_and_not_a_traceback(indexed, place: Path):
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", "search", "--image", "absent[/x].png"],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot read absent[/x].png")
