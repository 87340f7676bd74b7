"""The metrics over HTTP, for Prometheus: on a port of their own, in threads of their own."""

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import start_http_server

from engine.core.errors import SettingsError
from engine.service.access.hosts import answers_for
from engine.service.metrics import Metrics
from engine.service.server import LetIn


class MetricsDoor:
    """Answers every GET with the metrics as text. A `Door` of `engine.service.server.Server`.

    Args:
        address: HOST:PORT to listen on; port 0 takes a free one.
        metrics: what is shown.
        allowed_hosts: names under which it is asked, without ports; localhost and IP addresses always are.
    """

    def __init__(self, address: str, metrics: Metrics, *, allowed_hosts: Collection[str] = ()) -> None:
        self._address, self.metrics = address, metrics
        self._hosts = {name.lower() for name in allowed_hosts}
        self._listening: tuple[WSGIServer, threading.Thread] | None = None
        self._log = structlog.get_logger("triveni.service")
        self.port = 0

    async def open(self, target: str, let_in: LetIn) -> None:
        """Listen.

        Raises:
            SettingsError: if the address cannot be bound.
        """
        host, _, port = self._address.rpartition(":")
        try:
            found = start_http_server(int(port), host.strip("[]"), self.metrics.registry)
        except (OSError, ValueError, OverflowError) as error:
            raise SettingsError(
                f"cannot listen on {self._address} ({error})",
                "choose another metrics.address, HOST:PORT, or stop what uses it",
            ) from None
        found[0].set_app(_Guarded(found[0].get_app(), self._hosts))
        self._listening = found
        where, self.port = found[0].server_address[:2]
        self._log.info("metrics", address=where, port=self.port)

    async def close(self, seconds: float) -> None:
        """Listen no more. Again is the same."""
        listening, self._listening = self._listening, None
        if listening is not None:
            server, thread = listening
            await asyncio.to_thread(server.shutdown)
            server.server_close()
            await asyncio.to_thread(thread.join, seconds)


class _Guarded:
    """Answers for no host that a page of another site may have pointed here."""

    def __init__(self, app: Any, hosts: Collection[str]) -> None:
        self._app, self._hosts = app, hosts

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if answers_for(environ.get("HTTP_HOST", ""), self._hosts):
            return self._app(environ, start_response)  # type: ignore[no-any-return]
        start_response("421 Misdirected Request", [("content-type", "text/plain")])
        return [b"this server does not answer for that host: add its name to metrics.allowed_hosts\n"]
