"""The gRPC service against the engine that it serves, against bare gRPC, and against itself under load.

    python -m benchmarks.service [wire|concurrent|metrics|access|start …] [--items 100000] [--store DIR] [--json]

wire: Recommend in process, over gRPC on loopback, and a bare echo of messages of the same sizes, by turns.
concurrent: text searches one at a time against 16 at once, by turns, over the space of the settings.
metrics: text searches, 16 at once, with metrics, with metrics and a span of each call and stage, and with neither.
access: text searches, one at a time, with TLS and a key or a token and in the clear, by turns.
start: `triveni serve` in a process of its own, from its start until the health service says SERVING.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.access import access
from benchmarks.searches import AT_ONCE, concurrent, measured
from benchmarks.wire import Row, wire
from engine import opening
from engine.config.settings import load_settings
from engine.core.threads import one_blas_thread
from engine.service.logs import configure_logs

# start ------------------------------------------------------------------------------------------------------


def start(rounds: int, folder: Path) -> Row:
    """Seconds from the start of `triveni serve` until it says SERVING, models on disk; the first start apart."""
    took = []
    environment = {
        **os.environ,
        "TRIVENI_STORE__PATH": str(folder),
        "TRIVENI_EVENTS__URL": f"sqlite:///{folder}-events.db",
        "TRIVENI_LOG__JSON_LINES": "true",
    }
    for _ in range(rounds + 1):
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "serve", "--address", "127.0.0.1:0"],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        port = next((line["port"] for line in log_lines(process) if line.get("event") == "ready"), None)
        if port is None:
            raise RuntimeError(f"triveni serve ended with {process.wait()}")
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise RuntimeError(f"health is {answer.status}")
        took.append(time.perf_counter() - began)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    p50 = float(np.median(took[1:]))
    return {"first_s": took[0], "p50_s": p50, "max_s": max(took[1:]), "within": p50 <= 15}


def log_lines(process: subprocess.Popen[str]) -> Iterator[Row]:
    """The log lines of a server, as they come; what is none is passed on."""
    for line in process.stderr or ():
        try:
            yield json.loads(line)
        except ValueError:
            print(line, end="", file=sys.stderr)


# ------------------------------------------------------------------------------------------------------------


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", nargs="*", default=[], metavar="wire|concurrent|metrics|access|start", help="all if not given"
    )
    parser.add_argument("--items", type=int, default=100_000, help="of the wire's catalogue")
    parser.add_argument("--users", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--calls", type=int, default=64, help="searches per round, one at a time; four times that at once"
    )
    parser.add_argument("--search-items", type=int, default=20_000, help="of the searches' catalogue")
    parser.add_argument("--store", type=Path, help="keep the synthetic stores below this folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    what = options.what or ["wire", "concurrent", "metrics", "access", "start"]
    configure_logs("warning", json_lines=True)
    one_blas_thread()
    report: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.store or Path(scratch)
        if "wire" in what:
            report["wire"] = wire(options.items, folder / "wire", options.users, options.rounds)
        if "concurrent" in what:
            space = opening.open_space(load_settings())
            name = folder / f"search-{space.fingerprint[:8]}"
            report["concurrent"] = concurrent(space, options.search_items, name, options.rounds, options.calls)
        if "metrics" in what:
            space = opening.open_space(load_settings())
            name = folder / f"search-{space.fingerprint[:8]}"
            report["metrics"] = measured(space, options.search_items, name, options.rounds, options.calls)
        if "access" in what:
            space = opening.open_space(load_settings())
            name = folder / f"search-{space.fingerprint[:8]}"
            report["access"] = access(space, options.search_items, name, options.rounds * options.calls)
        if "start" in what:
            report["start"] = start(min(options.rounds, 3), Path(scratch) / "empty")
    print(json.dumps(report) if options.json else table(report))


def table(report: dict[str, Row]) -> str:
    """The report for people."""
    lines = []
    if row := report.get("wire"):
        lines.append(
            f"Recommend p50: in process {row['in_process_p50_ms']:.2f} ms, over gRPC {row['grpc_p50_ms']:.2f} ms; "
            f"bare echo of {row['request_bytes']:.0f} + {row['response_bytes']:.0f} bytes {row['echo_p50_ms']:.2f} "
            f"ms (with parsing {row['typed_echo_p50_ms']:.2f}): + {row['over_in_process_in_echoes']:.2f} echoes, "
            f"bound 1.2: {met(row)}"
        )
    if row := report.get("concurrent"):
        lines.append(
            f"text searches per second: {row['alone_per_second']:.0f} one at a time, "
            f"{row['at_once_per_second']:.0f} with {AT_ONCE} at once: {row['ratio']:.2f} times, bound 2.5: {met(row)}"
        )
    if row := report.get("metrics"):
        lines.append(
            f"text searches per second, {AT_ONCE} at once: {row['neither_per_second']:.0f} without metrics; "
            + "; ".join(
                f"{row[f'{name}_throughput']:.3f} times with {name}, for {row[f'{name}_cpu']:.3f} times the CPU "
                f"time of {row['neither_cpu_ms']:.2f} ms (half of the rounds {low:.3f} to {high:.3f})"
                for name in ("metrics", "tracing")
                for low, high in [row[f"{name}_cpu_quartiles"]]
            )
            + f"; {row['spans_per_call']:.1f} spans a call; bound 1.05: {met(row)}"
        )
    if row := report.get("access"):
        lines.append(
            f"text search p50, one at a time: {row['plain_p50_ms']:.2f} ms in the clear, {row['key_p50_ms']:.2f} ms "
            f"with TLS and a key ({row['key_ratio']:.3f} times), {row['token_p50_ms']:.2f} ms with TLS and a token "
            f"({row['token_ratio']:.3f} times), bound 1.1: {met(row)}"
        )
    if row := report.get("start"):
        lines.append(
            f"start to ready: {row['p50_s']:.1f} s (the first {row['first_s']:.1f} s), bound 15 s: {met(row)}"
        )
    return "\n".join(lines)


def met(row: Row) -> str:
    """Whether the bound was kept."""
    return "met" if row["within"] else "MISSED"


if __name__ == "__main__":
    main()
