"""Without the libraries of an extra, what does not need them works, and what does says how to get them."""

import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = """
import sys

sys.modules |= dict.fromkeys(("sklearn", "optuna", "tensorboard", "implicit", "lightgbm"))
"""
"""Modules that are None in `sys.modules` cannot be imported, nor found."""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "module", "extra"), [(["train"], "sklearn", "train"), (["tune", "--show"], "optuna", "train")]
)
def test_a_command_names_the_extra_that_it_lacks(
    arguments: list[str], module: str, extra: str, tmp_path: Path
) -> None:
    done = run(f"sys.argv[1:] = {arguments}; from engine.cli import main; main()", tmp_path)
    assert done.returncode == 1
    assert f"error: {module} is not installed: pip install 'triveni[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_without_the_libraries_of_training_serves(tmp_path: Path) -> None:
    """All that serving imports is there, and there are no trainings."""
    code = """
import engine.rerank.loaders, engine.service.lifecycle, engine.service.server
from engine.compose.tenant import open_trainings
from engine.config.settings import load_settings

assert open_trainings(load_settings(), None, None) is None
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
