"""All that the page needs beside `/v1/…`, as routes of the HTTP server."""

from collections.abc import Iterator, Mapping

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.service.access.caller import ANYONE
from engine.studio.api import about, catalogue, facets, learning, live, map, media, page
from engine.studio.studio import Studio

SUBJECTS = (about, media, facets, map, catalogue, learning, live)
"""The modules of `api/` that tell what the server knows, each with a function `routes(studio)`."""


class OfCaller:
    """An app for each tenant: a request goes to that of its caller's, `request.state.caller`.

    Args:
        apps: by tenant.
    """

    def __init__(self, apps: Mapping[str, ASGIApp]) -> None:
        self._apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        caller = scope.get("state", {}).get("caller", ANYONE)
        await self._apps[caller.tenant](scope, receive, send)


def routes_of(studios: Mapping[str, Studio]) -> list[BaseRoute]:
    """The routes of the page, which is the same for all, and of `/studio/…`, by tenant."""
    return [*_told(studios), *page.routes()]


def _told(studios: Mapping[str, Studio]) -> Iterator[Route]:
    for subject in SUBJECTS:
        for same in zip(*(subject.routes(studio) for studio in studios.values()), strict=True):
            route, *_ = same
            route.app = OfCaller({tenant: one.app for tenant, one in zip(studios, same, strict=True)})
            yield route
