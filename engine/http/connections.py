"""Connections: how long they may take, how many there may be, and what is no HTTP."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.http.errors import CrowdedError, MalformedRequestError
from engine.http.guard import HEADERS
from engine.http.problems import of_error

ALWAYS = ("/v1/health",)
"""Paths that are answered however many connections there are: whoever asks decides about this server's life."""


class Crowd:
    """Answers requests while there are not too many connections, and health always.

    Args:
        app: what answers.
        most: connections.
        connections: how many there are.
    """

    def __init__(self, app: ASGIApp, most: int, connections: Callable[[], int]) -> None:
        self._app, self._most, self._connections = app, most, connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse, a request."""
        if self._connections() < self._most or scope["path"] in ALWAYS:
            await self._app(scope, receive, send)
            return
        error = CrowdedError(
            f"there are {self._connections()} connections, the limit is {self._most}",
            "close those that are not needed, try again, or raise http.max_connections",
        )
        await of_error(error, headers=HEADERS).response()(scope, receive, send)


class Protocol(H11Protocol):
    """HTTP/1.1 over one connection, which is closed if a request does not arrive: uvicorn would wait for ever.

    Args:
        seconds: that a connection has until the head of a request is there; between requests uvicorn has its own.
        parts: what uvicorn makes it of.
    """

    def __init__(self, seconds: float, **parts: Any) -> None:
        super().__init__(**parts)
        self._seconds = seconds
        self._closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait()
        else:
            self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._wait_no_more()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, as everything is refused: uvicorn would answer with plain text."""
        answer = of_error(
            MalformedRequestError(
                "the request is no HTTP/1.1", "send one with a host, and a body as its headers say"
            ),
            headers={**HEADERS, "connection": "close"},
        ).response()
        with suppress(h11.LocalProtocolError):  # an answer has begun already
            for event in (
                h11.Response(status_code=answer.status_code, headers=answer.raw_headers),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _wait(self) -> None:
        if self._closing is None:
            self._closing = self.loop.call_later(self._seconds, self.transport.close)

    def _wait_no_more(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
