"""The demo's command over a small catalogue of one's own, with the real space, store and server."""

import json
import socket

import pytest
import structlog
from typer.testing import CliRunner

from engine.cli import app
from engine.cli.demo.command import _ask
from engine.config.settings import load_settings
from engine.core.errors import StoreError
from engine.opening import media_root
from tests.cli.test_end_to_end import MODELS
from tests.tiny import make_png, make_wav


def test_bad_rows_are_counted_and_never_end_it_and_the_settings_reach_its_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_png(tmp_path / "a.png")
    make_wav(tmp_path / "a.wav")
    (tmp_path / "broken.png").write_bytes(b"broken")
    rows = [
        {"id": "picture", "image": "a.png", "category": "seen"},
        {"id": "sound", "audio": "a.wav", "category": "heard"},
        {"id": "words", "text": "A red [/apple].", "title": "A red [/apple].", "category": "read"},
        {"id": "broken", "image": "broken.png"},
        {"id": "gone", "image": "gone.png"},
    ]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "own.toml").write_text(f'[space]\ncache = "{MODELS}"\ndevice = "cpu"\n')
    result = CliRunner().invoke(
        app, ["--settings", "own.toml", "demo", "--catalog", "items.jsonl", "--folder", "demo"]
    )
    structlog.reset_defaults()
    assert result.exit_code == 0, result.output
    assert "to try it yourself, in a browser: triveni --settings demo/triveni.toml studio" in result.output
    shown = load_settings(tmp_path / "demo" / "triveni.toml")
    assert (shown.space.device, shown.store.path.is_dir()) == ("cpu", True), "the page would show another store"
    assert media_root(shown) == tmp_path
    assert "2 bad rows are left out of the demo" in " ".join(result.output.split())
    assert "nothing is learned: 3 items are too few to simulate people over" in " ".join(result.output.split())
    page = (tmp_path / "demo" / "report.html").read_text()
    assert "3, 2 bad rows left out" in page
    assert "A red [/apple]." in page
    assert not (tmp_path / "var").exists(), "a command did not read the settings: it made a cache of its own"


def test_an_error_of_the_server_is_an_error_and_not_a_traceback(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(StoreError, match=rf"no server answers at {address}: name one as HOST:PORT"):
            _ask(address, None, tmp_path, 1 << 20)
