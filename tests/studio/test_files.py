"""The page's own files: libraries are what they say they are, and the types hold."""

import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from engine.studio.studio import STATIC

HERE = Path(__file__).parent
ROW = re.compile(
    r"^\| `([\w./-]+)` \| `(@?[\w/-]+)`, (\S+) \| ([\d.]+) \| ([\w.-]+) \| `([0-9a-f]{64})` \|$", re.MULTILINE
)


@pytest.mark.parametrize("folder", [STATIC / "vendor", HERE / "vendor"], ids=["of the page", "of its tests"])
def test_libraries_have_the_checksums_that_their_table_says(folder: Path) -> None:
    rows = ROW.findall((folder / "README.md").read_text())
    told = {name: checksum for name, *_, checksum in rows}
    files = [path for path in folder.rglob("*") if path.suffix in {".js", ".css"}]
    there = {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}
    assert there == told


def test_own_files_are_short_and_ask_no_other_host() -> None:
    for path in STATIC.rglob("*"):
        if path.suffix in {".js", ".css", ".html"} and "vendor" not in path.parts:
            text = path.read_text()
            assert text.count("\n") < 300, path
            assert re.findall(r"https?://(?!www\.w3\.org/2000/svg|localhost)", text) == [], path


def test_the_types_hold() -> None:
    compiler = HERE / "node_modules" / ".bin" / "tsc"
    if shutil.which("node") is None or not compiler.exists():
        pytest.skip("there is no TypeScript: `make studio-tools` installs it where node is")
    done = subprocess.run([compiler, "-p", HERE / "tsconfig.json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
