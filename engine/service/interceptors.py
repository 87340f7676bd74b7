"""What every call goes through: a request id, errors to statuses, one log line."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, aclosing, suppress
from contextvars import ContextVar
from functools import cache
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf.message import DecodeError

from encoders.errors import TriveniError
from engine.service.access.access import Access
from engine.service.access.caller import Caller
from engine.service.access.errors import RefusedError
from engine.service.access.scopes import scope_of
from engine.service.calls import SETTINGS, Call, Context, Malformed, begin_call, checked, status_name
from engine.service.logs import UserNames
from engine.service.metrics import Metrics
from engine.service.quotas.quotas import Quotas, carries_contents
from engine.service.status import (
    NotReadyError,
    NotServedError,
    TenantError,
    UnexpectedError,
    grpc_status,
    reason_of,
    refusal,
    refusal_error,
    refusal_step,
    shorten,
)
from engine.service.tracing import Tracing, Untraced
from engine.service.work import WorkerPools

_OWN = "/triveni."

_CALLER: ContextVar[Caller] = ContextVar("caller")
"""Who makes the call of this task, from when it is let in until its handler begins."""

_CUT_SECONDS = 1.0
"""How long calls may take to tell their callers that the server stops."""

_OF_THE_REQUEST = ("INVALID_ARGUMENT", "NOT_FOUND")
"""Statuses whose message may quote what was asked: the caller gets it, the log gets its reason and field."""

Handler = Any
"""A `grpc.RpcMethodHandler`; grpc types neither its messages nor its functions."""


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Wraps the handler of every method, once.

    It also counts the running calls of our own services, so that a server that stops can wait for them; health
    watches and reflection streams never end by themselves.

    Args:
        settings: by tenant digests of its settings, which a caller gets who sends the metadata key `SETTINGS`.
        metrics: counts calls.
        access: decides who calls, before a handler begins.
        pools: whose queues may refuse a call before it is read.
        quotas: decide how much a tenant may ask for.
        tracing: makes spans of calls.
        names: names people in log lines.
    """

    def __init__(
        self,
        settings: Mapping[str, Mapping[str, str]],
        metrics: Metrics,
        access: Access,
        pools: WorkerPools,
        quotas: Quotas,
        tracing: Tracing | None = None,
        names: UserNames | None = None,
    ) -> None:
        self._settings = {tenant: json.dumps(dict(digests)) for tenant, digests in settings.items()}
        self._metrics, self._access, self._pools, self._quotas = metrics, access, pools, quotas
        self._tracing, self._names = tracing or Untraced(), names or UserNames()
        self._refused = 0  # since the log told of it last
        self._wrapped: dict[str, Handler] = {}
        self._log = structlog.get_logger("triveni.service")
        self._idle = asyncio.Event()
        self._idle.set()
        self._refusing = self._cut = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self.running = 0

    def refuse(self) -> None:
        """From now on answer new calls of our own services with UNAVAILABLE."""
        self._refusing = True

    def _refuse(self, call: Call) -> None:
        if self._refusing and call.method.startswith(_OWN):
            raise NotReadyError("the server is stopping", "try again: another server or a new one will answer")
        if call.caller.tenant not in self._settings and call.method.startswith(_OWN):
            raise TenantError.of(call.caller.tenant)

    async def idle(self) -> None:
        """Wait until no call of our own services is running."""
        await self._idle.wait()

    async def cut_off(self) -> None:
        """End what still runs of our own services: its callers are told that the server stops."""
        self._cut = True
        for task in self._tasks:
            task.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.idle(), _CUT_SECONDS)

    def _cut_short(self, cancelled: asyncio.CancelledError) -> NotReadyError:
        """What a call that was cancelled ends with, if we did it; else it goes on being cancelled."""
        if not self._cut:
            raise cancelled
        return NotReadyError("the server stopped before the call was done", "send again what was not answered")

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """The wrapped handler of a method; None for a method that is not there."""
        method: str = handler_call_details.method
        if seconds := self._refuse_early(method, self._pools.refuse):
            return _refusal_handler(refusal_step(seconds))
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            wrapped = self._wrapped[method] = self._wrap(method, handler)
        try:
            _CALLER.set(self._access.admit(scope_of(method), handler_call_details.invocation_metadata or ()))
        except RefusedError as error:
            return self._refusing_handler(method, error)
        return wrapped

    def send_on(self, method: str) -> AbstractContextManager[None]:
        """Let in a call, before it is read, at a door that makes a gRPC call of it: in the block that this returns.

        Args:
            method: its full name.

        Raises:
            OverloadedError: if it has no chance.
        """
        if seconds := self._refuse_early(method, self._pools.refuse_at_door):
            raise refusal_error(refusal_step(seconds))
        return self._pools.sent(method)

    def _refuse_early(self, method: str, refuse: Callable[[str], float]) -> float:
        """Seconds after which a call may be tried again that has no chance, else 0; the log tells once a second of
        how many there were."""
        seconds = 0.0 if self._refusing else refuse(method)
        if seconds:
            self._metrics.refused(method)
            self._refused += 1
            if self._refused == 1:
                asyncio.get_running_loop().call_later(1.0, self._tell_refused)
        return seconds

    def _tell_refused(self) -> None:
        self._log.warning("calls refused", count=self._refused, code="RESOURCE_EXHAUSTED")
        self._refused = 0

    def _refusing_handler(self, method: str, error: RefusedError) -> Handler:
        """A handler that refuses a call before a message of it is read: it is one that would ask for each."""

        async def refuse(_: Any, context: Context) -> None:
            _CALLER.set(error.caller)
            call = self._begin(method, context)
            await self._fail(error, call, context)

        return grpc.stream_unary_rpc_method_handler(refuse)

    def _wrap(self, method: str, handler: Handler) -> Handler:
        read = _reader(handler.request_deserializer)
        write = handler.response_serializer
        own, counted = method.startswith(_OWN), method.startswith(_OWN) and carries_contents(method)

        async def let_in(call: Call, request: Any) -> Any:
            """The request, or the stream of them; our own streams take a malformed message as a bad item."""
            self._refuse(call)
            if not own:
                return self._checked_stream(request, call) if handler.request_streaming else checked(request)
            if handler.request_streaming:
                await self._quotas.admit(call.caller.tenant)
                return self._paced(request, call, counted)
            await self._quotas.admit(call.caller.tenant, request.ByteSize() if counted else 0)
            return checked(request)

        if not handler.response_streaming:
            answer = handler.stream_unary or handler.unary_unary

            async def unary(request: Any, context: Context) -> Any:
                call = self._begin(method, context)
                try:
                    return await answer(await let_in(call, request), context)
                except asyncio.CancelledError as cancelled:
                    await self._fail(self._cut_short(cancelled), call, context)
                except Exception as error:  # noqa: BLE001
                    await self._fail(error, call, context)

            make = (
                grpc.stream_unary_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_unary_rpc_method_handler
            )
            return make(unary, read, write)

        stream = handler.stream_stream or handler.unary_stream

        async def streaming(request: Any, context: Context) -> None:
            call = self._begin(method, context)
            try:
                responses = stream(await let_in(call, request), context)
                if not hasattr(responses, "aclose"):
                    await responses
                    return
                async with aclosing(responses):
                    async for response in responses:
                        if not handler.request_streaming:
                            self._admit_still(call)
                        await context.write(response)
            except asyncio.CancelledError as cancelled:
                await self._fail(self._cut_short(cancelled), call, context)
            except Exception as error:  # noqa: BLE001
                await self._fail(error, call, context)

        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        return make(streaming, read, write)

    async def _paced(self, requests: AsyncIterator[Any], call: Call, counted: bool) -> AsyncIterator[Any]:
        async for request in requests:
            await self._quotas.pace(call.caller.tenant, request.ByteSize() if counted else 0)
            self._admit_still(call)
            yield request

    async def _checked_stream(self, requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
        async for request in requests:
            self._admit_still(call)
            yield checked(request)

    def _admit_still(self, call: Call) -> None:
        """A stream may live longer than the credential that it began with: each of its messages asks again."""
        self._access.admit_still(scope_of(call.method), call.headers, call.caller)

    def _begin(self, method: str, context: Context) -> Call:
        call = begin_call(method, context, _CALLER.get(), ask_peer=self._access.audit.writes)
        if call.caller.scopes and any(key == SETTINGS for key, _ in context.invocation_metadata() or ()):
            context.set_trailing_metadata(((SETTINGS, self._settings.get(call.caller.tenant, "{}")),))
        own = method.startswith(_OWN)
        task = asyncio.current_task()
        if own and task is not None:
            self.running += 1
            self._idle.clear()
            self._tasks.add(task)

        def end(context: Any) -> None:
            if own and task is not None:
                self._tasks.discard(task)
                self.running -= 1
                if not self.running:
                    self._idle.set()
            self._report(call, context, own)

        context.add_done_callback(end)  # type: ignore[arg-type]
        return call

    def _report(self, call: Call, context: Context, own: bool) -> None:
        took, code = time.perf_counter() - call.began, status_name(context)
        tenant = call.caller.tenant
        self._metrics.called(call.method, code, took, tenant if tenant in self._settings else "")
        about = {"user": self._names(call.user)} if call.user else {}
        facts = {"request_id": call.request_id, **about, **call.notes}
        trace = own and self._tracing.ended(
            call.method,
            code,
            call.began,
            took,
            carrier=call.carried,
            facts=facts,
            stages=call.stages,
            stages_began=call.stages_began,
        )
        self._access.audit.ended(
            call.method,
            scope_of(call.method),
            call.caller,
            code,
            call.request_id,
            peer=call.peer,
            why=str(call.notes.get("why", "")),
            time=call.time,
        )
        log = self._log.info if own else self._log.debug
        ms, traced = round(took * 1e3, 2), {"trace_id": trace} if trace else {}
        log("call", method=call.method, code=code, ms=ms, **facts, **traced)

    async def _fail(self, error: Exception, call: Call, context: Context) -> NoReturn:
        if isinstance(error, grpc.aio.BaseError):  # aborted already, or the connection is gone
            raise error
        if isinstance(error, NotImplementedError):  # of a service of gRPC's own
            error = NotServedError(f"{call.method} is not answered here", "see the services that reflection lists")
        if not isinstance(error, TriveniError):
            self._log.error("unexpected error", request_id=call.request_id, method=call.method, exc_info=error)
            error = UnexpectedError(call.request_id)
        call.notes["reason"] = reason_of(error)
        if isinstance(error, RefusedError):
            call.notes["why"] = error.why
        if error.status in _OF_THE_REQUEST:
            call.notes |= {"field": shorten(error.field)} if error.field else {}
        else:
            call.notes["error"] = shorten(str(error))
        await context.abort_with_status(grpc_status(error, call.request_id))  # type: ignore[attr-defined]
        raise AssertionError("abort returned")


@cache
def _refusal_handler(step: int) -> Handler:
    """Refuses any call. It takes streams, as gRPC need not read the request then."""
    status: Any = refusal(step)

    async def refuse(_: Any, context: Context) -> None:
        context.set_code(status.code)
        context.set_details(status.details)
        context.set_trailing_metadata(status.trailing_metadata)

    return grpc.stream_stream_rpc_method_handler(refuse)


def _reader(parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """A deserializer that never raises: gRPC would answer INTERNAL."""

    def read(raw: bytes) -> Any:
        try:
            return parse(raw) if parse else raw
        except (DecodeError, UnicodeDecodeError):
            return Malformed(raw)

    return read
