"""What goes back to the client: at once, or line by line."""

import json

from starlette.types import Send

from engine.http.body import Body
from engine.http.problems import Problem
from engine.service.calls import REQUEST_ID


class Answer:
    """What goes back.

    Args:
        send: takes the messages of the response.
        request_id: of the call.
    """

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._id, self._started = send, request_id, False

    async def whole(self, status: int, kind: str, body: bytes) -> None:
        """An answer at once."""
        await self._start(status, kind, (b"content-length", str(len(body)).encode()))
        await self._send({"type": "http.response.body", "body": body})

    async def more(self, kind: str, body: bytes) -> None:
        """A part of an answer."""
        if not self._started:
            await self._start(200, kind)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self, kind: str) -> None:
        """The end of an answer that came in parts."""
        if not self._started:
            await self._start(200, kind)
        await self._send({"type": "http.response.body", "body": b""})

    async def problem(self, problem: Problem, body: Body) -> None:
        """Why there is no answer, or none any more: then as the last line, {"error": …}."""
        if self._started:
            line = json.dumps({"error": problem.fields()}, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
            await self._send({"type": "http.response.body", "body": line})
            return
        response = problem.response()
        response.headers[REQUEST_ID] = self._id
        if body.unread:
            response.headers["connection"] = "close"
        await self._send(
            {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        )
        await self._send({"type": "http.response.body", "body": response.body, "more_body": True})
        if body.unread:
            await body.linger()
        await self._send({"type": "http.response.body", "body": b""})

    async def _start(self, status: int, kind: str, *more: tuple[bytes, bytes]) -> None:
        headers = [
            (b"content-type", kind.encode()),
            (b"cache-control", b"no-store"),
            (REQUEST_ID.encode(), self._id.encode()),
            *more,
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        self._started = True
