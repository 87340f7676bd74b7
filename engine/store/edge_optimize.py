"""A program of its own: build the search graphs of a shard folder that nobody has open.

Qdrant Edge keeps Python's global lock while it works, so in the process that serves nothing else would run for
as long as that takes. It is started by path and imports nothing of ours, to be quick. How far it is goes to standard
output, a line each time: the share that is done, and what is being done.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import qdrant_edge as edge

_CHUNK = 512
"""Points per read and write."""
_READING = 0.1
"""The part of the time that is spent on reading and writing points, about."""
_QUANTIZATIONS = {
    "none": None,
    "int8": edge.ScalarQuantizationConfig(edge.ScalarType.Int8, quantile=0.99, memory=edge.Memory.Pinned),
    "4bit": edge.TurboQuantQuantizationConfig(bits=edge.TurboQuantBitSize.Bits4, memory=edge.Memory.Pinned),
}


def main(order: str) -> None:
    """Do what `engine.store.edge_build.Build` says, politely."""
    build = json.loads(order)
    os.nice(build["niceness"])
    if build["source"] is None:
        _tell(0.0, "building the search graph")
        _graphs(build)
    else:
        _rewrite(build)


def _open(path: str, build: dict[str, Any]) -> edge.EdgeShard:
    """Open a shard, and let what is built from now on be as it is ordered."""
    about = json.loads((Path(path) / "edge_config.json").read_text(encoding="utf-8"))
    originals = edge.Memory.Cached if build["quantization"] == "none" else edge.Memory.Cold
    nearest = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
    vectors = {
        name: edge.EdgeVectorParams(
            one["size"],
            getattr(edge.Distance, one["distance"]),
            multivector_config=nearest if one.get("multivector_config") else None,
            memory=originals,
        )
        for name, one in about["vectors"].items()
    }
    optimizers = edge.EdgeOptimizersConfig(
        indexing_threshold=about["optimizers"]["indexing_threshold"], max_segment_size=build["segment_kb"]
    )
    quantization = _QUANTIZATIONS[build["quantization"]]
    return edge.EdgeShard.load(
        path, edge.EdgeConfig(vectors=vectors, quantization_config=quantization, optimizers=optimizers)
    )


def _graphs(build: dict[str, Any]) -> None:
    """Build the graphs over those points of a shard that none holds."""
    shard = _open(build["path"], build)
    shard.optimize()
    shard.flush()
    shard.close()


def _rewrite(build: dict[str, Any]) -> None:
    """Write all points of one shard into another, and build a graph after each part of them.

    Both shards are opened anew for each part: so the pages of their files that were read do not add up in memory.
    """
    done, cursor = 0, None
    while True:
        part = f"part {1 + done // build['part']} of {build['parts']}"
        source, shard = edge.EdgeShard.load(build["source"]), _open(build["path"], build)
        written = 0
        while written < build["part"]:
            page, cursor = source.scroll(
                edge.ScrollRequest(
                    offset=cursor, limit=min(_CHUNK, build["part"] - written), with_payload=True, with_vector=True
                )
            )
            points = [edge.Point(one.id, one.vector or {}, one.payload) for one in page]
            shard.update(edge.UpdateOperation.upsert_points(points))
            written += len(page)
            _tell((done + _READING * written) / build["points"], f"writing {part}")
            if cursor is None:
                break
        shard.flush()
        for one in (source, shard):
            one.close()
        _tell((done + _READING * written) / build["points"], f"building the search graph of {part}")
        _graphs(build)
        done += written
        if cursor is None:
            break
    _tell(1.0, "taking it over")


def _tell(share: float, stage: str) -> None:
    print(f"{min(share, 1.0):.4f} {stage}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
