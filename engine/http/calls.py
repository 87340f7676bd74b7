"""A call through gRPC: what the service answers there is answered here, by the same code.

The door asks the server in its own process over a channel, with messages that are serialised already: so
interceptors, limits, deadlines and errors are those of gRPC. A client that goes away cancels its call.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import grpc
import structlog
from google.protobuf.message import Message
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from encoders.errors import TriveniError
from engine.core.errors import InvalidQueryError, OverloadedError
from engine.http.answer import Answer
from engine.http.bindings import Binding
from engine.http.body import JSON, LINES, MULTIPART, Body, ClientGone
from engine.http.errors import MalformedBodyError, MalformedHeaderError, TooLargeError
from engine.http.gate import Gate, credentials, is_visible, peer_of, request_id_of
from engine.http.messages import json_of, message_of, read_json
from engine.http.problems import of_call, of_error
from engine.service.access.errors import RefusedError
from engine.service.access.scopes import scope_of
from engine.service.calls import PEER, REQUEST_ID, refused
from engine.service.server import LetIn
from engine.service.status import NotReadyError, UnexpectedError
from engine.service.stream_buffer import StreamBuffer

PASSED_ON = ("traceparent", "tracestate")
"""Headers that the service gets as metadata, beside the credential."""

_ASIDE = 1 << 16
"""Bytes from which on JSON is read and written in a thread, so that it holds up nobody."""
_MAX_WAITING, _MAX_WAITING_BYTES = 1 << 20, 16 << 20
"""Answers of a stream that wait for a client which sends all before it reads any."""


class Endpoint:
    """Answers the requests of one binding.

    Args:
        binding: what it binds.
        channel: to the service.
        let_in: lets calls in, or refuses them before they are read.
        gate: lets requests in, before their bodies are read.
        max_bytes: of a message, and of a body or a line of one.
        body_seconds: in which a body has to arrive that is no stream.
        status_of: the HTTP status of an answer.
    """

    def __init__(
        self,
        binding: Binding,
        channel: grpc.aio.Channel,
        let_in: LetIn,
        gate: Gate,
        *,
        max_bytes: int,
        body_seconds: float,
        status_of: Callable[[Message], int] = lambda _: 200,
    ) -> None:
        self.binding, self._gate, self._scope = binding, gate, scope_of(binding.method)
        self._let_in = let_in
        self._max_bytes, self._body_seconds, self._status_of = max_bytes, body_seconds, status_of
        kinds: dict[tuple[bool, bool], Any] = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, False): channel.stream_unary,
            (True, True): channel.stream_stream,
        }
        rpc = binding.rpc
        self._call = kinds[rpc.client_streaming, rpc.server_streaming](binding.method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose path and method are those of the binding."""
        request_id = request_id_of(scope)
        body = Body(scope, receive, self._max_bytes)
        answer = Answer(send, request_id)
        try:
            self._gate.admit(self.binding.method, self._scope, scope, request_id)
            options = {"timeout": _seconds_of(Headers(scope=scope)), "metadata": _metadata(scope, request_id)}
            if self.binding.rpc.client_streaming:
                await self._stream(scope, body, answer, options)
            elif self.binding.rpc.server_streaming:
                await self._answer_stream(scope, body, answer, options)
            else:
                await self._unary(scope, body, answer, options)
        except ClientGone:
            return
        except asyncio.CancelledError:  # the time for answers is up
            cut_off = NotReadyError("the server stopped before the answer was there", "try again")
            await answer.problem(of_error(cut_off, request_id), body)
        except (RefusedError, OverloadedError) as error:  # noted already
            await answer.problem(of_error(error, request_id), body)
        except TriveniError as error:
            structlog.get_logger("triveni.http").info(
                "refused", method=self.binding.method, error=str(error)[:400], request_id=request_id
            )
            await answer.problem(of_error(error, request_id), body)
        except grpc.aio.AioRpcError as error:
            await answer.problem(of_call(error, request_id), body)
        except Exception as error:  # noqa: BLE001
            structlog.get_logger("triveni.http").error(
                "unexpected error", request_id=request_id, method=self.binding.method, exc_info=error
            )
            await answer.problem(of_error(UnexpectedError(request_id), request_id), body)

    async def _unary(self, scope: Scope, body: Body, answer: Answer, options: dict[str, Any]) -> None:
        try:
            way_in = self._let_in(self.binding.method)
        except OverloadedError:
            await body.whole(self._body_seconds)  # it may be small, and then the connection is kept
            raise
        raw = await self._request(scope, body)
        with way_in:  # not before: whoever sends a body slowly is not before others
            call = self._call(raw, **options)
            response = self.binding.response.FromString(await _unless_gone(call, _watch(body, call)))
        text = await _aside(response.ByteSize(), partial(json_of, response))
        await answer.whole(self._status_of(response), JSON, text)

    async def _request(self, scope: Scope, body: Body) -> bytes:
        """The serialised message of a request that is no stream."""
        fields = self.binding.read_path(raw_path(scope)) or {}
        query = _query(scope)
        if not self.binding.body:
            if body.unread:
                raise MalformedBodyError(f"{self.binding.verb} takes no body here", "put its fields into the query")
            await body.whole(self._body_seconds)
            return self._serialised(message_of(self.binding, fields, query))
        kind = body.kind((JSON, MULTIPART) if self.binding.body == "*" else (JSON,))
        raw = await body.whole(self._body_seconds)
        if kind == MULTIPART:
            read = await body.form(raw)
        else:
            read = await _aside(len(raw), partial(read_json, raw)) if raw.strip() else None
        return self._serialised(await _aside(len(raw), partial(message_of, self.binding, fields, query, read)))

    def _serialised(self, message: Message) -> bytes:
        raw = message.SerializeToString()
        if len(raw) > self._max_bytes:
            raise TooLargeError(
                f"the message has {len(raw)} bytes in protobuf, the limit is {self._max_bytes}",
                "send less at once, or raise service.max_message_bytes",
            )
        return raw

    async def _stream(self, scope: Scope, body: Body, answer: Answer, options: dict[str, Any]) -> None:
        body.kind(LINES)
        query = _query(scope)
        if query:
            raise InvalidQueryError(f"query parameter {query[0][0][:80]!r} says nothing", "put it into the lines")
        call = self._call(**options)
        try:
            if self.binding.rpc.server_streaming:
                await _unless_gone(self._answer_lines(call, answer), self._feed(body, call))
            else:
                response = self.binding.response.FromString(await _unless_gone(call, self._feed(body, call)))
                await answer.whole(200, JSON, json_of(response))
        finally:
            call.cancel()

    async def _answer_stream(self, scope: Scope, body: Body, answer: Answer, options: dict[str, Any]) -> None:
        call = self._call(await self._request(scope, body), **options)
        try:
            await _unless_gone(self._answer_lines(call, answer), _watch(body, call))
        finally:
            call.cancel()

    async def _feed(self, body: Body, call: Any) -> None:
        """Send what the lines say; then wait for the client to go away. When it does, the call ends."""
        try:
            async for line in body.lines():
                size = len(line) if isinstance(line, bytes) else 0
                await call.write(await _aside(size, partial(self._message_of_line, line)))
            await call.done_writing()
        except ClientGone:
            call.cancel()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # it has ended; its status says why
        await _watch(body, call)

    def _message_of_line(self, line: bytes | TooLargeError) -> bytes:
        """The serialised message of a line; of a bad one, why it is none."""
        try:
            if isinstance(line, TooLargeError):
                raise line
            return self._serialised(message_of(self.binding, {}, body=read_json(line)))
        except TriveniError as error:
            return refused(error)

    async def _answer_lines(self, call: Any, answer: Answer) -> None:
        """Answer as the service does, a line for each message. The first is waited for: till then a status can say
        that there is none."""
        buffer: StreamBuffer[bytes] = StreamBuffer(_MAX_WAITING, _MAX_WAITING_BYTES)
        reading = asyncio.ensure_future(buffer.fill(_sized(call)))
        try:
            while batch := await buffer.take():
                lines = [json_of(self.binding.response.FromString(raw)) + b"\n" for raw in batch]
                await answer.more(LINES[0], b"".join(lines))
            await reading
        finally:
            reading.cancel()
        await answer.end(LINES[0])


