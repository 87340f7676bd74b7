"""The settings: the sample file, the environment, and refusals."""

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from engine.config import EVENT_WEIGHTS, Settings, load_settings
from engine.errors import SettingsError
from engine.types import EventKind

SAMPLE = Path(__file__).parents[2] / "triveni.example.toml"


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def test_sample_file_states_the_defaults():
    assert load_settings(SAMPLE) == Settings()


def test_sample_file_explains_every_key():
    table = tomllib.loads(SAMPLE.read_text())
    text = SAMPLE.read_text()
    for section, field in Settings.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, BaseModel)
        for key in field.annotation.model_fields:
            named = key in table[section] or f"# {key} =" in text
            assert named, f"{section}.{key} is not in triveni.example.toml"


def test_environment_wins_over_the_file(tmp_path, monkeypatch):
    path = write(tmp_path, '[store]\npath = "from-file"\ncollection = "films"\n')
    monkeypatch.setenv("TRIVENI_STORE__PATH", "from-env")
    settings = load_settings(path)
    assert settings.store.path == Path("from-env")
    assert settings.store.collection == "films"


def test_event_weights_that_are_not_named_keep_their_default(tmp_path):
    settings = load_settings(write(tmp_path, "[fuse.weights]\nclick = 7.0\n"))
    assert settings.fuse.weights == {**EVENT_WEIGHTS, EventKind.CLICK: 7.0}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[store]\npathh = 'x'\n", "store.pathh"),
        ("[policy]\ndiversity = 1.5\n", "1.5"),
        ("[fuse.weights]\nadore = 1.0\n", "adore"),
        ("[store\n", "not valid TOML"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, text, says):
    with pytest.raises(SettingsError, match=says) as refusal:
        load_settings(write(tmp_path, text))
    assert refusal.value.remedy


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no settings file"):
        load_settings(tmp_path / "absent.toml")
