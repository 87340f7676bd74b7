"""The metrics over HTTP, for Prometheus: on a port of their own, in threads of their own."""

import asyncio
import threading
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import start_http_server

from engine.core.errors import SettingsError
from engine.service.access.listening import check_listening
from engine.service.metrics import Metrics
from engine.service.server import LetIn


class MetricsDoor:
    """Answers every GET with the metrics as text. A `Door` of `engine.service.server.Server`.

    Args:
        address: HOST:PORT to listen on; port 0 takes a free one.
        metrics: what is shown.
        insecure: whether it may be shown to other machines.
    """

    def __init__(self, address: str, metrics: Metrics, *, insecure: bool = False) -> None:
        self._address, self.metrics, self._insecure = address, metrics, insecure
        self._listening: tuple[WSGIServer, threading.Thread] | None = None
        self._log = structlog.get_logger("triveni.service")
        self.port = 0

    async def open(self, target: str, let_in: LetIn) -> None:
        """Listen.

        Raises:
            SettingsError: if the address cannot be bound, or should not be as it is.
        """
        check_listening("metrics", self._address, encrypted=False, asks=False, insecure=self._insecure)
        host, _, port = self._address.rpartition(":")
        try:
            found = start_http_server(int(port), host.strip("[]"), self.metrics.registry)
        except (OSError, ValueError, OverflowError) as error:
            raise SettingsError(
                f"cannot listen on {self._address} ({error})",
                "choose another metrics.address, HOST:PORT, or stop what uses it",
            ) from None
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
