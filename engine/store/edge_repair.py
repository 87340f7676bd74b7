"""Repairs of the files of a shard that nobody has open.

What a kill leaves in them Qdrant Edge would not open again.

Edge adds a named vector to one segment after the other and to its own description last, and drops one in that order
too. Killed in between, the parts do not agree, and `EdgeShard.load` refuses all of them ("config is incompatible with
existing segments"). What a drop has left of a vector's files would also come back with the next one of that name.
"""

import json
import shutil
from collections.abc import Set
from pathlib import Path
from typing import Any

from engine.core.files import write_atomically


def forget_vectors(shard: Path, names: Set[str]) -> None:
    """Take named vectors out of all parts of a shard that nobody has open. No point may need them.

    Raises:
        DiskError: if the files cannot be written.
        ValueError: if they are not what Edge writes.
    """
    if not names:
        return
    _forget(shard / "edge_config.json", names, "vectors")
    _forget(shard / "edge_config.json", names, "sparse_vectors")
    for segment in (shard / "segments").glob("*"):
        if (about := segment / "segment.json").exists():
            _forget(about, names, "config", "vector_data")
            _forget(about, names, "config", "sparse_vector_data")
        for name in names:
            for part in ("vector_storage", "vector_index"):
                shutil.rmtree(segment / f"{part}-{name}", ignore_errors=True)


def leave_on_disk(shard: Path) -> None:
    """Let Edge read the vectors of a shard that nobody has open from disk as they are needed, not all as it opens."""
    for about in (shard / "segments").glob("*/segment.json"):
        document = json.loads(about.read_text(encoding="utf-8"))
        for vector in document["config"]["vector_data"].values():
            vector["storage_type"] = vector["storage_type"].removeprefix("InRam")
        write_atomically(about, json.dumps(document))


def _forget(path: Path, names: Set[str], *way: str) -> None:
    """Take keys out of a table of a JSON file."""
    document = json.loads(path.read_text(encoding="utf-8"))
    table: dict[str, Any] = document
    for step in way:
        table = table.get(step) or {}
    if table.keys() & names:
        for name in names:
            table.pop(name, None)
        write_atomically(path, json.dumps(document))
