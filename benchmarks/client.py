"""What the client costs before it does anything: seconds to import it, megabytes to install it.

    python -m benchmarks.client [--rounds 15] [--no-install] [--json]

Imports are processes of their own, by turns: Python that does nothing, grpcio alone, `from triveni.client import
Client`; medians of the seconds from the start to the end, less those of Python alone. The client is installed from
`proto/` with its requirements, of the versions in constraints.txt, into an environment of its own; pip needs a
package registry for that. What is counted is its site-packages without pip, as `du` does.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np

from benchmarks.wire import Row

ROOT = Path(__file__).parents[1]
BOUND_SECONDS, BOUND_MB = 0.3, 60.0
PROGRAMS = {"python": "pass", "grpc": "import grpc", "client": "from triveni.client import Client"}


def import_seconds(rounds: int, python: str) -> Row:
    """Median seconds that imports take, without the start of Python."""
    took: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for turn in range(rounds + 1):
        for name, program in PROGRAMS.items():
            began = time.perf_counter()
            subprocess.run([python, "-c", program], check=True)
            if turn:  # the first round warms up
                took[name].append(time.perf_counter() - began)
    bare = float(np.median(took["python"]))
    found = {f"import_{name}_s": float(np.median(took[name])) - bare for name in ("grpc", "client")}
    return {**found, "import_within": found["import_client_s"] <= BOUND_SECONDS}


def install(folder: Path) -> Path:
    """Install the client into an environment of its own. Returns its site-packages."""
    source = folder / "proto"
    shutil.copytree(ROOT / "proto", source)  # building writes beside the sources
    venv.create(folder / "venv", with_pip=True)
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), str(source)], check=True)
    return next((folder / "venv" / "lib").glob("python*/site-packages"))


def installed_megabytes(site: Path) -> Row:
    """Of a site-packages, without pip and setuptools."""
    left_out = [f"--exclude={name}" for name in ("pip", "pip-*", "setuptools", "setuptools-*", "_distutils_hack")]
    said = subprocess.run(["du", "-sk", *left_out, str(site)], check=True, capture_output=True, text=True).stdout
    size = int(said.split()[0]) / 1024
    return {"installed_mb": size, "installed_within": size <= BOUND_MB}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-install", action="store_true", help="measure the import only, in this environment")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.no_install:
        row = import_seconds(options.rounds, sys.executable)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            site = install(Path(scratch))
            row = import_seconds(options.rounds, str(Path(scratch) / "venv" / "bin" / "python"))
            row |= installed_megabytes(site)
    if options.json:
        print(json.dumps(row))
        return
    met = "met" if row["import_within"] else "missed"
    print(
        f"import of triveni.client {row['import_client_s']:.2f} s, of which grpcio {row['import_grpc_s']:.2f} s; "
        f"bound {BOUND_SECONDS:g} s: {met}"
    )
    if "installed_mb" in row:
        met = "met" if row["installed_within"] else "missed"
        print(f"installed with all it needs {row['installed_mb']:.0f} MB; bound {BOUND_MB:g} MB: {met}")


if __name__ == "__main__":
    main()
