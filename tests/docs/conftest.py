"""The environment that the code of the documents runs in: the command line on the path, and the concept space."""

import os
import sys
from pathlib import Path

import pytest

from tests.distributions import add_distribution
from tests.docs.pages import ROOT


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a reader who works beside an activated .venv."""
    folder = tmp_path_factory.mktemp("distributions")
    with pytest.MonkeyPatch.context() as patch:
        add_distribution(patch, folder, "triveni.spaces", {"concepts": "tests.docs.space:Concepts"}, name="concepts")
    own = {name: value for name, value in os.environ.items() if not name.startswith("TRIVENI_")}
    return own | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(map(str, (folder / "concepts", ROOT, ROOT / "proto"))),
        "TRIVENI_SPACE__NAME": "concepts",
        "COLUMNS": "100",
        "IPYTHONDIR": str(folder),
        "JUPYTER_RUNTIME_DIR": str(folder),
    }
