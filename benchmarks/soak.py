"""A long time at 80 % of what the server can carry, with events and items written and a promotion meanwhile.

    python -m benchmarks.soak [--minutes 30] [--share 0.8] [--peak CALLS_PER_SECOND] [--json]

`triveni serve` over the Tux Paint stamps, with two versions of a model trained on simulated users. Text searches and
recommendations from 20 likes come in an open loop, each with 10 s; beside them, from another process, events are
recorded, histories and items read, and 200 items more written again and again. Both versions are loaded from the
start (the one that served before stays loaded, to go back to); half-way the other one is promoted. No call may fail,
and none is tried again; p99 of the last sixth is held against that of the first, in which calls come at the same
moments, as at such a load it is chance that makes the longest queues; and the memory of the server's processes in the
last tenth against that in the second one.
"""

import argparse
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.openloop import Seen, Step
from benchmarks.overload import COMMAND, Running, environment_of, percentile, running
from engine.cli.demo.catalog import rows, tux_paint
from triveni.client import Client
from triveni.client.errors import TriveniError

Row = dict[str, Any]
NAME = "soak"
SLICE = 10.0
"""Seconds of load that are told together."""
DEADLINE = 10.0
BESIDE_PER_SECOND = 8.0
"""Calls beside the load."""
GROWTH, SLOWER = 0.02, 1.1
"""The goals, beside no failed call."""


@dataclass(slots=True)
class Beside:
    """Calls of other kinds than the load's, one after the other, in a thread."""

    address: str
    items: Sequence[Row]
    """Rows of the catalogue that have a text."""
    calls: int = 0
    failures: list[str] = field(default_factory=list)
    promote: str = ""
    """The version that is promoted next; "" for none."""
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until it is stopped."""
        draw = np.random.default_rng(0)
        with Client(self.address, retry=False, timeout=DEADLINE) as client:
            while not self.stopped.wait(1 / BESIDE_PER_SECOND):
                self.calls += 1
                row, user = self.items[int(draw.integers(len(self.items)))], f"user-{draw.integers(500)}"
                try:
                    self._call(client, row, user)
                except TriveniError as error:
                    self.failures.append(str(error))

    def _call(self, client: Client, row: Row, user: str) -> None:
        match self.calls % 4:
            case 0:
                client.record(user=user, kind="click", item=row["id"])
            case 1:
                client.get(row["id"])
            case 2:
                client.history(user)
            case 3:
                one = {"id": f"soak-{self.calls % 200}", "text": row["text"], "payload": {"price": self.calls}}
                done = client.upsert([one])
                self.failures += [str(done)] * done.rejected
        if self.promote:
            self.promote = client.promote(self.promote) and ""


@contextmanager
def beside(run: Running, items: Sequence[Row]) -> Iterator[Beside]:
    """Make other calls meanwhile."""
    made = Beside(run.address, items)
    thread = threading.Thread(target=made.run, name="beside")
    thread.start()
    try:
        yield made
    finally:
        made.stopped.set()
        thread.join()


def versions(environment: dict[str, str]) -> list[str]:
    """Two versions, trained if they are not there; an epoch each, as it is not about how good they are."""
    folder = Path(environment["TRIVENI_MODELS__PATH"])
    short = {**environment, "TRIVENI_LEARN__EPOCHS": "1", "OMP_NUM_THREADS": "1"}
    if not folder.is_dir():
        log = ["--users", "120", "--impressions", "2500", "--store", environment["TRIVENI_EVENTS__URL"]]
        subprocess.run([*COMMAND, "simulate", *log], env=short, check=True)
        for seed in ("0", "1"):  # the gate may say no: a version it is
            subprocess.run([*COMMAND, "train"], env={**short, "TRIVENI_LEARN__SEED": seed}, check=False)
    return sorted(card.parent.name for card in folder.glob("*/card.json"))[-2:]


def measure(options: argparse.Namespace) -> Row:
    """The whole."""
    environment = environment_of(NAME)
    first, second = versions(environment)
    _, root = tux_paint(Path("var/tuxpaint"))
    items = [row for row in rows(root) if row.get("text")]
    with running("grpc", environment) as run:
        with Client(run.address) as client:
            for version in (second, first):
                client.promote(version)
        peak = options.peak or run.load(Step(DEADLINE, 15.0, at_once=4))["goodput"]
        slices = max(int(options.minutes * 60 / SLICE), 6)
        same = slices - slices // 6  # from here on as in the first sixth
        seen: list[Seen] = []
        memory: list[int] = []
        with beside(run, items) as other:
            for number in range(slices):
                if number == slices // 2:
                    other.promote = second
                when = number - same if number >= same else number
                run.pipe.send(Step(DEADLINE, SLICE, options.share * peak, warm=0.0, seed=number, arrivals=when))
                seen.append(run.pipe.recv())
                memory.append(rss(run))
                print(line_of(number, seen[-1], memory[-1]), file=sys.stderr, flush=True)
        with Client(run.address) as client:
            serving = client.model().version
    return {
        "minutes": slices * SLICE / 60,
        "peak": peak,
        "offered": sum(sum(one.outcomes.values()) for one in seen) / (slices * SLICE),
        "calls": sum(sum(one.outcomes.values()) for one in seen) + other.calls,
        "failed": {
            name: sum(one.outcomes[name] for one in seen) for one in seen for name in one.outcomes if name != "OK"
        },
        "failed_beside": other.failures[:10],
        "promoted": serving == second,
        "p99_ms_first": percentile(joined(seen[: slices // 6]), 99),
        "p99_ms_last": percentile(joined(seen[-(slices // 6) :]), 99),
        "memory_mb_warm": float(np.median(memory[slices // 10 : max(slices // 5, slices // 10 + 1)])) / 2**20,
        "memory_mb_end": float(np.median(memory[-max(slices // 10, 1) :])) / 2**20,
    }


def joined(seen: Sequence[Seen]) -> list[float]:
    """All latencies, in seconds."""
    return [took for one in seen for took in one.ok]


def rss(run: Running) -> int:
    """Bytes that the server's processes hold."""
    found = 0
    for process in (run.server, *run.server.children(recursive=True)):
        found += process.memory_info().rss
    return found


