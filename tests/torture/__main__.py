"""All loops in full, or some: `python -m tests.torture [LOOP ...] --rounds 25 --seed 7`."""

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from engine.service.logs import configure_logs
from tests.torture.loops import loops
from tests.torture.striking import Loop, Result, torture


def tried(loop: Loop, rounds: int, chance: random.Random, tell: Callable[[Result], None]) -> Result:
    """What came of a loop, also of one that broke."""
    last = Result()

    def note(result: Result) -> None:
        nonlocal last
        last = result
        tell(result)

    try:
        return torture(loop, rounds, chance, note)
    except Exception as error:  # noqa: BLE001 (the others are to run, too)
        traceback.print_exc()
        last.broken = f"{type(error).__name__}: {error}"
        return last


def main() -> None:
    """Run them, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loops", nargs="*", help="all, if none is named")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seed", type=int, default=None, help="of the moments; by default another each time")
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    print(f"seed {seed}")
    rows: list[tuple[str, Result]] = []

    def tell(result: Result) -> None:
        print(f"\r{name}: {result.rounds} rounds, {result.kills} kills", end="", file=sys.stderr, flush=True)

    configure_logs("error", json_lines=False)
    with tempfile.TemporaryDirectory(prefix="torture-") as folder, ExitStack() as opened:
        for name, make in loops(Path(folder), opened):
            if not options.loops or name in options.loops:
                rows.append((name, tried(make(), options.rounds, random.Random(f"{seed} {name}"), tell)))
                print(file=sys.stderr)
    print("\n| loop | rounds | kills | acknowledged | seconds | held | killed after |")
    print("|---|---|---|---|---|---|---|")
    for name, result in rows:
        where = ", ".join(f"{step} {count}" for step, count in result.where.most_common())
        print(
            f"| {name} | {result.rounds} | {result.kills} | {result.acknowledged} | {result.seconds:.0f} "
            f"| {result.broken or 'all'} | {where} |"
        )
    sys.exit(any(result.broken for _, result in rows))


if __name__ == "__main__":
    main()
