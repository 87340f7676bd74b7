"""How a collection lies on the nodes of a Qdrant cluster."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """How a new collection lies on the nodes of a cluster. A single node keeps all of it, once."""

    shards: int = 0
    """The parts that it is cut into; 0 makes one for each node."""
    replicas: int = 2
    """The nodes that keep each part, so that one may be lost; at most as many as there are."""
    write_consistency: int = 1
    """The replicas that must have taken a write before it is acknowledged. All are asked; one that fails is left out
    of reads until it has caught up."""
