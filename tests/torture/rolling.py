"""Two servers that are restarted in turns while clients ask both: `python -m tests.torture.rolling --calls 10000`.

Each has an embedded store of its own with the same items; both record events into one database.
"""

import argparse
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from engine.events.sql import SqlEventStore
from tests.service.test_serve_command import PROGRAM, ROOT
from triveni.client import Client, TriveniError

ITEMS = [{"id": f"item-{row}", "text": f"a bird and {row} trees"} for row in range(60)]
_READY_SECONDS = 120.0


class ServerProcess:
    """A server on a port that it keeps over restarts.

    Args:
        folder: of both servers.
        name: of this one.
        tiny: `tests.service.serve_tiny`, which starts fast and has a database of its own; else `triveni serve`.
    """

    def __init__(self, folder: Path, name: str, *, tiny: bool) -> None:
        self._folder, self._name, self._tiny = folder, name, tiny
        (folder / name).mkdir()
        self._log = (folder / f"{name}.log").open("a+")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        settings = {
            "STORE__PATH": self._folder / self._name / "store",
            "STORE__RESERVE_MB": 1,
            "EVENTS__URL": f"sqlite:///{self._folder / 'events.db'}",
            "MODELS__PATH": self._folder / self._name / "models",
            "LOG__JSON_LINES": "true",
        }
        environment = {**os.environ, **{f"TRIVENI_{key}": str(value) for key, value in settings.items()}}
        command = ["-c", PROGRAM, "serve", "--address", self.address]
        if self._tiny:
            command = ["-m", "tests.service.serve_tiny", str(self._folder / self._name), "20", self.address]
        self._log.seek(0, os.SEEK_END)
        begin = self._log.tell()
        self.process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stderr=self._log, stdout=self._log
        )
        until = time.monotonic() + _READY_SECONDS
        while '"ready"' not in self._read(begin):
            assert time.monotonic() < until and self.process.poll() is None, self._read(begin)
            time.sleep(0.05)

    def _read(self, begin: int) -> str:
        self._log.seek(begin)
        return self._log.read()

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        assert code == 0, f"it ended with code {code}: {self._read(0)[-2000:]}"

    def refused(self) -> int:
        """Calls that it refused because it was stopping: each was tried again by the client."""
        calls = (json.loads(line) for line in self._read(0).splitlines() if '"call"' in line)
        return sum(call["event"] == "call" and call["code"] == "UNAVAILABLE" for call in calls)

    def close(self) -> None:
        """End it, however it is."""
        if hasattr(self, "process"):
            self.process.kill()
            self.process.wait()
        self._log.close()


@dataclass(slots=True)
class Result:
    """What clients saw."""

    calls: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    refused: int = 0
    """Calls that a stopping server refused, and that were answered by another try."""
    lost: int = 0
    """Events that were acknowledged and are not there exactly once."""
    slowest: float = 0.0
    """Seconds."""
    seconds: float = 0.0


def roll(
    folder: Path, calls: int, restarts: int, threads: int = 8, out: IO[str] | None = None, *, tiny: bool = False
) -> Result:
    """Restart both servers in turns until so many calls were made, and so many restarts.

    Args:
        folder: an empty one.
        calls: at least.
        restarts: of both together, at least.
        threads: that call at the same time, through one client.
        out: is told of each restart.
        tiny: see `ServerProcess`.
    """
    result, done, counting = Result(), threading.Event(), threading.Lock()
    with ExitStack() as opened:
        servers = [ServerProcess(folder, name, tiny=tiny) for name in ("one", "two")]
        for server in servers:
            opened.callback(server.close)
            server.start()
            with Client(server.address) as client:
                assert client.upsert(ITEMS).stored == len(ITEMS)
        client = opened.enter_context(Client(f"ipv4:{','.join(server.address for server in servers)}"))
        recorded: list[str] = []

        def call(number: int) -> None:
            turn = number % 3
            if turn == 0:
                assert len(client.recommend(user=f"u{number % 50}", limit=5)) == 5
            elif turn == 1:
                assert len(client.search(f"bird {number}", limit=5)) == 5
            else:
                user, item = f"u{number % 50}", ITEMS[number % len(ITEMS)]["id"]
                assert client.record(user=user, kind="click", item=item, id=f"e{number}").recorded == 1
                recorded.append(f"e{number}")

        numbers = itertools.count()

        def work() -> None:
            while not done.is_set():
                began = time.monotonic()
                try:
                    call(next(numbers))
                    failed = ""
                except (TriveniError, AssertionError) as error:
                    failed = f"{type(error).__name__}: {error}"
                with counting:
                    result.calls += 1
                    result.slowest = max(result.slowest, time.monotonic() - began)
                    if failed:
                        result.failed[failed] += 1

        began = time.monotonic()
        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        try:
            for server in itertools.cycle(servers):
                server.stop()
                server.start()
                result.restarts += 1
                if out:
                    print(f"\r{result.restarts} restarts, {result.calls} calls", end="", file=out, flush=True)
                if result.restarts >= restarts and result.calls >= calls:
                    break
        finally:
            done.set()
            for worker in workers:
                worker.join()
        result.seconds = time.monotonic() - began
        for server in servers:
            server.stop()
        result.refused = sum(server.refused() for server in servers)
    there: Counter[str] = Counter()
    for path in folder.rglob("events.db"):
        with closing(SqlEventStore(f"sqlite:///{path}")) as events:
            there.update(one.event.id for one in events.export())
    result.lost = sum(there[name] != 1 for name in recorded)
    return result


def main() -> None:
    """Run it, and print what clients saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--restarts", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rolling-") as folder:
        result = roll(Path(folder), options.calls, options.restarts, out=sys.stderr)
    print(
        f"\n{result.calls} calls, {result.failed.total()} failed, {result.refused} needed another try; "
        f"{result.restarts} restarts in {result.seconds:.0f} s; acknowledged events lost or doubled: {result.lost}; "
        f"the slowest call took {result.slowest:.2f} s"
    )
    for problem, count in result.failed.most_common():
        print(f"{count} × {problem}")
    sys.exit(bool(result.failed or result.lost))


if __name__ == "__main__":
    main()
