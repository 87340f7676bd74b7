"""All that the page needs beside `/v1/…`, as routes of the HTTP server, and which scope each takes."""

from collections.abc import Iterator, Mapping

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Request

from engine.http.gate import Demand, Gate
from engine.service.access.access import Access
from engine.service.access.caller import Caller, Scope
from engine.service.quotas.quotas import Quotas
from engine.service.status import TenantError
from engine.studio.api import about, catalogue, facets, learning, live, map, media, page
from engine.studio.studio import Studio

SUBJECTS = (about, media, facets, map, catalogue, learning, live)
"""The modules of `api/` that tell what the server knows, each with a function `routes(studio)`."""

SCOPES: Mapping[str, Scope] = {
    "GET /studio/about": Scope.READ,
    "GET /studio/media/image": Scope.READ,
    "GET /studio/media/audio": Scope.READ,
    "GET /studio/media/thumbnail": Scope.READ,
    "GET /studio/facets": Scope.READ,
    "GET /studio/map": Scope.READ,
    "POST /studio/map": Scope.WRITE,
    "GET /studio/map/points": Scope.READ,
    "GET /studio/map/items": Scope.READ,
    "GET /studio/map/rows": Scope.READ,
    "GET /studio/catalogue/vectors": Scope.READ,
    "GET /studio/catalogue/neighbours": Scope.READ,
    "GET /studio/catalogue/duplicates": Scope.READ,
    "POST /studio/catalogue/duplicates": Scope.WRITE,
    "GET /studio/catalogue/dead-letters": Scope.WRITE,
    "GET /studio/catalogue/indexing": Scope.READ,
    "GET /studio/learning/versions": Scope.READ,
    "GET /studio/learning/trial": Scope.READ,
    "POST /studio/learning/trial": Scope.ADMIN,
    "DELETE /studio/learning/trial": Scope.ADMIN,
    "GET /studio/learning/curve": Scope.READ,
    "GET /studio/learning/tuning": Scope.READ,
    "GET /studio/learning/reports": Scope.READ,
    "GET /studio/learning/reports/{name:path}": Scope.READ,
    "GET /studio/live": Scope.READ,
}
"""The scope that a route takes; one that is not in the table takes `admin`."""


class OfCaller:
    """An app for each tenant: a request goes to that of its caller's, `request.state.caller`, within its quota.

    Args:
        apps: by tenant.
        quotas: decide how much a tenant may ask for.
    """

    def __init__(self, apps: Mapping[str, ASGIApp], quotas: Quotas) -> None:
        self._apps, self._quotas = apps, quotas

    async def __call__(self, scope: Request, receive: Receive, send: Send) -> None:
        """Answer a request."""
        caller: Caller = scope["state"]["caller"]
        app = self._apps.get(caller.tenant)
        if app is None:
            raise TenantError.of(caller.tenant)
        await self._quotas.admit(caller.tenant)
        await app(scope, receive, send)


def routes_of(
    studios: Mapping[str, Studio], access: Access | None = None, quotas: Quotas | None = None
) -> list[BaseRoute]:
    """The routes of the page, which holds nothing and is open to all, and of `/studio/…`, by tenant.

    Args:
        studios: what each tenant is shown.
        access: decides who may do what, as it does for calls; None lets everybody do everything.
        quotas: decide how much a tenant may ask for, as they do for calls; None lets all ask for everything.
    """
    return [*_told(studios, Gate(access or Access()), quotas or Quotas({})), *page.routes()]


def _told(studios: Mapping[str, Studio], gate: Gate, quotas: Quotas) -> Iterator[Route]:
    for subject in SUBJECTS:
        for same in zip(*(subject.routes(studio) for studio in studios.values()), strict=True):
            route, *_ = same
            verb = next(iter((route.methods or set()) - {"HEAD"}))
            name = f"{verb} {route.path}"
            apps = OfCaller({tenant: one.app for tenant, one in zip(studios, same, strict=True)}, quotas)
            route.app = Demand(apps, gate, name, SCOPES.get(name, Scope.ADMIN))
            yield route
