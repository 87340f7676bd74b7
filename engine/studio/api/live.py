"""`GET /studio/live`: what happens in the server, as server-sent events.

The first event, `past`, is the list of all points that are kept; then one comes each second.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from engine.studio.live import Live
from engine.studio.studio import Studio

_LOOK = 0.25
"""Seconds after which it is looked whether there is a new point."""


def routes(studio: Studio) -> list[Route]:
    """The endpoint."""

    async def live(request: Request) -> Response:
        studio.live.enter()
        return _Events(studio, request.app.state.closing, request.state.may_go_on)

    return [Route("/studio/live", live)]


class _Events(StreamingResponse):
    """Ends when the page is left, its credential holds no more, or the server stops."""

    def __init__(self, studio: Studio, closing: asyncio.Event, may_go_on: Callable[[], bool]) -> None:
        points = _events(studio.live, studio.tenant, closing, may_go_on)
        super().__init__(points, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._live = studio.live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._live.leave()


async def _events(
    live: Live, tenant: str, closing: asyncio.Event, may_go_on: Callable[[], bool]
) -> AsyncIterator[str]:
    points, count = live.since(0, tenant)
    yield _event(points, "past")
    while not closing.is_set() and may_go_on():
        points, count = live.since(count, tenant)
        for point in points:
            yield _event(point)
        try:
            await asyncio.wait_for(closing.wait(), _LOOK)
        except TimeoutError:
            continue


def _event(content: object, name: str = "message") -> str:
    return f"event: {name}\ndata: {json.dumps(content, separators=(',', ':'))}\n\n"
