"""Where a server is, and how it is called: what both clients share."""

from __future__ import annotations

import ipaddress
import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from triveni.client.contents import read, text
from triveni.client.errors import InvalidError

if TYPE_CHECKING:
    import grpc

DEFAULT_ADDRESS = "127.0.0.1:50051"
ADDRESS_VARIABLE = "TRIVENI_SERVER"
TOKEN_VARIABLE, API_KEY_VARIABLE = "TRIVENI_TOKEN", "TRIVENI_API_KEY"
TLS_VARIABLE, CA_VARIABLE = "TRIVENI_TLS", "TRIVENI_TLS_CA"
MAX_MESSAGE_BYTES = 16 << 20
"""What a server takes unless its settings say otherwise."""

SERVICES = ("Recommendation", "Catalog", "Encoder", "Event", "Model")
NOT_AGAIN = (
    "CatalogService/UpsertItems",
    "EventService/StreamEvents",
    "ModelService/RollbackModel",
    "ModelService/TrainModel",
)
"""Methods that gRPC must not try again by itself: streams, and what would be done twice."""

_RETRY = MappingProxyType(
    {
        "maxAttempts": 5,
        "initialBackoff": "0.25s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
    }
)
"""About four seconds in all: a server that starts again is back by then. One that has too much to do says after how
long each call shall come again. There is no hedging: it would double the load where there is too much of it."""
_BUDGET = MappingProxyType({"maxTokens": 100, "tokenRatio": 0.5})
"""Once half of the tokens are gone, one for each failure, nothing is tried again; a success gives a ratio back."""


class Connection(ABC):
    """What a client knows of its server.

    Args:
        address: host:port; by default what the environment variable TRIVENI_SERVER says, or 127.0.0.1:50051. Several
            servers are ipv4:HOST:PORT,HOST:PORT or a name that stands for all; calls go to them in turns.
        token: sent as `authorization: Bearer …` with every call; by default what TRIVENI_TOKEN says.
        api_key: sent as `x-api-key` with every call; by default what TRIVENI_API_KEY says, unless there is a token.
        tls: encrypt; so do `ca`, `cert` and `key` by themselves. By default as TRIVENI_TLS says, if that is 1 or 0.
        ca: the file of certificates that are trusted; by default what TRIVENI_TLS_CA says, or those that gRPC brings.
        cert: the file of the client's own certificate chain, where the server asks for one.
        key: the file of its private key.
        timeout: seconds that a call may take where it does not say otherwise; `math.inf` is no limit.
        retry: try calls again that may be made twice: for about four seconds where they found no server, and when
            the server says where it had too much to do.
        media: the folder of the catalogue's media on this machine, for small pictures in notebooks.
        max_message_bytes: the largest message that the server takes (`service.max_message_bytes` of its settings).

    Raises:
        InvalidError: if a file cannot be read, or a secret would be sent in the clear to another machine.
    """

    def __init__(
        self,
        address: str = "",
        *,
        token: str = "",
        api_key: str = "",
        tls: bool | None = None,
        ca: str | Path | None = None,
        cert: str | Path | None = None,
        key: str | Path | None = None,
        timeout: float = 30.0,
        retry: bool = True,
        media: str | Path | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self.address = _checked(address or os.environ.get(ADDRESS_VARIABLE, "") or DEFAULT_ADDRESS)
        if not (token or api_key):
            token = os.environ.get(TOKEN_VARIABLE, "")
            api_key = "" if token else os.environ.get(API_KEY_VARIABLE, "")
        if tls is None:
            tls = os.environ.get(TLS_VARIABLE, "") == "1"
        ca = ca if ca is not None else os.environ.get(CA_VARIABLE) or None
        self.timeout = timeout
        self.media = Path(media) if media is not None else None
        self.max_message_bytes = max_message_bytes
        self._files = {
            name: read(Path(file), name) if file is not None else None
            for name, file in (("ca", ca), ("cert", cert), ("key", key))
        }
        if (cert is None) != (key is None):
            raise InvalidError("cert and key are not both given", "give both, or neither")
        self._tls = tls or any(self._files.values())
        self._metadata = _metadata(token, api_key)
        if self._metadata and not self._tls and not _is_local(self.address):
            raise InvalidError(
                f"a secret would be sent in the clear to {self.address}",
                "give tls=True (or ca=), or reach the server through a tunnel on 127.0.0.1",
                reason="INSECURE_TOKEN",
            )
        self._options = (
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            ("grpc.primary_user_agent", "triveni-client"),
            ("grpc.enable_retries", int(retry)),
            ("grpc.service_config", service_config()),
        )
        self._connect()

    @abstractmethod
    def _connect(self) -> None:
        """Make the channel; nothing goes over it before the first call."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r}{', tls=True' if self._tls else ''})"

    def _credentials(self) -> grpc.ChannelCredentials | None:
        if not self._tls:
            return None
        import grpc

        ca, cert, key = (self._files[name] for name in ("ca", "cert", "key"))
        return grpc.ssl_channel_credentials(ca, key, cert)

    def _seconds(self, timeout: float | None) -> float | None:
        """Of a call; None for no limit, as gRPC has it."""
        seconds = self.timeout if timeout is None else timeout
        return None if seconds == float("inf") else seconds


def service_config() -> str:
    """How gRPC chooses between servers, and what it tries again.

    https://github.com/grpc/grpc/blob/master/doc/service_config.md has the form.
    """
    split = (name.split("/") for name in NOT_AGAIN)
    config = {
        "methodConfig": [
            {"name": [{"service": f"triveni.v1.{name}Service"} for name in SERVICES], "retryPolicy": dict(_RETRY)},
            {"name": [{"service": f"triveni.v1.{service}", "method": method} for service, method in split]},
        ],
        "retryThrottling": dict(_BUDGET),
        "loadBalancingConfig": [{"round_robin": {}}],
    }
    return json.dumps(config)


def _checked(address: str) -> str:
    if "://" in address or (not address.rpartition(":")[2].isdigit() and not address.startswith("unix:")):
        raise InvalidError(f"{address!r} is no address", f"write host:port, such as {DEFAULT_ADDRESS}")
    return address


def _is_local(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    hosts = [one.rpartition(":")[0].strip("[]") for one in address.removeprefix("ipv4:").split(",")]
    return all(map(_is_loopback, hosts))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _metadata(token: str, api_key: str) -> tuple[tuple[str, str | bytes], ...]:
    found: list[tuple[str, str | bytes]] = []
    for name, secret, prefix in (("authorization", token, "Bearer "), ("x-api-key", api_key, "")):
        if secret:
            if not (text(secret, name).isascii() and secret.isprintable()):
                raise InvalidError("token or api_key holds what a header cannot", "use printable ASCII")
            found.append((name, prefix + secret))
    return tuple(found)
