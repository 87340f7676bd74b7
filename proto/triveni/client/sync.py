"""The client that waits for its answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from queue import SimpleQueue
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


def _blocking(plan: Callable[Concatenate[Connection, P], Plan[T]]) -> Callable[Concatenate[Client, P], T]:
    @wraps(plan)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        steps = plan(self, *args, **kwargs)
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = self._call(step)

    sign(method, plan, "Iterator")
    return method


def _yielding(
    plan: Callable[Concatenate[Connection, P], Rows[T]],
) -> Callable[Concatenate[Client, P], Iterator[T]]:
    @wraps(plan)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
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
                time.sleep(step.seconds)
            else:
                answer = self._call(step)

    sign(method, plan, "Iterator")
    return method


class Client(Connection):
    """Asks a Triveni server, and waits for the answers. Threads may share one; close it in the end, or use `with`."""

    def _connect(self) -> None:
        credentials = self._credentials()
        self._channel = (
            grpc.secure_channel(self.address, credentials, self._options)
            if credentials
            else grpc.insecure_channel(self.address, self._options)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls that still run are cancelled."""
        self._channel.close()

    recommend = _blocking(ask.recommend)
    search = _blocking(ask.search)
    pages = _yielding(ask.pages)
    get = _blocking(catalog.get)
    list = _yielding(catalog.list_items)
    delete = _blocking(catalog.delete)
    embed = _blocking(catalog.embed)
    record = _blocking(events.record)
    history = _blocking(events.history)
    data_of = _blocking(events.data_of)
    forget = _blocking(events.forget)
    models = _blocking(versions.models)
    model = _blocking(versions.model)
    promote = _blocking(versions.promote)
    rollback = _blocking(versions.rollback)
    train = _blocking(versions.train)
    training = _blocking(versions.training)
    trainings = _blocking(versions.trainings)
    watch = _yielding(versions.watch)
    cancel = _blocking(versions.cancel)

    def upsert(
        self,
        items: Iterable[ItemRow],
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
        for result in self.upsert_each(items, root=root, strict=strict, timeout=timeout):
            tally.add(result)
        return tally.end()

    def upsert_each(
        self,
        items: Iterable[ItemRow],
        *,
        root: str | Path | None = None,
        strict: bool = False,
        timeout: float | None = None,
    ) -> Iterator[ItemResult]:
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
        queue: SimpleQueue[catalog_pb2.UpsertItemsRequest | None] = SimpleQueue()
        make = self._channel.stream_stream(
            METHOD,
            request_serializer=catalog_pb2.UpsertItemsRequest.SerializeToString,
            response_deserializer=catalog_pb2.UpsertItemsResponse.FromString,
        )
        call: Any = make(iter(queue.get, None), timeout=timeout, metadata=self._metadata)
        rows, broken = iter(items), None
        try:
            while True:
                while sending.has_room and broken is None:
                    try:
                        queue.put(sending.request(next(rows)))
                    except StopIteration:
                        break
                    except Exception as error:  # noqa: BLE001 (what is under way is answered first)
                        broken = error
                if not sending.under_way:
                    queue.put(None)
                response = next(call, None)
                if response is None:
                    break
                yield sending.result(response)
        except grpc.RpcError as error:
            raise sending.explain(error_of(error, self.address)) from None
        finally:
            queue.put(None)
            call.cancel()
        if broken is not None:
            raise broken
        if sending.under_way:
            raise sending.explain(ServerError("the server ended the stream before its time"))

    def _call(self, call: Call) -> Any:
        make = self._channel.unary_unary(
            f"/triveni.v1.{call.method}",
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response.FromString,
        )
        try:
            return make(call.request, timeout=self._seconds(call.timeout), metadata=self._metadata)
        except grpc.RpcError as error:
            raise error_of(error, self.address) from None
