"""Settings of the gRPC service and its log."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from engine.core.section import Section


class ServiceSettings(Section):
    """The gRPC server."""

    address: str = "127.0.0.1:50051"
    """host:port to listen on."""
    insecure: bool = False
    """Whether it may listen on an address that other machines reach although it does not encrypt."""
    tls_cert: Path | None = None
    """The PEM file of the certificate chain; with `tls_key` it encrypts gRPC and HTTP. Read again when changed."""
    tls_key: Path | None = None
    """The PEM file of its private key, without a passphrase."""
    tls_client_ca: Path | None = None
    """The PEM file of certificates, one of which must have signed a client's; without it clients need none."""
    threads: int = Field(default=0, ge=0)
    """Recommendations and searches that are worked on at once; 0 is 2 over an embedded store, where Python works on
    one at a time, and 8 where they wait for a Qdrant server."""
    queue_target: float = Field(default=0.1, gt=0)
    """Seconds that calls may wait under overload; what would wait longer is refused with RESOURCE_EXHAUSTED."""
    queue_burst: float = Field(default=2.0, gt=0)
    """Seconds that calls may wait otherwise, if their callers have twice as long."""
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

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None) or (self.tls_client_ca and not self.tls_cert):
            raise ValueError("service.tls_cert and service.tls_key go together, and service.tls_client_ca with both")
        return self


class MetricsSettings(Section):
    """What the server counts and measures, for Prometheus."""

    address: str = ""
    """HOST:PORT to show it on; empty turns it off. It is neither encrypted nor asks for credentials."""
    insecure: bool = False
    """Whether it may listen on an address that other machines reach."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which it is asked, beside localhost and IP addresses; "*" allows all."""


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
    audit: Path | None = None
    """The file that writes, trainings, decisions and refused calls are noted in, one JSON object a line."""
