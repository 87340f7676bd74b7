"""`python -m tests.fuzz --inputs 1000000`: gives so many inputs to all targets together, and prints what came of it.

Each target runs in a process of its own. Exits with 1 if something was found: the input is below
`tests/fuzz/regressions/`, and stays there once it is mended.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.fuzz.target import REGRESSIONS
from tests.fuzz.targets import TARGETS

GROWTH = 128
"""Megabytes that a process may grow by in the second half of its inputs."""
SECONDS = 60
"""That an input may take."""
_DEATHS = 5
"""After so many a target is given up."""


@dataclass
class Result:
    """What came of a target's inputs."""

    name: str
    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    peak: int = 0
    growth: int = 0

    def add(self, told: dict[str, object]) -> None:
        """Take in what a process told."""
        self.inputs += told["inputs"]  # type: ignore[operator]
        self.outcomes.update(told["outcomes"])  # type: ignore[arg-type]
        self.findings.update(told["findings"])  # type: ignore[arg-type]
        self.seconds += told["seconds"]  # type: ignore[operator]
        self.peak = max(self.peak, told["peak"])  # type: ignore[type-var]
        self.growth = max(self.growth, told["growth"])  # type: ignore[type-var]


def fuzz(name: str, inputs: int, seed: int, folder: Path) -> Result:
    """Run a target in processes of its own: a new one each time that one dies."""
    result = Result(name)
    for death in range(_DEATHS):
        out = folder / f"{name}-{death}.json"
        left = inputs - result.inputs
        command = [sys.executable, "-m", "tests.fuzz.one", name, "--inputs", str(left), "--out", str(out)]
        log = folder / f"{name}-{death}.log"
        with log.open("w") as said:
            process = subprocess.Popen([*command, "--seed", str(seed + death)], stdout=said, stderr=said)
            hangs = _watch(process, folder / f"{name}-current")
        if out.exists():
            result.add(json.loads(out.read_text()))
        if process.returncode == 0:
            break
        lines = [line for line in log.read_text(errors="replace").splitlines() if "rror" in line]
        how = f"takes over {SECONDS} s" if hangs else f"exit code {process.returncode}"
        result.findings[f"process {death} ended"] = f"{how}: {lines[-1][:200] if lines else ''}"
        _keep(name, folder)
        if not out.exists():
            break
    if result.growth > GROWTH:
        result.findings["memory"] = f"grew by {result.growth} MB in the second half"
    return result


def _watch(process: subprocess.Popen[bytes], current: Path) -> bool:
    """Wait for a process; one that takes too long for one input is killed, and True given."""
    while True:
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            if current.exists() and time.time() - current.stat().st_mtime > SECONDS:
                process.kill()
                process.wait()
                return True
        else:
            return False


def _keep(name: str, folder: Path) -> None:
    """Keep the input that ended a process."""
    current = folder / f"{name}-current"
    if current.exists():
        data = current.read_bytes()
        kept = REGRESSIONS / name
        kept.mkdir(parents=True, exist_ok=True)
        (kept / f"ended-{sha1(data).hexdigest()[:10]}").write_bytes(data)


def main() -> None:
    """Run the targets and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all targets together")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only this; may be given again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at a time")
    parser.add_argument("--json", action="store_true", help="the table as JSON")
    options = parser.parse_args()
    chosen = {name: TARGETS[name] for name in options.target or TARGETS}
    shares = sum(target.share for target in chosen.values())
    console = Console(stderr=True)
    memory = Path("/dev/shm")  # a file for each input
    place = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory("-fuzz", dir=place) as name, ThreadPoolExecutor(options.jobs) as pool:
        os.environ["TMPDIR"] = name  # of the processes: what they leave goes with it
        runs = [
            pool.submit(fuzz, one, -(-options.inputs * target.share // shares), options.seed, Path(name))
            for one, target in chosen.items()
        ]
        results = []
        for run in runs:
            results.append(run.result())
            for place, said in results[-1].findings.items():
                console.print(f"{results[-1].name}: {place}: {said}", style="red", markup=False, highlight=False)
    if options.json:
        print(json.dumps([vars(result) for result in results]))
    else:
        _print(results)
    sys.exit(any(result.findings for result in results))


def _print(results: list[Result]) -> None:
    table = Table(title="Inputs, and what came of them", title_justify="left")
    for head in ("target", "inputs", "findings", "seconds", "peak MB", "growth MB"):
        table.add_column(head, justify="left" if head == "target" else "right")
    table.add_column("outcomes", overflow="fold")
    for one in results:
        outcomes = ", ".join(f"{name} {number:,}" for name, number in one.outcomes.most_common())
        cells = (f"{one.inputs:,}", str(len(one.findings)), f"{one.seconds:,.0f}", f"{one.peak:,}", f"{one.growth:,}")
        table.add_row(one.name, *cells, outcomes)
    table.add_section()
    total, found = sum(one.inputs for one in results), sum(len(one.findings) for one in results)
    table.add_row("all", f"{total:,}", str(found), f"{sum(one.seconds for one in results):,.0f}")
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
