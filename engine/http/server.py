"""The HTTP door in the event loop of the gRPC server: it opens once that serves, and closes before that does."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence
from functools import partial

import grpc
import structlog
import uvicorn
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from engine.core.errors import SettingsError
from engine.http.app import build_app
from engine.http.connections import Crowd, Protocol
from engine.http.gate import Gate
from engine.http.settings import HttpSettings
from engine.service.access.access import Access
from engine.service.access.tls import TlsFiles
from engine.service.server import LetIn

_KEEP_ALIVE = 75
"""Seconds for which a connection stays open without a request: longer than those who keep them open for others."""

_NOTICE = 0.25
"""Seconds in which what is asked over open connections is told to go elsewhere, before they are closed."""


class HttpServer:
    """Serves HTTP. A `Door` of `engine.service.server.Server`.

    Args:
        settings: how it listens.
        max_message_bytes: the largest message that the service takes.
        extra_routes: more routes than those of the RPCs.
        middleware: more of it.
        access: decides who may do what; None lets everybody do everything.
        tls: encrypts; None is in the clear.
    """

    def __init__(
        self,
        settings: HttpSettings,
        *,
        max_message_bytes: int,
        extra_routes: Sequence[BaseRoute] = (),
        middleware: Sequence[Middleware] = (),
        access: Access | None = None,
        tls: TlsFiles | None = None,
    ) -> None:
        self._access, self._tls = access or Access(), tls
        self._settings, self._max_message_bytes = settings, max_message_bytes
        self._extra_routes, self._middleware = extra_routes, middleware
        self._log = structlog.get_logger("triveni.http")
        self._running: asyncio.Task[None] | None = None
        self.port = 0

    async def open(self, target: str, let_in: LetIn) -> None:
        """Listen.

        Args:
            target: the gRPC server's own address, as gRPC names it.
            let_in: lets calls in, or refuses them before they are read.

        Raises:
            SettingsError: if the address cannot be bound.
        """
        _forward_logs()
        listening, tls = _bind(self._settings.address), self._tls
        host, self.port = listening.getsockname()[:2]
        self._channel = grpc.aio.insecure_channel(
            target,
            options=(("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)),
        )
        self._app = app = build_app(
            self._channel,
            self._settings,
            let_in,
            Gate(self._access),
            max_message_bytes=self._max_message_bytes,
            extra_routes=self._extra_routes,
            middleware=self._middleware,
        )
        config = uvicorn.Config(
            Crowd(app, self._settings.max_connections, lambda: len(self._server.server_state.connections)),
            http=partial(Protocol, self._settings.body_seconds),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        config.load()
        config.ssl = tls.context() if tls is not None else None
        self._server = _Uvicorn(config)
        self._running = asyncio.create_task(self._server.serve([listening]))
        await self._server.listens.wait()
        self._log.info("http", address=host, port=self.port)

    async def close(self, seconds: float) -> None:
        """Take no more connections, let running answers end, then cut them off. Again is the same.

        Args:
            seconds: that they have.
        """
        if self._running is None:
            return
        self._app.state.closing.set()
        await asyncio.sleep(min(_NOTICE, seconds))
        self._server.config.timeout_graceful_shutdown = seconds  # type: ignore[assignment]
        self._server.should_exit = True
        await asyncio.wait({self._running})
        await self._channel.close(None)


class _Uvicorn(uvicorn.Server):
    """Uvicorn without signal handlers: they are the program's."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Forward(logging.Handler):
    """Writes what a library logs as this program does."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger("triveni.http").log(record.levelno, record.getMessage(), exc_info=record.exc_info)


def _forward_logs() -> None:
    for name, level in (("uvicorn", logging.WARNING), ("python_multipart", logging.ERROR)):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [_Forward()], False
        log.setLevel(level)


def _bind(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        hints = {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_TCP, "flags": socket.AI_PASSIVE}
        if not 0 <= int(port) < 1 << 16:  # getaddrinfo would take the rest of a division
            raise ValueError("ports go from 0 to 65535")
        family, kind, protocol, _, where = socket.getaddrinfo(host or None, int(port), **hints)[0]
        listening = socket.socket(family, kind, protocol)  # asyncio sets TCP_NODELAY only if it knows the protocol
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(where)
            listening.listen(2048)
        except OSError:
            listening.close()
            raise
        return listening
    except (OSError, ValueError, OverflowError) as error:
        raise SettingsError(
            f"cannot listen on {address} ({error})", "choose another http.address, HOST:PORT, or stop what uses it"
        ) from None
