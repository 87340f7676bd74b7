"""Settings of the HTTP door."""

from pydantic import Field

from engine.core.section import Section


class HttpSettings(Section):
    """HTTP/JSON beside gRPC."""

    address: str = ""
    """HOST:PORT to listen on; empty turns it off. It is encrypted as gRPC is (`service.tls_cert`)."""
    insecure: bool = False
    """Whether it may listen on an address that other machines reach although it does not encrypt."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which it may be asked, beside localhost and IP addresses; "*" allows all."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call it from a browser, such as https://shop.example."""
    body_seconds: float = Field(default=30.0, gt=0)
    """Within which the head of a request has to arrive, and then the body of a call that is no stream."""
    max_connections: int = Field(default=1000, gt=0)
    """At once; more are answered with 503, but for /v1/health."""
