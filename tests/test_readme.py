"""The Python of the README files runs as it stands, block after block, against a real server."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.service.running import Running, item, open_edge, open_events, running
from tests.tiny import concept_space

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server with the catalogue of the README, and the pictures that its blocks name."""
    space = concept_space()
    store = open_edge(tmp_path / "items", space)
    events = open_events(tmp_path, store)
    monkeypatch.chdir(tmp_path)
    for name in ("photo.jpg", "shoe.jpg"):
        Image.new("RGB", (64, 64), (200, 30, 30)).save(name)
    with running(space, store, events) as run:
        run.upsert(
            [
                item("42", text="Red running shoe", category="shoes", price=79.9),
                item("43", text="Blackbird at dawn", category="sounds"),
            ]
        )
        monkeypatch.setenv("TRIVENI_SERVER", run.address)
        yield run
    events.close()
    store.close()


@pytest.mark.parametrize("name", ["README.md", "proto/README.md"])
def test_the_python_of_the_readme_runs(name: str, server: Running, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))
    assert blocks
    names: dict[str, object] = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block.replace("127.0.0.1:50051", server.address), name, "exec"), names)
    said = capsys.readouterr().out
    assert any(label in said for label in ("upload photo.jpg", "like 42", "search “running”"))
    history = list(server.event_store.history("ann", limit=9, cursor=None).events)  # type: ignore[arg-type]
    assert [event.kind for event in history] == ["click"]
    assert history[0].request_id
