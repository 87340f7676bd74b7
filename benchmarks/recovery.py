"""How long a server is away after kill -9: from its start until the health service says SERVING.

    python -m benchmarks.recovery [--items 100000] [--events 1000000] [--rounds 3] [--folder DIR] [--json]

The store is filled with a synthetic catalogue of the space of the settings, the database with events and lists. Each
round serves them, writes items and events for some seconds, kills the server with SIGKILL while it writes, and starts
it again. What was acknowledged before the kill has to be there afterwards.
"""

import argparse
import json
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.deployment import fill, serve, settings_in, size_of
from benchmarks.service import log_lines, met
from benchmarks.wire import Row
from triveni.client import Client, TriveniError

BOUND_SECONDS = 20.0
WRITING_SECONDS = 5.0


def started(folder: Path) -> tuple[subprocess.Popen[str], str, Row]:
    """A server, its address, and the seconds until it says SERVING, in all and by part."""
    began = time.perf_counter()
    process, parts = serve(folder), Row()
    for line in log_lines(process):
        if line.get("event") == "loaded":
            parts[f"{line['what']}_s".replace(" ", "_")] = line["seconds"]
        if line.get("event") == "ready":
            address = f"127.0.0.1:{line['port']}"
            break
    else:
        raise RuntimeError(f"triveni serve ended with {process.wait()}")
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise RuntimeError(f"health is {answer.status}")
    seconds = time.perf_counter() - began
    threading.Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True).start()
    return process, address, {"ready_s": seconds, **parts}


def write_until_killed(process: subprocess.Popen[str], address: str, turn: int) -> list[str]:
    """Write items and events as fast as they are taken, kill the server meanwhile, and say what was acknowledged."""
    done: list[str] = []

    def write() -> None:
        with Client(address, retry=False) as client:
            while True:
                name = f"round-{turn}-{len(done)}"
                try:
                    client.upsert([{"id": name, "text": f"a red bird, number {len(done)}", "category": "new"}])
                    client.record(user=f"user-{len(done)}", kind="like", item=name, id=name)
                except TriveniError:
                    return
                done.append(name)

    writing = threading.Thread(target=write)
    writing.start()
    time.sleep(WRITING_SECONDS)
    process.send_signal(signal.SIGKILL)
    process.wait()
    writing.join()
    return done


def recover(folder: Path, rounds: int) -> Row:
    """Seconds until a server that was killed serves again; medians of the parts, the largest of the whole."""
    process, address, first = started(folder)
    took: list[Row] = []
    try:
        for turn in range(rounds):
            written = write_until_killed(process, address, turn)
            process, address, row = started(folder)
            took.append({**row, "written": len(written)})
            with Client(address) as client:
                kept = [client.get(name).id for name in written]
                liked = [client.history(f"user-{place}", limit=1) for place in (0, len(written) - 1)]
            if kept != written or not all(liked):
                raise RuntimeError("what was acknowledged is gone")
    finally:
        process.kill()
        process.wait()
    medians = {name: float(np.median([row.get(name, 0.0) for row in took])) for name in took[0]}
    worst = max(row["ready_s"] for row in took)
    return {**medians, "first_start_s": first["ready_s"], "max_s": worst, "within": worst <= BOUND_SECONDS}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep what is filled there, or use what is; else a temporary one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        if not (folder / "store").exists():
            fill(settings_in(folder), options.items, options.events)
        row = {"items": options.items, "events": options.events, "disk_mb": size_of(folder) / 1e6}
        row |= recover(folder, options.rounds)
    if options.json:
        print(json.dumps(row))
        return
    parts = ", ".join(f"{name[:-2].replace('_', ' ')} {value:.2f}" for name, value in row.items() if name in PARTS)
    print(
        f"{row['items']:,} items, {row['events']:,} events, {row['disk_mb']:,.0f} MB; {row['written']:.0f} items and "
        f"events written in {WRITING_SECONDS:g} s, then kill -9: ready after {row['ready_s']:.1f} s, at most "
        f"{row['max_s']:.1f} s, bound {BOUND_SECONDS:g} s: {met(row)} (seconds: {parts})"
    )


PARTS = ("program_s", "encoders_s", "catalogue_s", "events_s", "model_version_s", "first_answers_s")


if __name__ == "__main__":
    main()
