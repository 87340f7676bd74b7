"""More load than the server can carry: what is answered in time, what is refused and how fast.

    python -m benchmarks.overload [--times 0.8 1.5 3 6] [--deadlines 0.5 2 10] [--door http] [--seconds 20] [--json]

`triveni serve` over the Tux Paint stamps in a process of its own, the load from another (`openloop.py`): by turns
text searches and Recommend with 20 likes. First closed loops find the peak, the most calls a second that are
answered; then so many times as much is offered, in an open loop with Poisson arrivals. Goodput is the answers within
the deadline a second. Both processes share the machine's cores, so beside it stands the CPU time that each took:
under overload the generator takes from the server what a client elsewhere would not.
"""

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.openloop import Seen, Step, generate
from engine.cli.demo.catalog import rows, tux_paint

Row = dict[str, Any]

AT_ONCE = (4, 8, 16)
"""Calls that the closed loops keep running."""
KEPT = Path("var/bench")
COMMAND = (sys.executable, "-m", "engine.cli")
GOODPUT, REFUSAL_MS, SLOWER = 0.9, 10.0, 2.0
"""The goals: the share of the peak; the median refusal; p99 of what is accepted against that at 80 % of the peak."""


@dataclass(frozen=True, slots=True)
class Running:
    """The server and the generator."""

    server: psutil.Process
    pipe: Connection
    address: str
    """Of the server, over gRPC."""

    def load(self, step: Step) -> Row:
        """Offer a load and tell what came of it."""
        self.pipe.send(step)
        time.sleep(step.warm)
        before = self._cpu()
        time.sleep(step.seconds - step.warm)
        server_cpu = self._cpu() - before
        seen: Seen = self.pipe.recv()
        return row_of(step, seen, server_cpu)

    def _cpu(self) -> float:
        times = [process.cpu_times() for process in (self.server, *self.server.children(recursive=True))]
        return float(sum(time.user + time.system for time in times))


def row_of(step: Step, seen: Seen, server_cpu: float) -> Row:
    """The figures of a step."""
    counts = dict(seen.outcomes)
    refused = counts.get("RESOURCE_EXHAUSTED", 0)
    return {
        "deadline_s": step.deadline,
        "offered": sum(counts.values()) / seen.seconds,
        "goodput": counts.get("OK", 0) / seen.seconds,
        "outcomes": counts,
        **{f"ok_p{share}_ms": percentile(seen.ok, share) for share in (50, 99)},
        "refused_share": refused / max(sum(counts.values()), 1),
        **{f"refused_p{share}_ms": percentile(seen.refused, share) for share in (50, 99)},
        "retry_p50_s": percentile(seen.retry, 50) / 1e3,
        "health_p99_ms": percentile(seen.health, 99),
        "lag_p99_ms": percentile(seen.lag, 99),
        "server_cpus": server_cpu / seen.seconds,
        "generator_cpus": seen.cpu / seen.seconds,
    }


def percentile(seconds: Sequence[float], share: float) -> float:
    """In milliseconds; nan of none."""
    return 1e3 * float(np.percentile(seconds, share)) if seconds else float("nan")


def environment_of(name: str, settings: Sequence[str] = ()) -> dict[str, str]:
    """The environment of commands over the stamps, which are indexed if they are not.

    Args:
        name: of what is kept in `KEPT`.
        settings: VARIABLE=VALUE, each.
    """
    environment = {
        **os.environ,
        "TRIVENI_STORE__PATH": str(KEPT / name),
        "TRIVENI_EVENTS__URL": f"sqlite:///{KEPT / name}.db",
        "TRIVENI_MODELS__PATH": str(KEPT / f"{name}-trained"),
        "TRIVENI_LOG__JSON_LINES": "true",
        **dict(setting.split("=", 1) for setting in settings),
    }
    if not (KEPT / name).is_dir():
        catalog, root = tux_paint(Path("var/tuxpaint"))
        subprocess.run([*COMMAND, "index", str(catalog), "--root", str(root)], env=environment, check=True)
    return environment


