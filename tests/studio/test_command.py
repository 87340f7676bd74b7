"""`triveni index`, then `triveni studio`, as programs; only the space is the tiny one."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from tests.studio.running import write_catalogue

PROGRAM = """
from engine import opening
from tests.tiny import concept_space
opening.open_space = lambda settings, limits=None: concept_space()
from engine.cli import main
main()
"""
ROOT = Path(__file__).parents[2]


def triveni(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}",
        "TRIVENI_STORE__PATH": str(folder / "store"),
        "TRIVENI_EVENTS__URL": f"sqlite:///{folder}/events.db",
        "TRIVENI_STUDIO__CACHE": str(folder / "cache"),
    }
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


def test_the_page_is_served_with_the_media_that_were_indexed(tmp_path: Path) -> None:
    catalogue = write_catalogue(tmp_path / "media")
    indexed = triveni(tmp_path, "index", str(catalogue.relative_to(tmp_path)))
    indexed.communicate(timeout=60)
    assert indexed.returncode == 0
    serving = triveni(tmp_path, "studio", "--http", "127.0.0.1:0", "--address", "127.0.0.1:0")
    try:
        assert serving.stdout
        told = serving.stdout.readline()
        (url,) = re.findall(r"^Triveni Studio: (http://127\.0\.0\.1:\d+/)$", told.strip())
        with httpx.Client(base_url=url) as http:
            assert '<div id="app">' in http.get("/").text
            about = http.get("/studio/about").json()
            assert (about["items"], about["media"]) == (36, True)
            run = http.get("/studio/catalogue/indexing").json()["run"]
            assert (run["state"], run["report"]["rows"], run["report"]["added"]) == ("done", 36, 36)
            picture = http.get("/studio/media/image", params={"item": "bird/seen"})
            assert picture.content == (tmp_path / "media" / "bird" / "seen.png").read_bytes()
            assert http.post("/v1/search", json={"parts": [{"content": {"text": "bird"}}]}).json()["results"]
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.communicate(timeout=30)
    assert serving.returncode == 0
