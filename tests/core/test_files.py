"""Files that are there whole or not at all."""

import os
import threading
from pathlib import Path

import pytest

from engine.core.errors import DiskError
from engine.core.files import replacing, write_atomically


def test_what_fails_changes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as new:
        new.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208
    with pytest.raises(DiskError, match="cannot write"):
        write_atomically(tmp_path / "no folder" / "file", "new")


def test_what_a_killed_process_left_goes_and_what_others_write_stays(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / ".file.x"
    (tmp_path / ".file.new-0123").write_text("half")
    other.write_text("of somebody else")
    with replacing(path) as first:
        first.write_text("first")
        write_atomically(path, "second")
        assert first.exists()
        assert not (tmp_path / ".file.new-0123").exists()
    assert (path.read_text(), other.read_text()) == ("first", "of somebody else")
    assert sorted(os.listdir(tmp_path)) == [".file.x", "file"]  # noqa: PTH208


def test_many_may_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def write(number: int) -> None:
        for _ in range(20):
            write_atomically(path, f"{number}" * 1000)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(path.read_text())) == 1
    assert len(path.read_text()) == 1000
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208