def _metadata(scope: Scope, request_id: str) -> tuple[tuple[str, str], ...]:
    headers = Headers(scope=scope)
    passed = ((name, headers.get(name, "")) for name in PASSED_ON)
    return (
        (REQUEST_ID, request_id),
        (PEER, peer_of(scope)),
        *credentials(scope),
        *((name, value) for name, value in passed if is_visible(value)),
    )


def raw_path(scope: Scope) -> str:
    """The path of a request, percent-encoded."""
    return bytes(scope["raw_path"]).decode("ascii", "replace")


def _query(scope: Scope) -> list[tuple[str, str]]:
    """Names and values.

    Raises:
        InvalidQueryError: if they cannot be read.
    """
    try:
        return parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise InvalidQueryError("the query is no UTF-8", "percent-encode it") from None


async def _watch(body: Body, call: Any) -> None:
    """Cancel a call when its client goes away."""
    await body.gone()
    call.cancel()


async def _unless_gone(answer: Awaitable[Any], watching: Coroutine[Any, Any, None]) -> Any:
    """An answer that is waited for, while something watches the client and cancels the call when it goes away.

    Raises:
        ClientGone: if it did.
    """
    watch = asyncio.ensure_future(watching)
    try:
        return await answer
    except asyncio.CancelledError:
        if watch.done():
            raise ClientGone from None
        raise
    finally:
        watch.cancel()


async def _aside(size: int, work: Callable[[], Any]) -> Any:
    """Do something small here, something large in a thread."""
    return work() if size < _ASIDE else await asyncio.to_thread(work)


async def _sized(call: Any) -> AsyncIterator[tuple[bytes, int]]:
    async for raw in call:
        yield raw, len(raw)


def _seconds_of(headers: Headers) -> float | None:
    """The time that a request has, of its header `X-Request-Timeout`; None if it does not say.

    Raises:
        MalformedHeaderError: if it is no number of seconds.
    """
    said = headers.get("x-request-timeout")
    if said is None:
        return None
    if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", said) and float(said) > 0:
        return float(said)
    raise MalformedHeaderError(
        f"x-request-timeout is {said[:40]!r}", "send seconds, such as 2 or 0.5", field="x-request-timeout"
    )
