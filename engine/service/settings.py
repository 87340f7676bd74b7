"""Settings of the gRPC service and its log."""

from typing import Literal

from pydantic import Field, SecretStr

from engine.core.section import Section


class ServiceSettings(Section):
    """The gRPC server."""

    address: str = "127.0.0.1:50051"
    """host:port to listen on."""
    threads: int = Field(default=0, ge=0)
    """Recommendations and searches that are worked on at once; 0 is 2 over an embedded store, where Python works on
    one at a time, and 8 where they wait for a Qdrant server."""
    queue_target: float = Field(default=0.1, gt=0)
    """Seconds that calls may wait under overload; what would wait longer is refused with RESOURCE_EXHAUSTED."""
    queue_burst: float = Field(default=0.5, gt=0)
    """Seconds that calls may wait otherwise; where a queue stands for longer than that, there is overload."""
    max_queue: int = Field(default=256, gt=0)
    """Calls of one class of work that may wait, whatever the time."""
    max_message_bytes: int = Field(default=16 << 20, gt=0)
    """Bytes of a request; larger ones are refused."""
    max_batch: int = Field(default=32, gt=0)
    """Contents of different calls that are encoded together."""
    drain_seconds: float = Field(default=20.0, ge=0)
    """How long running calls may go on after SIGTERM."""
    reflection: bool = True
    """Whether clients such as grpcurl may ask for the contract."""


class MetricsSettings(Section):
    """What the server counts and measures, for Prometheus."""

    address: str = ""
    """HOST:PORT to show it on; empty turns it off."""


class TracingSettings(Section):
    """Spans of calls and their stages, for OpenTelemetry."""

    endpoint: str = Field(default="", pattern=r"^(https?://.+)?$")
    """URL of a collector that takes OTLP over gRPC, such as http://127.0.0.1:4317; empty turns it off."""
    share: float = Field(default=1.0, ge=0, le=1)
    """Of the calls that bring no trace of their own, so many are traced."""


class LogSettings(Section):
    """Logs, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    json_lines: bool = False
    """Whether each line is a JSON object."""
    user_key: SecretStr = SecretStr("")
    """The key of the hash that stands for a user's id in lines and spans; who has it can find a person's lines. Empty
    draws a new one at each start."""
