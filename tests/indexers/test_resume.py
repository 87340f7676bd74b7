"""A run that is interrupted, and run again; tests/torture has those that are killed."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from encoders.spaces.space import Space
from engine.store.edge import EdgeStore
from indexers.catalog import Catalog
from indexers.pipeline import index
from indexers.report import RowOutcome
from tests.indexers.catalogs import assert_same, everything, mixed_rows, plain, write_jsonl

_RUN = """
import json, signal, sys, time
from pathlib import Path
from engine.store.edge import EdgeStore
from indexers.catalog import Catalog
from indexers.pipeline import index
from tests.tiny import tiny_space

class Slow(EdgeStore):
    def upsert(self, points):
        super().upsert(points)
        print(len(points), flush=True)
        time.sleep(0.01)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it
space = tiny_space()
store = Slow(Path(sys.argv[2]), fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities)
print("begin", flush=True)
report = index(Catalog(Path(sys.argv[1])), store, space, batch=4, prune=True, dead_letters=Path(sys.argv[3]))
store.close()
print(json.dumps({"interrupted": report.interrupted, "written": report.written}), flush=True)
"""
_ITEMS = 240


class Runner:
    """Indexes a catalogue in a process of its own, which tells every write that was acknowledged."""

    def __init__(self, catalog: Path, folder: Path) -> None:
        self.acknowledged = 0
        self._arguments = [
            sys.executable,
            "-c",
            _RUN,
            str(catalog),
            str(folder / "store"),
            str(folder / "dead.jsonl"),
        ]

    def start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(self._arguments, stdout=subprocess.PIPE, text=True)
        assert self._line(process) == "begin"
        return process

    def read(self, process: "subprocess.Popen[str]", writes: int) -> None:
        """Wait for so many writes, or the end."""
        for _ in range(writes):
            line = self._line(process)
            if not line.isdigit():
                return
            self.acknowledged += int(line)

    def end(self, process: "subprocess.Popen[str]") -> list[str]:
        """The lines that were still to come, and that the process ended."""
        assert process.stdout is not None
        lines = process.stdout.read().split("\n")
        self.acknowledged += sum(int(line) for line in lines if line.isdigit())
        process.wait(30)
        process.stdout.close()
        return lines

    @staticmethod
    def _line(process: "subprocess.Popen[str]") -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()


def open_store(folder: Path, space: Space) -> EdgeStore:
    return EdgeStore(
        folder / "store", fingerprint=space.fingerprint, dimension=space.dimension, modalities=space.modalities
    )


def test_interrupted_it_tells_what_it_did_and_goes_on_later(space: Space, root: Path, tmp_path: Path) -> None:
    rows = mixed_rows(root, _ITEMS)
    rows[1]["image"] = "nothing.png"  # all that it has
    path = write_jsonl(root / "items.jsonl", rows)
    runner = Runner(path, tmp_path)
    process = runner.start()
    runner.read(process, 3)
    process.send_signal(signal.SIGINT)
    told = json.loads(runner.end(process)[-2])
    assert process.returncode == 0
    assert told == {"interrupted": True, "written": runner.acknowledged}
    assert 12 <= runner.acknowledged < _ITEMS
    assert json.loads((tmp_path / "dead.jsonl").read_text())["id"] == "item-1"

    store = open_store(tmp_path, space)
    assert store.count() == runner.acknowledged
    catalog = Catalog(path)
    report = index(catalog, store, space)
    assert report.outcomes == {
        RowOutcome.UNCHANGED: runner.acknowledged,
        RowOutcome.ADDED: _ITEMS - 1 - runner.acknowledged,
    }
    assert_same(everything(store), plain(catalog, space))
    store.close()
