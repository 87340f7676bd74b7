"""The process that renders drawings: requests on stdin, answers on stdout, until stdin ends.

It is run as a script by `encoders.render` and imports nothing of ours, so that it starts fast. A request is
three little-endian uint32 (bytes of SVG, width, height) and the SVG; an answer is two (0 for a PNG or 1 for a
message, its bytes) and that.
"""

import struct
import sys
from typing import BinaryIO

import resvg_py

MEMORY = 2 << 30
"""Bytes of address space: a drawing that needs more ends the process, not the machine."""


def main() -> None:
    """Answer requests until stdin ends."""
    _confine()
    while header := sys.stdin.buffer.read(12):
        length, width, height = struct.unpack("<III", header)
        svg = sys.stdin.buffer.read(length).decode()
        try:
            png = resvg_py.svg_to_bytes(
                svg_string=svg,
                background="#ffffff",
                skip_system_fonts=True,
                dpi=96.0,  # the default of 0 leaves lengths in mm and pt without a size
                width=width,
                height=height,
            )
        except ValueError as error:
            _answer(sys.stdout.buffer, 1, str(error).encode())
        else:
            _answer(sys.stdout.buffer, 0, png)


def _answer(out: BinaryIO, status: int, body: bytes) -> None:
    out.write(struct.pack("<II", status, len(body)) + body)
    out.flush()


def _confine() -> None:
    try:
        import resource
    except ImportError:  # pragma: no cover (not a Unix)
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
