"""`/session`: a credential that a person gives to the page, kept by the browser in a cookie that scripts cannot read.

The cookie is the credential: the server keeps nothing, and a key that is revoked is out at once. Pages of other sites
cannot send it (SameSite=Strict), nor ask for changes (`guard`).
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from engine.core.errors import InvalidQueryError
from engine.http.body import JSON, Body, ClientGone
from engine.http.gate import CREDENTIAL, Gate, cookie_of, credentials, is_encrypted, request_id_of
from engine.http.messages import read_json
from engine.service.access.access import API_KEY
from engine.service.access.errors import RefusedError

PATH = "/session"

_MAX_BYTES, _SECONDS = 1 << 14, 10.0


def session_routes(gate: Gate) -> list[BaseRoute]:
    """Says who is signed in, signs in and out."""

    def tell(request: Request) -> Response:
        found = credentials(request.scope)
        try:
            caller = gate.access.caller(found)
        except RefusedError as error:
            if found:  # the page asks without one, too
                gate.note(error, f"GET {PATH}", None, request.scope, request_id_of(request.scope))
            raise
        told = {"asks": gate.access.asks, "subject": caller.subject, "tenant": caller.tenant}
        return JSONResponse({**told, "scopes": sorted(caller.scopes)}, headers={"cache-control": "no-store"})

    async def sign_in(request: Request) -> Response:
        body = Body(request.scope, request.receive, _MAX_BYTES)
        body.kind((JSON,))
        try:
            said: Any = read_json(await body.whole(_SECONDS))
        except ClientGone:
            return Response(status_code=400)
        credential = said.get("credential") if isinstance(said, dict) else None
        if not isinstance(credential, str) or not CREDENTIAL.fullmatch(credential):
            raise InvalidQueryError("no credential came that a browser could keep", 'send {"credential": "KEY"}')
        try:
            gate.access.caller([(API_KEY, credential)])
        except RefusedError as error:
            gate.note(error, f"POST {PATH}", None, request.scope, request_id_of(request.scope))
            raise
        return _with_cookie(request, credential)

    def sign_out(request: Request) -> Response:
        return _with_cookie(request, "")

    return [
        Route(PATH, tell),
        Route(PATH, sign_in, methods=["POST"]),
        Route(PATH, sign_out, methods=["DELETE"]),
    ]


def _with_cookie(request: Request, value: str) -> Response:
    """An answer without content; an empty value takes the cookie away."""
    answer = Response(status_code=204, headers={"cache-control": "no-store"})
    answer.set_cookie(
        cookie_of(request.scope),
        value,
        max_age=None if value else 0,
        path="/",
        secure=is_encrypted(request.scope),
        httponly=True,
        samesite="strict",
    )
    return answer
