"""Fuzzes one target in this process: `python -m tests.fuzz.one NAME --inputs N --out FILE`; `tests.fuzz` starts it.

Targets in plain Python are led by their branches (`led`), by atheris; the others are mutated without being led. What
is raised is kept as a regression file, one for each place, and the run goes on. What ends the process (a crash, too
much memory, no end) is in the file `NAME-current`, for the caller.
"""

import argparse
import atexit
import contextlib
import json
import logging
import os
import random
import resource
import sys
import time
import traceback
from collections import Counter
from hashlib import sha1
from pathlib import Path

from tests.fuzz.led import LED
from tests.fuzz.mutate import mutated
from tests.fuzz.target import REGRESSIONS, Target

try:
    import atheris
except ImportError:
    atheris = None

MEGABYTES = 3072
"""The same for memory: of the process as a whole."""
_EVERY = 256


class Tally:
    """Counts what comes of inputs, and writes it down now and then, as the process may not live to its end.

    Args:
        name: of the target.
        target: it.
        total: inputs, after which the process ends.
        out: where it is written.
    """

    def __init__(self, name: str, target: Target, total: int, out: Path) -> None:
        self._name, self._target, self._total, self._out = name, target, total, out
        self._outcomes: Counter[str] = Counter()
        self._findings: dict[str, str] = {}
        self._current = out.parent / f"{name}-current"
        self._began = time.monotonic()
        self._inputs = self._half = 0

    def __call__(self, data: bytes) -> None:
        """Give the target an input."""
        self._inputs += 1
        self._current.write_bytes(data)
        try:
            self._outcomes[self._target.read(data)] += 1
        except Exception as error:  # noqa: BLE001 (that is what is looked for)
            self._found(data, error)
        memory = _memory()
        if memory >> 20 > MEGABYTES:
            print(f"MemoryError: {memory >> 20} MB", file=sys.stderr, flush=True)
            os._exit(1)
        if self._inputs == self._total // 2:
            self._half = memory
        if self._inputs % _EVERY == 0 or self._inputs >= self._total:
            self._write()
        if self._inputs >= self._total:
            atexit._run_exitfuncs()
            os._exit(0)  # libFuzzer counts in another way, and has no word of this one's end

    def _found(self, data: bytes, error: Exception) -> None:
        steps = traceback.extract_tb(error.__traceback__)
        ours = [step for step in steps if "site-packages" not in step.filename] or list(steps)
        place = f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}"
        if place not in self._findings:
            self._findings[place] = str(error)[:300]
            folder = REGRESSIONS / self._name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"found-{sha1(data).hexdigest()[:10]}").write_bytes(data)
            traceback.print_exception(error, limit=-6)

    def _write(self) -> None:
        told = {
            "inputs": self._inputs,
            "outcomes": dict(self._outcomes),
            "findings": self._findings,
            "seconds": round(time.monotonic() - self._began, 1),
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
            "growth": max(0, _memory() - self._half) >> 20 if self._half else 0,
        }
        self._out.write_text(json.dumps(told))


def _memory() -> int:
    """Bytes of this process that are in memory."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def main() -> None:
    """Fuzz."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--inputs", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    modules = list(LED.get(options.name, ())) if atheris is not None else []
    if modules:
        with atheris.instrument_imports(include=modules, enable_loader_override=False):
            from tests.fuzz.targets import TARGETS
    else:
        from tests.fuzz.targets import TARGETS
    target = TARGETS[options.name]
    tally = Tally(options.name, target, options.inputs, options.out)
    seeds = target.seeds()
    _ = target.read
    if not modules:
        chance = random.Random(options.seed)
        while True:
            tally(mutated(list(seeds.values()), chance, target.max_bytes))
    corpus = options.out.parent / f"{options.name}-seeds"
    corpus.mkdir(exist_ok=True)
    for name, data in seeds.items():
        (corpus / name.replace("/", "_")).write_bytes(data)
    atheris.Setup(
        [
            sys.argv[0],
            "-runs=-1",
            f"-seed={options.seed}",
            f"-max_len={target.max_bytes}",
            "-timeout=86400",  # the caller looks at the time
            "-rss_limit_mb=0",
            f"-artifact_prefix={options.out.parent}/",
            "-verbosity=0",
            str(corpus),
        ],
        tally,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