@contextmanager
def running(door: str, environment: Mapping[str, str]) -> Iterator[Running]:
    """Serve the stamps, and start the generator."""
    _, root = tux_paint(Path("var/tuxpaint"))
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log"
        with log.open("w") as file:
            doors = ["--address", "127.0.0.1:0", "--http", "127.0.0.1:0"]
            process = subprocess.Popen([*COMMAND, "serve", *doors], stderr=file, env=environment)
        try:
            ports = ready(process, log)
            ours, theirs = multiprocessing.get_context("spawn").Pipe()
            items = [row["id"] for row in rows(root)]
            targets = f"127.0.0.1:{ports['ready']}", f"127.0.0.1:{ports['http']}" if door == "http" else ""
            generator = multiprocessing.get_context("spawn").Process(target=generate, args=(theirs, *targets, items))
            generator.start()
            theirs.close()
            yield Running(psutil.Process(process.pid), ours, targets[0])
            ours.send(None)
            generator.join()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def ready(process: subprocess.Popen[bytes], log: Path) -> dict[str, int]:
    """The ports of the server's doors, once it is ready."""
    while process.poll() is None:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        ports = {line["event"]: line["port"] for line in lines if "port" in line}
        if "ready" in ports:
            return ports
        time.sleep(0.1)
    raise SystemExit(f"triveni serve ended with {process.returncode}: {log.read_text()[-2000:]}")


def measure(options: argparse.Namespace) -> Row:
    """The peak, then the table."""
    with running(options.door, environment_of("overload", options.set)) as run:
        seed = int(time.time())
        step = Step(deadline=10.0, seconds=options.seconds)
        run.load(replace(step, at_once=4, seed=seed))  # warms up
        closed = [
            {"at_once": at_once, **run.load(replace(step, at_once=at_once, seed=seed + at_once))}
            for at_once in options.at_once
            if not options.peak
        ]
        peak = options.peak or max(row["goodput"] for row in closed)
        opened = []
        for deadline in options.deadlines:
            for times in options.times:
                seed += 1000
                load = replace(step, deadline=deadline, rate=times * peak, seed=seed)
                opened.append({"times": times, **run.load(load)})
                print(line_of(opened[-1], peak), file=sys.stderr, flush=True)
    return {"door": options.door, "cores": os.cpu_count(), "peak": peak, "closed": closed, "opened": opened}


def line_of(row: Row, peak: float) -> str:
    """A row of the table."""
    load = f"{row['times']:.1f} x" if "times" in row else f"{row['at_once']} at once"
    return (
        f"| {load} | {row['deadline_s']:g} s | {row['offered']:.0f} | {row['goodput']:.0f} "
        f"| {row['goodput'] / peak:.2f} "
        f"| {row['ok_p50_ms']:.0f} / {row['ok_p99_ms']:.0f} | {row['refused_share']:.2f} "
        f"| {row['refused_p50_ms']:.1f} / {row['refused_p99_ms']:.1f} | {row['retry_p50_s']:.1f} "
        f"| {row['health_p99_ms']:.0f} | {row['server_cpus']:.2f} / {row['generator_cpus']:.2f} "
        f"| {other_outcomes(row)} |"
    )


def other_outcomes(row: Row) -> str:
    """The statuses of calls that were neither answered nor refused."""
    known = ("OK", "RESOURCE_EXHAUSTED")
    return ", ".join(f"{name} {count}" for name, count in sorted(row["outcomes"].items()) if name not in known)


def table(report: Row) -> str:
    """The report for people."""
    head = (
        "| load | deadline | offered/s | goodput/s | of the peak | answered p50 / p99 ms | refused "
        "| refused p50 / p99 ms | retry s | health p99 ms | CPUs server / generator | others |"
    )
    lines = [line_of(row, report["peak"]) for row in (*report["closed"], *report["opened"])]
    return "\n".join([f"peak {report['peak']:.0f} calls/s over {report['door']}", "", head, "|--" * 12 + "|", *lines])


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=float, nargs="*", default=[0.8, 1.5, 3.0, 6.0], help="the peak")
    parser.add_argument("--deadlines", type=float, nargs="*", default=[0.5, 2.0, 10.0], help="seconds")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load; the first two are not counted")
    parser.add_argument("--at-once", type=int, nargs="*", default=AT_ONCE, help="calls of the closed loops")
    parser.add_argument("--peak", type=float, default=0.0, help="calls per second, if known; 0 finds it")
    parser.add_argument("--door", choices=("grpc", "http"), default="grpc")
    parser.add_argument("--set", nargs="*", default=[], metavar="VARIABLE=VALUE", help="of the server's environment")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = measure(options)
    print(json.dumps(report) if options.json else table(report))


if __name__ == "__main__":
    main()
