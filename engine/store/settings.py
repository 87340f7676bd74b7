"""Settings of the vector store."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from engine.core.section import Section
from engine.store.quantization import Quantization


class StoreSettings(Section):
    """Where item vectors are kept."""

    backend: Literal["edge", "server"] = "edge"
    """`edge` is Qdrant embedded in the process, on disk; `server` is a Qdrant server or cluster."""
    path: Path = Path("var/store")
    """The folder of the embedded store."""
    reserve_mb: int = Field(default=256, ge=0)
    """Megabytes of the embedded store's disk that stay free: writes are refused before it is full."""
    quantization: Quantization = "4bit"
    """How small the vectors are that searches compare; the full ones, on disk, have the last word."""
    build_memory_mb: int = Field(default=0, ge=0)
    """Megabytes that building the search graphs of an embedded store may take; 0 is a quarter of the memory."""
    url: str = "grpc://127.0.0.1:6334"
    """The address of the server, or those of some nodes of one cluster, with commas between or as a list."""
    api_key: str = Field(default="", repr=False)
    """Sent to the server with each call."""
    collection: str = Field(default="items", pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    """The alias that serves. Each space has a collection of its own, `<collection>-<fingerprint>`."""
    timeout_seconds: float = Field(default=30.0, gt=0)
    """How long one call to the server may take."""
    shards: int = Field(default=0, ge=0)
    """The parts that a new collection is cut into on a cluster; 0 makes one for each node."""
    replicas: int = Field(default=2, gt=0)
    """The nodes that keep each part of a new collection, so that one may be lost; at most as many as there are."""
    write_consistency: int = Field(default=1, gt=0)
    """The replicas that must have taken a write before it counts."""
    cache_mb: int = Field(default=128, ge=0)
    """Megabytes of a server's vectors that a process keeps once it has read them, while they are the same."""

    @field_validator("url", mode="before")
    @classmethod
    def _with_commas(cls, url: object) -> object:
        return ",".join(map(str, url)) if isinstance(url, list) else url

    @model_validator(mode="after")
    def _no_more_than_there_are(self) -> "StoreSettings":
        if self.write_consistency > self.replicas:
            raise ValueError(f"write_consistency is above replicas, which is {self.replicas}")
        return self


DEFAULTS = StoreSettings()
