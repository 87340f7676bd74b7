"""Qdrant nodes of our own, to kill and start again. The program's path is in QDRANT_BINARY."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

QDRANT_BINARY = os.environ.get("QDRANT_BINARY", "")
NO_BINARY = "set QDRANT_BINARY to a qdrant program to run the tests that kill nodes of a cluster"
_READY_SECONDS = 60.0


class ClusterNode:
    """A node on ports of its own; one may be started again in its folder.

    Args:
        folder: for all that it keeps.
        first: the node that it joins; None founds a cluster.
    """

    def __init__(self, folder: Path, first: "ClusterNode | None") -> None:
        self._folder = folder
        self._first = first
        self.http, self.grpc, self.p2p = (_free_port() for _ in range(3))
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, scheme: str) -> str:
        """Its address."""
        return f"{scheme}://127.0.0.1:{self.http if scheme == 'http' else self.grpc}"

    def start(self) -> None:
        """Start it, and wait until it is part of the cluster."""
        self._folder.mkdir(exist_ok=True)
        command = [QDRANT_BINARY, "--uri", f"http://127.0.0.1:{self.p2p}"]
        if self._first is not None:
            command += ["--bootstrap", f"http://127.0.0.1:{self._first.p2p}"]
        settings = {
            "CLUSTER__ENABLED": "true",
            "CLUSTER__P2P__PORT": str(self.p2p),
            "LOG_LEVEL": "WARN",
            "SERVICE__HOST": "127.0.0.1",
            "SERVICE__HTTP_PORT": str(self.http),
            "SERVICE__GRPC_PORT": str(self.grpc),
            "STORAGE__WAL__WAL_CAPACITY_MB": "1",
            "TELEMETRY_DISABLED": "true",
        }
        environment = {**os.environ, **{f"QDRANT__{key}": value for key, value in settings.items()}}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, env=environment, stdout=log, stderr=log)
        until = time.monotonic() + _READY_SECONDS
        while not self._ready():
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError(f"{self.url('http')} did not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def _ready(self) -> bool:
        try:
            with urlopen(f"{self.url('http')}/readyz", timeout=5) as answer:
                return int(answer.status) == 200
        except (URLError, OSError):
            return False

    @property
    def running(self) -> bool:
        """Whether it was started and not killed."""
        return self._process is not None

    def silence(self, silent: bool) -> None:
        """Let it answer nothing while its connections stay, as a machine that hangs; or wake it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP if silent else signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def cluster(folder: Path, nodes: int = 3) -> Iterator[list[ClusterNode]]:
    """A cluster of new nodes."""
    first = ClusterNode(folder / "node-0", None)
    made = [first, *(ClusterNode(folder / f"node-{number}", first) for number in range(1, nodes))]
    try:
        for node in made:
            node.start()
        yield made
    finally:
        for node in made:
            node.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
