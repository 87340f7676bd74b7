"""Runs the code of a page in the current folder, as its reader would: `python -m tests.docs.run_page docs/index.md`.

Shell blocks go through bash, Python blocks share their names, a block with a title is written to that file. A line
`triveni serve` leaves a server running behind the blocks that follow, on free ports; it has to end well.
"""

import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.docs.pages import Block, blocks

_SERVE = "triveni serve"


def run_page(path: Path) -> None:
    """Run all blocks of a page; the first that fails is named."""
    names: dict[str, object] = {"__name__": "__main__"}
    os.environ["TRIVENI_SERVER"] = os.environ["TRIVENI_SERVICE__ADDRESS"] = _free_address()
    http = _free_address()
    with ExitStack() as servers:
        for block in blocks(path.read_text(encoding="utf-8").replace("127.0.0.1:8080", http)):
            if block.reason:
                continue
            try:
                _run(block, names, servers)
            except BaseException as error:
                raise SystemExit(f"{path}:{block.line}: {type(error).__name__}: {error}") from error


def _free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def _run(block: Block, names: dict[str, object], servers: ExitStack) -> None:
    if block.title:
        Path(block.title).parent.mkdir(parents=True, exist_ok=True)
        Path(block.title).write_text(block.code, encoding="utf-8")
    elif block.language == "python":
        exec(compile(block.code, "page", "exec"), names)
    elif block.language == "bash":
        if block.code.startswith(_SERVE):
            servers.enter_context(_serving(block.code.split()))
        else:
            subprocess.run(["/bin/bash", "-euo", "pipefail", "-c", block.code], check=True, timeout=60)
    elif block.language == "toml":
        tomllib.loads(block.code)


@contextmanager
def _serving(command: list[str]) -> Iterator[None]:
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    log = []
    assert server.stderr is not None
    for line in server.stderr:
        log.append(line)
        if "ready" in line:
            break
    try:
        if server.poll() is not None:
            raise RuntimeError("the server did not start:\n" + "".join(log))
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        rest = server.communicate(timeout=60)[1]
        if server.returncode != 0:
            raise RuntimeError(f"the server ended with {server.returncode}:\n{rest}")


if __name__ == "__main__":
    run_page(Path(sys.argv[1]).resolve())
