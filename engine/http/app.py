"""The HTTP door as one Starlette app."""

import asyncio
from collections.abc import Sequence

import grpc
from google.api.http_pb2 import HttpRule
from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from encoders.errors import TriveniError
from engine.http.bindings import Binding, bindings, bindings_of, by_template
from engine.http.calls import PASSED_ON, Endpoint, raw_path
from engine.http.errors import HttpError, NoSuchMethodError, NoSuchPathError
from engine.http.gate import Gate
from engine.http.guard import HEADERS, Guard
from engine.http.pages import page_routes
from engine.http.problems import of_error
from engine.http.session import session_routes
from engine.http.settings import HttpSettings
from engine.service.access.access import API_KEY, AUTHORIZATION
from engine.service.calls import REQUEST_ID
from engine.service.server import READY, LetIn
from engine.service.status import UnexpectedError

SERVICES = tuple(name for name in READY if name)
"""The services that the door leads to."""

_HEALTH = "grpc.health.v1.Health.Check"


def build_app(
    channel: grpc.aio.Channel,
    settings: HttpSettings,
    let_in: LetIn,
    gate: Gate,
    *,
    max_message_bytes: int,
    extra_routes: Sequence[BaseRoute] = (),
    middleware: Sequence[Middleware] = (),
) -> Starlette:
    """The app: a route for each HTTP form of each RPC, health, the OpenAPI document and a page to try it.

    Args:
        channel: to the service; other routes find it as `request.app.state.channel`, and beside it as `closing` an
            event that is set when the door closes: answers without an end have to end then.
        settings: of the door.
        let_in: lets calls in, or refuses them before they are read.
        gate: lets requests in.
        max_message_bytes: the largest message that the service takes.
        extra_routes: more routes, behind those of the RPCs.
        middleware: more of it, inside of what guards the app.
    """
    every = all_bindings()
    routes: list[BaseRoute] = [
        RpcRoute(
            template,
            [
                Endpoint(
                    binding,
                    channel,
                    let_in,
                    gate,
                    max_bytes=max_message_bytes,
                    body_seconds=settings.body_seconds,
                    status_of=health_status if binding.rpc.full_name == _HEALTH else lambda _: 200,
                )
                for binding in same
            ],
        )
        for template, same in by_template(every).items()
    ]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=("GET", "POST", "DELETE"),
        allow_headers=("content-type", "x-request-timeout", AUTHORIZATION, API_KEY, REQUEST_ID, *PASSED_ON),
        expose_headers=(REQUEST_ID, "retry-after"),
        max_age=600,
    )
    app = Starlette(
        routes=[*routes, *session_routes(gate), *extra_routes, *page_routes(every)],
        middleware=[
            Middleware(Guard, allowed_hosts=settings.allowed_hosts, origins=settings.cors_origins),
            *([cors] if settings.cors_origins else []),
            *middleware,
        ],
        exception_handlers={HTTPException: _http_error, TriveniError: _our_error, Exception: _unexpected},
    )
    app.state.channel, app.state.closing = channel, asyncio.Event()
    return app


def all_bindings() -> list[Binding]:
    """The HTTP forms of all RPCs, and of the standard health service."""
    check = descriptor_pool.Default().FindMethodByName(_HEALTH)
    return [*bindings(SERVICES), *bindings_of(check, HttpRule(get="/v1/health"))]


def health_status(response: Message) -> int:
    """200 if it serves, for those who only look at the status."""
    return 200 if response.status == health_pb2.HealthCheckResponse.SERVING else 503  # type: ignore[attr-defined]


class RpcRoute(BaseRoute):
    """The bindings of one template, by method.

    Args:
        template: theirs.
        endpoints: that answer them.
    """

    def __init__(self, template: str, endpoints: Sequence[Endpoint]) -> None:
        self.path = template
        self.endpoints = {endpoint.binding.verb: endpoint for endpoint in endpoints}
        if "GET" in self.endpoints:
            self.endpoints["HEAD"] = self.endpoints["GET"]
        self._pattern = endpoints[0].binding.pattern

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether path and method, or the path alone, are theirs."""
        if scope["type"] != "http" or not self._pattern.fullmatch(raw_path(scope)):
            return Match.NONE, {}
        return Match.FULL if scope["method"] in self.endpoints else Match.PARTIAL, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that matches."""
        endpoint = self.endpoints.get(scope["method"])
        if endpoint is None:
            error = NoSuchMethodError(
                f"{self.path} does not take {scope['method'][:20]}", f"send {' or '.join(self.endpoints)}"
            )
            refusal = of_error(error, headers={"allow": ", ".join(self.endpoints)}).response()
            await refusal(scope, receive, send)
        else:
            await endpoint(scope, receive, send)


def _our_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TriveniError)
    return of_error(error).response()


def _http_error(request: Request, error: Exception) -> Response:
    """What Starlette refuses by itself."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        ours: HttpError = NoSuchPathError(
            f"there is nothing at {request.url.path[:200]!r}", "see /openapi.json for what there is"
        )
    else:
        ours = NoSuchMethodError(f"{request.url.path[:200]} does not take {request.method[:20]}", "see /openapi.json")
    return of_error(ours, headers=error.headers).response()


def _unexpected(request: Request, error: Exception) -> Response:
    """A defect in a route that is no call. The guard, which gives all other answers their headers, is passed over."""
    return of_error(UnexpectedError(request.headers.get(REQUEST_ID, "none")), headers=HEADERS).response()
