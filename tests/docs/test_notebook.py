"""The notebook runs from its first cell to its last."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.pages import ROOT

NOTEBOOK = ROOT / "examples" / "notebook" / "first_recommendation.ipynb"


def test_it_runs(reader: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in reader.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(cwd=str(tmp_path))
    said = "".join(
        one["text"] for cell in notebook.cells for one in cell.get("outputs", ()) if one["output_type"] == "stream"
    )
    assert "drum/old-drum" in said, said  # the upload finds its own recording
    assert "popularity" in said, said


def test_it_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not [cell.id for cell in notebook.cells if cell.get("outputs")]
    assert Path(NOTEBOOK).stat().st_size < 20_000
