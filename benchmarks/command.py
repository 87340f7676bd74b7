"""The command line's search against a running server, beside a bare gRPC client that asks the same.

    python -m benchmarks.command [--rounds 9] [--json]

Each is a process of its own, by turns, from its start to its end: Python that does nothing, a bare client (grpcio and
the generated code, one Recommend call), `triveni search --server`, `triveni search` that finds the server by itself,
and help. The server is `triveni serve` over the space of the settings and a small catalogue of texts.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.service import log_lines, met
from benchmarks.wire import Row

BOUND_SECONDS = 1.0
ITEMS = 200
BARE = """
import sys, grpc
from triveni.v1 import content_pb2, recommendation_pb2, recommendation_pb2_grpc
with grpc.insecure_channel(sys.argv[1]) as channel:
    part = recommendation_pb2.QueryPart(content=content_pb2.Content(text="a red bird"))
    stub = recommendation_pb2_grpc.RecommendationServiceStub(channel)
    print(stub.Recommend(recommendation_pb2.RecommendRequest(parts=[part], limit=10), timeout=30))
"""
TRIVENI = (sys.executable, "-m", "engine.cli")


def seconds(command: tuple[str, ...], environment: dict[str, str]) -> float:
    """Of a process, from its start to its end."""
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def command_line(rounds: int, folder: Path) -> Row:
    """Median seconds of each process, and of the search against the bare client."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TRIVENI_STORE")},
        "TRIVENI_STORE__PATH": str(folder / "store"),
        "TRIVENI_EVENTS__URL": f"sqlite:///{folder / 'events.db'}",
        "TRIVENI_LOG__JSON_LINES": "true",
    }
    catalog = folder / "items.jsonl"
    rows = ({"id": str(row), "text": f"a red bird, number {row}"} for row in range(ITEMS))
    catalog.write_text("".join(json.dumps(row) + "\n" for row in rows))
    subprocess.run([*TRIVENI, "index", str(catalog)], env=environment, check=True, capture_output=True)
    process = subprocess.Popen(
        [*TRIVENI, "serve", "--address", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        port = next(line["port"] for line in log_lines(process) if line.get("event") == "ready")
        address = f"127.0.0.1:{port}"
        unset = {name: value for name, value in environment.items() if not name.startswith("TRIVENI_")}
        asked = {
            "python": ((sys.executable, "-c", "pass"), unset),
            "bare_client": ((sys.executable, "-c", BARE, address), unset),
            "search": ((*TRIVENI, "search", "a red bird", "--server", address), unset),
            "search_with_settings": ((*TRIVENI, "search", "a red bird", "--server", address), environment),
            "search_found": ((*TRIVENI, "search", "a red bird"), environment),
            "help": ((*TRIVENI, "--help"), unset),
            "index_help": ((*TRIVENI, "index", "--help"), unset),
        }
        took: dict[str, list[float]] = {name: [] for name in asked}
        for turn in range(rounds + 1):
            for name, (command, values) in asked.items():
                spent = seconds(command, values)
                if turn:  # the first round warms up
                    took[name].append(spent)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
    medians = {f"{name}_s": float(np.median(values)) for name, values in took.items()}
    ratio = float(np.median(np.asarray(took["search"]) / np.asarray(took["bare_client"])))
    slowest = max(medians[f"{name}_s"] for name in ("search", "search_with_settings", "search_found"))
    return {**medians, "search_in_bare_clients": ratio, "within": slowest <= BOUND_SECONDS}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        row = command_line(options.rounds, Path(scratch))
    if options.json:
        print(json.dumps(row))
        return
    print(
        f"triveni search against a running server {row['search_s']:.2f} s, with settings to read "
        f"{row['search_with_settings_s']:.2f} s, finding the server by itself {row['search_found_s']:.2f} s; a bare "
        f"gRPC client {row['bare_client_s']:.2f} s ({row['search_in_bare_clients']:.1f} of those), Python alone "
        f"{row['python_s']:.2f} s; bound {BOUND_SECONDS:g} s: {met(row)}\n"
        f"triveni --help {row['help_s']:.2f} s, triveni index --help {row['index_help_s']:.2f} s"
    )


if __name__ == "__main__":
    main()