def line_of(number: int, seen: Seen, memory: int) -> str:
    """How far it is."""
    return (
        f"{(number + 1) * SLICE:6.0f} s  {dict(seen.outcomes)}  p50 {percentile(seen.ok, 50):.0f} ms  "
        f"p99 {percentile(seen.ok, 99):.0f} ms  {memory / 2**20:.0f} MB"
    )


def report_of(found: Row) -> str:
    """For people."""
    growth = found["memory_mb_end"] / found["memory_mb_warm"] - 1
    slower = found["p99_ms_last"] / found["p99_ms_first"]
    failed = sum(found["failed"].values()) + len(found["failed_beside"])
    return "\n".join([
        f"{found['minutes']:.1f} minutes, {found['calls']:,} calls, {found['offered']:.0f} a second of a peak of "
        f"{found['peak']:.0f}; promoted meanwhile: {found['promoted']}",
        f"failed: {failed} {found['failed'] or ''} {found['failed_beside'] or ''}",
        f"p99: {found['p99_ms_first']:.0f} ms in the first sixth, {found['p99_ms_last']:.0f} in the last: "
        f"{slower:.2f} times (goal {SLOWER})",
        f"memory: {found['memory_mb_warm']:.0f} MB warm, {found['memory_mb_end']:.0f} at the end: {growth:+.1%} "
        f"(goal {GROWTH:.0%})",
    ])  # fmt: skip


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--share", type=float, default=0.8, help="of the peak")
    parser.add_argument("--peak", type=float, default=0.0, help="calls per second, if known; 0 finds it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options)
    print(json.dumps(found) if options.json else report_of(found))


if __name__ == "__main__":
    main()
