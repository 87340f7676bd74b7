"""Parquet read in a process of its own, which may take only so much memory.

What a page of Parquet says of itself, and what its footer says of it, may be lies: a few kilobytes unpack to
gigabytes, one value stands for a million. So nothing is believed; what takes more than `MAX_BYTES` to read is refused
by the system, and a file that a defect of the library trips over ends no more than the process that reads it.
"""

import atexit
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

MAX_BYTES = 2 << 30
"""Of addresses that reading may take, over what the process has."""

_BUFFER = 1 << 20
_LARGE = 256 << 20
"""A process that has taken so much memory reads no other file."""
_SAID = 1000
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from engine.core.parquet_process import main; main()"
)
_idle: "deque[Process]" = deque()
"""Processes that wait for a file. Its append and pop are atomic."""


def parquet_batches(path: Path, size: int, columns: Sequence[str] | None) -> Generator[pa.RecordBatch, None, None]:
    """The rows of a file, so many at once at the most.

    Raises:
        ValueError: if it cannot be read, or takes too much memory.
    """
    process = _borrow()
    try:
        yield from process.read({"path": str(path.absolute()), "size": size, "columns": columns and list(columns)})
    finally:
        if process.usable:
            _idle.append(process)
        else:
            process.end()


def _borrow() -> "Process":
    while _idle:
        with suppress(IndexError):  # another thread was faster
            process = _idle.pop()
            if process.usable:
                return process
            process.end()
    return Process()


@atexit.register
def _end_all() -> None:
    while _idle:
        _idle.pop().end()


class Process:
    """A process that reads files, one after the other. It ends with this one, when its input does."""

    def __init__(self) -> None:
        # Arrow's own allocator takes addresses by the gigabyte in advance, and threads of its own are of no use.
        quiet = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
        self._owner = os.getpid()
        self._between = True
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _PROGRAM, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **quiet},
            start_new_session=True,  # Ctrl-C is for us
        )

    @property
    def usable(self) -> bool:
        """Whether it waits for a file, and is ours: after a fork it belongs to the parent."""
        return self._between and self._owner == os.getpid() and self._process.poll() is None

    def read(self, job: dict[str, Any]) -> Iterator[pa.RecordBatch]:
        """The rows of a file. If they are not all taken, the process is of no further use."""
        there, back = self._process.stdin, self._process.stdout
        assert there is not None
        assert back is not None
        self._between = False
        try:
            there.write(json.dumps({**job, "bytes": MAX_BYTES}).encode() + b"\n")
            there.flush()
            with pa.ipc.open_stream(pa.PythonFile(back, "r")) as reader:
                yield from reader
            said = json.loads(back.readline())
        except (pa.ArrowException, OSError, ValueError):
            raise ValueError(f"the process that read it ended ({self._how()}); it may be made to do so") from None
        self._between = not said["last"]
        if said["problem"]:
            raise ValueError(said["problem"])

    def _how(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(5)
            return f"signal {-code}" if code < 0 else f"exit code {code}"
        return "it hangs"

    def end(self) -> None:
        """Stop it, whatever it does."""
        if self._owner == os.getpid():
            self._process.kill()
            for end in (self._process.stdin, self._process.stdout):
                if end is not None:
                    with suppress(OSError):  # what was not yet sent
                        end.close()
            self._process.wait()


# The other side ---------------------------------------------------------------------------------------------


def read_here(path: Path, size: int, columns: Sequence[str] | None) -> Generator[pa.RecordBatch, None, None]:
    """`parquet_batches` in this process, and without a limit."""
    import pyarrow.parquet as pq  # slow to import

    with pq.ParquetFile(path, pre_buffer=False, memory_map=False, buffer_size=_BUFFER) as file:
        yield from file.iter_batches(size, columns=columns, use_threads=False)


def main() -> None:
    """Read files: a line of the input names one, its rows go out as a stream of Arrow, a line says how it went."""
    import pyarrow.parquet  # noqa: F401 (before memory is limited)

    out = sys.stdout.buffer
    for line in sys.stdin.buffer:
        job = json.loads(line)
        _limit_memory(job["bytes"])
        problem = _answer(job, out)
        last = _taken(1) > _LARGE
        out.write(json.dumps({"problem": problem[:_SAID], "last": last}).encode() + b"\n")
        out.flush()
        if last:
            break


def _answer(job: dict[str, Any], out: BinaryIO) -> str:
    """Send the rows; says what went wrong, "" if nothing did."""
    problem, writer = "", None
    try:
        for batch in read_here(Path(job["path"]), job["size"], job["columns"]):
            writer = writer or pa.ipc.new_stream(out, batch.schema)
            writer.write_batch(batch)
    except MemoryError:
        problem = f"reading it takes more than {job['bytes']} bytes: smaller pages and rows can be read"
    except (pa.ArrowException, OSError, ValueError) as error:
        problem = str(error) or type(error).__name__
    (writer or pa.ipc.new_stream(out, pa.schema([]))).close()
    return problem


def _taken(field: int) -> int:
    """Bytes of this process: 0 of addresses, 1 in memory."""
    with suppress(OSError), open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[field]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _limit_memory(more: int) -> None:
    """Let this process take so many bytes of addresses more than it has; not on systems that know no such limit."""
    with suppress(ImportError, ValueError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        soft = _taken(0) + more
        resource.setrlimit(resource.RLIMIT_AS, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
