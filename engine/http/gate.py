"""Who may do what, of requests: the same decision as for calls over gRPC, by the same `Access`."""

import re
import uuid

import structlog
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from encoders.errors import TriveniError
from engine.service.access import caller as callers
from engine.service.access.access import API_KEY, AUTHORIZATION, BEARER, Access
from engine.service.access.caller import Caller
from engine.service.access.errors import RefusedError
from engine.service.calls import REQUEST_ID

COOKIE, SECURE_COOKIE = "triveni-key", "__Host-triveni-key"
"""What a browser keeps a credential in that was given to the page, in the clear and encrypted; scripts do not see it.
One of the second name comes from this very host and went encrypted: browsers take it from no other (RFC 6265bis)."""

CREDENTIAL = re.compile(r"[A-Za-z0-9._~+/=-]{1,3800}")
"""The form of one that a cookie can keep: browsers take 4096 bytes of them."""

_VISIBLE = re.compile(r"[\x20-\x7e]*")
_ID = re.compile(r"[\x21-\x7e]{1,128}")


class Gate:
    """Lets requests in, or refuses them and notes that.

    Args:
        access: decides.
    """

    def __init__(self, access: Access) -> None:
        self.access = access

    def admit(self, name: str, needed: callers.Scope | None, scope: Scope, request_id: str) -> Caller:
        """Who sends a request, if they may.

        Args:
            name: of the call or route, for logs.
            needed: the scope that it takes; None takes no credential.
            scope: of the request.
            request_id: its id.

        Raises:
            RefusedError: if they may not.
        """
        try:
            return self.access.admit(needed, credentials(scope))
        except RefusedError as error:
            self.note(error, name, needed, scope, request_id)
            raise

    def note(
        self, error: RefusedError, name: str, needed: callers.Scope | None, scope: Scope, request_id: str
    ) -> None:
        """Note a request that was refused, as `admit` does by itself."""
        log = structlog.get_logger("triveni.http")
        log.info("refused", method=name, code=error.status, why=error.why, request_id=request_id)
        peer = peer_of(scope)
        self.access.audit.ended(name, needed, error.caller, error.status, request_id, peer=peer, why=error.why)


class Demand:
    """An app that is asked only by those who have a scope; it finds them as `request.state.caller`.

    An answer that goes on asks `request.state.may_go_on()` whether their credential still holds.

    Args:
        app: it.
        gate: lets requests in.
        name: of the route.
        needed: the scope.
    """

    def __init__(self, app: ASGIApp, gate: Gate, name: str, needed: callers.Scope) -> None:
        self._app, self._gate, self._name, self._needed = app, gate, name, needed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        request_id = request_id_of(scope)
        caller = self._gate.admit(self._name, self._needed, scope, request_id)
        sent, code = credentials(scope), "INTERNAL"

        def may_go_on() -> bool:
            try:
                self._gate.access.admit_still(self._needed, sent, caller)
            except RefusedError:
                return False
            return True

        scope.setdefault("state", {}).update(caller=caller, may_go_on=may_go_on)

        async def note_status(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = "OK" if message["status"] < 400 else f"HTTP {message['status']}"
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        except TriveniError as error:
            code = error.status
            raise
        finally:
            audit = self._gate.access.audit
            audit.ended(self._name, self._needed, caller, code, request_id, peer=peer_of(scope))


def credentials(scope: Scope) -> list[tuple[str, str]]:
    """What came with a request, as the metadata of a call; the cookie counts where no other credential came."""
    headers = Headers(scope=scope)
    found = [
        (name, value)
        for name in (AUTHORIZATION, API_KEY)
        for value in headers.getlist(name)
        if is_visible(value) and (name == API_KEY or value.lower().startswith(BEARER))
    ]
    if not found and CREDENTIAL.fullmatch(kept := HTTPConnection(scope).cookies.get(cookie_of(scope), "")):
        found.append((API_KEY, kept))
    return found


def is_encrypted(scope: Scope) -> bool:
    """Whether the browser sees TLS; a proxy's word for it is taken."""
    first = Headers(scope=scope).get("x-forwarded-proto", "").partition(",")[0].strip()  # of several the outermost
    return "https" in (scope["scheme"], first)


def cookie_of(scope: Scope) -> str:
    """The name of the cookie that counts for a request."""
    return SECURE_COOKIE if is_encrypted(scope) else COOKIE


def request_id_of(scope: Scope) -> str:
    """The sender's own, if that is printable ASCII, or a new one."""
    sent = Headers(scope=scope).get(REQUEST_ID, "")
    return sent if _ID.fullmatch(sent) else uuid.uuid4().hex


def is_visible(value: str) -> bool:
    """Whether a header's value may be metadata of a call: printable ASCII."""
    return bool(value) and _VISIBLE.fullmatch(value) is not None


def peer_of(scope: Scope) -> str:
    """The address that a request came from."""
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else ""
