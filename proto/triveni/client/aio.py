"""The client whose answers are awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc

from triveni.client.connection import Connection
from triveni.client.errors import ServerError, error_of
from triveni.client.items import ItemRow
from triveni.client.plans import ask, catalog, events, versions
from triveni.client.plans.base import Call, Pause, Plan, Row, Rows
from triveni.client.results import ItemResult, Upserted
from triveni.client.signing import sign
from triveni.client.upserting import METHOD, Sending, Tally
from triveni.v1 import catalog_pb2

P = ParamSpec("P")
T = TypeVar("T")


def _awaited(
    plan: Callable[Concatenate[Connection, P], Plan[T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    @wraps(plan)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        steps = plan(self, *args, **kwargs)
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = await self._call(step)

    sign(method, plan, "AsyncIterator")
    return method


def _yielding(
    plan: Callable[Concatenate[Connection, P], Rows[T]],
) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[T]]:
    @wraps(plan)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        steps = plan(self, *args, **kwargs)
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration:
                return
            answer = None
            if isinstance(step, Row):
                yield step.value
            elif isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            else:
                answer = await self._call(step)

    sign(method, plan, "AsyncIterator")
    return method


class AsyncClient(Connection):
    """Asks a Triveni server; the answers are awaited. It belongs to one event loop; close it, or use `async with`.

    Files that are named are read in the event loop; hand in bytes where that takes too long.
    """

    _made: grpc.aio.Channel | None = None

    def _connect(self) -> None:
        """The channel is made at the first call: it needs the running event loop."""

    @property
    def _channel(self) -> grpc.aio.Channel:
        if self._made is None:
            credentials = self._credentials()
            self._made = (
                grpc.aio.secure_channel(self.address, credentials, self._options)
                if credentials
                else grpc.aio.insecure_channel(self.address, self._options)
            )
        return self._made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls that still run are cancelled."""
        if self._made is not None:
            await self._made.close(None)

    recommend = _awaited(ask.recommend)
    search = _awaited(ask.search)
    pages = _yielding(ask.pages)
    get = _awaited(catalog.get)
    list = _yielding(catalog.list_items)
    delete = _awaited(catalog.delete)
    embed = _awaited(catalog.embed)
    record = _awaited(events.record)
    history = _awaited(events.history)
    data_of = _awaited(events.data_of)
    forget = _awaited(events.forget)
    models = _awaited(versions.models)
    model = _awaited(versions.model)
    promote = _awaited(versions.promote)
    rollback = _awaited(versions.rollback)
    train = _awaited(versions.train)
    training = _awaited(versions.training)
    trainings = _awaited(versions.trainings)
    watch = _yielding(versions.watch)
    cancel = _awaited(versions.cancel)

    async def upsert(
        self,
        items: Iterable[ItemRow] | AsyncIterable[ItemRow],
        *,
        root: str | Path | None = None,
        strict: bool = False,
        progress: bool = False,
        timeout: float | None = None,
    ) -> Upserted:
        """Add and replace items. A bad one is refused alone.

        Args:
            items: dicts such as {"id": "42", "text": "red shoe", "image": "shoes/42.jpg", "price": 79.9}: `id`;
                `text`, `image`, `audio`, at least one of them, pictures and sounds as bytes or paths; the rest is
                payload. They are taken as they can be sent.
            root: where paths begin; no file outside of it is read.
            strict: refuse items of which one content cannot be read, instead of storing the rest.
            progress: write to standard error how far it is.
            timeout: seconds for all; None is no limit.

        Returns:
            How many were stored, unchanged and rejected; and the items with problems.

        Raises:
            TriveniError: if the stream breaks off; what was stored stays.
        """
        tally = Tally(progress=progress)
        async for result in self.upsert_each(items, root=root, strict=strict, timeout=timeout):
            tally.add(result)
        return tally.end()

    async def upsert_each(
        self,
        items: Iterable[ItemRow] | AsyncIterable[ItemRow],
        *,
        root: str | Path | None = None,
        strict: bool = False,
        timeout: float | None = None,
    ) -> AsyncIterator[ItemResult]:
        """The same, one result at a time, in the order of the items: they are sent as results are taken.

        Args:
            items: see `upsert`.
            root: where paths begin; no file outside of it is read.
            strict: refuse items of which one content cannot be read, instead of storing the rest.
            timeout: seconds for all; None is no limit.

        Yields:
            What became of each.

        Raises:
            TriveniError: if the stream breaks off; what was stored stays.
        """
        sending = Sending(Path(root) if root is not None else None, strict, self.max_message_bytes)
        queue: asyncio.Queue[catalog_pb2.UpsertItemsRequest | None] = asyncio.Queue()
        make = self._channel.stream_stream(
            METHOD,
            request_serializer=catalog_pb2.UpsertItemsRequest.SerializeToString,
            response_deserializer=catalog_pb2.UpsertItemsResponse.FromString,
        )
        call = make(_until_none(queue), timeout=timeout, metadata=self._metadata)
        rows, broken = _iterated(items), None
        try:
            while True:
                while sending.has_room and broken is None:
                    try:
                        queue.put_nowait(sending.request(await anext(rows)))
                    except StopAsyncIteration:
                        break
                    except Exception as error:  # noqa: BLE001 (what is under way is answered first)
                        broken = error
                if not sending.under_way:
                    queue.put_nowait(None)
                response = await call.read()
                if not isinstance(response, catalog_pb2.UpsertItemsResponse):  # the end of the stream
                    break
                yield sending.result(response)
        except grpc.RpcError as error:
            raise sending.explain(error_of(error, self.address)) from None
        finally:
            queue.put_nowait(None)
            call.cancel()
        if broken is not None:
            raise broken
        if sending.under_way:
            raise sending.explain(ServerError("the server ended the stream before its time"))

    async def _call(self, call: Call) -> Any:
        make = self._channel.unary_unary(
            f"/triveni.v1.{call.method}",
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response.FromString,
        )
        try:
            return await make(call.request, timeout=self._seconds(call.timeout), metadata=self._metadata)
        except grpc.RpcError as error:
            raise error_of(error, self.address) from None


async def _until_none(queue: asyncio.Queue[T | None]) -> AsyncIterator[T]:
    while (one := await queue.get()) is not None:
        yield one


async def _iterated(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for one in items:
            yield one
    else:
        for one in items:
            yield one
