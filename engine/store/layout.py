"""How a collection lies on the nodes of a Qdrant cluster."""

from dataclasses import dataclass

from engine.store.settings import DEFAULTS


@dataclass(frozen=True, slots=True)
class Layout:
    """How a new collection lies on the nodes of a cluster. A single node keeps all of it, once."""

    shards: int = DEFAULTS.shards
    """The parts that it is cut into; 0 makes one for each node."""
    replicas: int = DEFAULTS.replicas
    """The nodes that keep each part, so that one may be lost; at most as many as there are."""
    write_consistency: int = DEFAULTS.write_consistency
    """The replicas that must have taken a write before it is acknowledged. All are asked; one that fails is left out
    of reads until it has caught up."""
