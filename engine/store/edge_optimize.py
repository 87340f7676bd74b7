"""A program of its own: build the search indexes of a shard folder that nobody has open.

Qdrant Edge keeps Python's global lock while it works, so in the process that serves nothing else would run for
as long as that takes. It is started by path and imports nothing of ours, to be quick.
"""

import os
import sys

import qdrant_edge


def main(path: str, niceness: str) -> None:
    """Optimize and flush the shard at `path`, politely."""
    os.nice(int(niceness))
    shard = qdrant_edge.EdgeShard.load(path)
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
