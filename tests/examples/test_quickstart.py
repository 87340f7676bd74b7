"""The walk through the client, as a user starts it, against a real server."""

import os
import subprocess
import sys
from pathlib import Path

from tests.service.running import open_edge, open_events, running
from tests.tiny import concept_space, concept_wav

ROOT = Path(__file__).parents[2]


def walk(address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "python" / "quickstart.py"), *arguments],
        env={**os.environ, "TRIVENI_SERVER": address, "PYTHONPATH": str(ROOT / "proto"), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_walk_comes_to_its_end_and_cleans_up(tmp_path: Path) -> None:
    space = concept_space()
    store = open_edge(tmp_path / "items", space)
    events = open_events(tmp_path, store)
    (tmp_path / "bird.wav").write_bytes(concept_wav("bird"))
    with running(space, store, events) as server:
        done = walk(server.address, str(tmp_path / "bird.wav"))
        assert done.returncode == 0, done.stderr
        assert "3 stored, 0 unchanged, 1 rejected" in done.stdout
        assert "like quickstart/2: " in done.stdout or "upload bird.wav: " in done.stdout
        assert "a piano: a grand piano, black and heavy" in done.stdout
        assert store.count() == 0
        assert "cannot read" in walk(server.address, "gone.png").stderr
    events.close()
    store.close()


def test_without_a_server_it_says_what_to_do() -> None:
    done = walk("127.0.0.1:1")
    assert done.returncode == 1
    assert "triveni serve" in done.stderr
    assert "Traceback" not in done.stderr
