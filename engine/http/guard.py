"""What pages of other sites must not do through a browser that can reach this server; and headers of all answers."""

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from encoders.errors import TriveniError
from engine.http.errors import WrongHostError, WrongOriginError
from engine.http.problems import of_error
from engine.service.access.hosts import answers_for

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""Of every answer that does not set them itself."""

_SAFE = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Refuses hosts that are not this server's, and changes that pages of other sites ask for.

    A name that an attacker points at this machine (DNS rebinding) is a host like any other to a browser; so only
    localhost, IP addresses, which cannot be pointed elsewhere, and names that the settings allow are answered.

    Args:
        app: what is guarded.
        allowed_hosts: names, without ports; "*" allows all.
        origins: of other sites that may ask.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Collection[str] = (), origins: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = {name.lower() for name in allowed_hosts}
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse, a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(Headers(scope=scope), scope["method"])
        except TriveniError as error:
            refusal = of_error(error, headers={"connection": "close"}).response()
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _check(self, headers: Headers, method: str) -> None:
        host = headers.get("host", "")
        if not answers_for(host, self._hosts):
            raise WrongHostError(
                f"this server does not answer for host {host[:100]!r}", "add its name to http.allowed_hosts"
            )
        if method in _SAFE:
            return
        origin = headers.get("origin")
        if origin is None:
            foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        else:
            foreign = origin.partition("://")[2].lower() != host.lower() and origin not in self._origins
        if foreign:
            raise WrongOriginError(
                f"a page of {origin or 'another site'} asked for a change"[:200],
                "add its origin to http.cors_origins if it may",
                field="origin",
            )
