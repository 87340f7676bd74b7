"""How long a backup and a restore take, their memory, and what a backup costs those who ask meanwhile.

    python -m benchmarks.backup [--items 100000] [--events 1000000] [--folder DIR] [--json]

The deployment is that of `benchmarks.recovery`. It is served; text searches are asked one at a time, first by
themselves, then while `triveni backup` takes the archive; after that the server stops, and `triveni restore --into`
puts it into a new folder. Seconds of the commands from start to end, the largest resident memory of each process.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from benchmarks.deployment import environment, fill, settings_in
from benchmarks.recovery import started
from benchmarks.wire import Row
from triveni.client import Client

ALONE_SECONDS = 10.0


def commanded(folder: Path, *arguments: str) -> tuple[float, float]:
    """Seconds that a command takes, and megabytes of memory at most."""
    command = [sys.executable, "-m", "engine.cli", *arguments]
    began = time.perf_counter()
    process = psutil.Popen(command, env=environment(folder), stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        try:
            peak = max(peak, process.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.02)
    if process.wait():
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}")
    return time.perf_counter() - began, peak / 1e6


def searched(address: str, ended: threading.Event) -> list[float]:
    """Milliseconds of each text search, one after the other."""
    took = []
    with Client(address) as client:
        while not ended.is_set():
            began = time.perf_counter()
            client.search(f"a red bird, number {len(took)}", limit=10)
            took.append((time.perf_counter() - began) * 1e3)
    return took


def measure(folder: Path, scratch: Path) -> Row:
    """Seconds, megabytes and milliseconds."""
    process, address, _ = started(folder)
    try:
        ended, alone = threading.Event(), []
        threading.Timer(ALONE_SECONDS, ended.set).start()
        alone = searched(address, ended)
        before, beside, ended = psutil.Process(process.pid).memory_info().rss, [], threading.Event()
        asking = threading.Thread(target=lambda: beside.extend(searched(address, ended)))
        asking.start()
        peak = [0]
        watching = threading.Thread(target=_watch, args=(process.pid, ended, peak))
        watching.start()
        seconds, memory = commanded(folder, "backup", str(scratch / "all.tar"))
        ended.set()
        asking.join()
        watching.join()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    check_seconds, _ = commanded(folder, "restore", str(scratch / "all.tar"), "--check")
    restore_seconds, restore_memory = commanded(
        folder, "restore", str(scratch / "all.tar"), "--into", str(scratch / "restored")
    )
    return {
        "backup_s": seconds,
        "command_mb": memory,
        "server_mb": peak[0] / 1e6,
        "server_more_mb": (peak[0] - before) / 1e6,
        "archive_mb": (scratch / "all.tar").stat().st_size / 1e6,
        "search_alone_p50_ms": float(np.median(alone)),
        "search_alone_p95_ms": float(np.percentile(alone, 95)),
        "search_beside_p50_ms": float(np.median(beside)),
        "search_beside_p95_ms": float(np.percentile(beside, 95)),
        "check_s": check_seconds,
        "restore_s": restore_seconds,
        "restore_mb": restore_memory,
    }


def _watch(pid: int, ended: threading.Event, peak: list[int]) -> None:
    while not ended.wait(0.02):
        peak[0] = max(peak[0], psutil.Process(pid).memory_info().rss)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="keep what is filled there, or use what is; else a temporary one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "deployment"
        if not (folder / "store").exists():
            fill(settings_in(folder), options.items, options.events)
        row = measure(folder, Path(temporary))
    if options.json:
        print(json.dumps({"items": options.items, "events": options.events, **row}))
        return
    print(
        f"{options.items:,} items, {options.events:,} events: backup {row['backup_s']:.1f} s while serving, "
        f"{row['archive_mb']:,.0f} MB; the server takes {row['server_more_mb']:,.0f} MB more; a search meanwhile "
        f"{row['search_beside_p50_ms']:.1f} ms, alone {row['search_alone_p50_ms']:.1f} ms (p95 "
        f"{row['search_beside_p95_ms']:.1f} and {row['search_alone_p95_ms']:.1f})\n"
        f"checksums compared in {row['check_s']:.1f} s; restored in {row['restore_s']:.1f} s with "
        f"{row['restore_mb']:,.0f} MB"
    )


if __name__ == "__main__":
    main()
