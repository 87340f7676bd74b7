"""CatalogService."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from encoders.errors import TriveniError
from engine.core.deadline import Deadline
from engine.core.errors import InvalidQueryError, NotFoundError
from engine.core.types import MAX_PARTS, Item, ItemId
from engine.encode.encoding import ContentEncoder
from engine.service.calls import Context, Malformed, checked
from engine.service.convert.content import problem
from engine.service.convert.fields import id_of, within
from engine.service.convert.filters import filter_of
from engine.service.convert.items import item_from, stored_item
from engine.service.paging import cursor_of, page_size, page_token
from engine.service.status import shorten
from engine.service.stream_buffer import StreamBuffer
from engine.service.upsert import Upserter, UpsertOutcome
from engine.service.work import Workers, deadline_of
from engine.store.base import VectorStore
from triveni.v1 import catalog_pb2, catalog_pb2_grpc

Sent = catalog_pb2.UpsertItemsRequest | Malformed
"""A message of the stream: one that cannot be parsed is a bad item like others, and does not end it."""

_OUTCOMES = {
    UpsertOutcome.STORED: catalog_pb2.UPSERT_OUTCOME_STORED,
    UpsertOutcome.UNCHANGED: catalog_pb2.UPSERT_OUTCOME_UNCHANGED,
}


class CatalogServicer(catalog_pb2_grpc.CatalogServiceServicer):
    """The items that can be recommended.

    Args:
        encoder: encodes the contents of new items.
        store: where they are kept.
        readers: where items are read.
        writers: where they are written.
        max_batch: items of one stream that are encoded and written together.
        max_bytes: of the items of one stream that wait meanwhile.
        strict: refuse every item of which a content cannot be read.
        max_parts: contents of one modality that an item may have.
        split_long: whether long texts and sounds are split into passages, within `max_parts`.
        changed: is told of items that were written or deleted, before the caller is.
        counted: is told what became of each item.
    """

    def __init__(
        self,
        encoder: ContentEncoder,
        store: VectorStore,
        readers: Workers,
        writers: Workers,
        *,
        max_batch: int,
        max_bytes: int,
        strict: bool = False,
        max_parts: int = MAX_PARTS,
        split_long: bool = False,
        changed: Callable[[Sequence[ItemId]], None] = lambda _: None,
        counted: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store, self._counted = store, counted
        self._readers, self._writers = readers, writers
        self._max_batch, self._max_bytes = max_batch, max_bytes
        self._upserter = Upserter(encoder, store, changed, strict=strict, max_parts=max_parts, split_long=split_long)
        self._changed = changed
        self._writing = asyncio.Lock()

    async def UpsertItems(  # noqa: N802
        self, request_iterator: AsyncIterator[Sent], context: Context
    ) -> AsyncIterator[catalog_pb2.UpsertItemsResponse]:
        """Add and replace items: a result for each, in order.

        While one batch is written, the next is read from the stream, and no more: a client that sends faster
        than that is held back by gRPC's flow control.
        """
        deadline = deadline_of(context)
        buffer: StreamBuffer[Sent] = StreamBuffer(self._max_batch, self._max_bytes)
        reader = asyncio.create_task(buffer.fill(_sized(request_iterator)))
        index = 0
        try:
            while batch := await buffer.take():
                async with self._writing:
                    responses = await self._writers.run(
                        partial(self._upsert, batch, deadline), deadline, patient=True
                    )
                for response in responses:
                    response.index = index
                    index += 1
                    yield response
            await reader
        finally:
            reader.cancel()

    def _upsert(self, batch: list[Sent], deadline: Deadline) -> list[catalog_pb2.UpsertItemsResponse]:
        items: list[Item | TriveniError] = []
        for request in batch:
            try:
                items.append(item_from(checked(request).item))
            except TriveniError as error:
                items.append(error)
        responses = []
        strict = {row for row, request in enumerate(batch) if not isinstance(request, Malformed) and request.strict}
        for request, result in zip(batch, self._upserter.upsert(items, deadline, strict), strict=True):
            item_id = "" if isinstance(request, Malformed) else shorten(request.item.id, 1024)
            response = catalog_pb2.UpsertItemsResponse(item_id=item_id)
            if isinstance(result, TriveniError):
                response.outcome = catalog_pb2.UPSERT_OUTCOME_REJECTED
                response.problem.CopyFrom(problem(result))
            else:
                response.outcome = _OUTCOMES[result.outcome]
                response.missing.extend(problem(error) for error in result.missing)
                response.thinned = result.thinned
            self._counted("rejected" if isinstance(result, TriveniError) else result.outcome)
            responses.append(response)
        return responses

    async def GetItem(  # noqa: N802
        self, request: catalog_pb2.GetItemRequest, context: Context
    ) -> catalog_pb2.GetItemResponse:
        """One item."""
        deadline = deadline_of(context)
        return await self._readers.run(lambda: self._get(request), deadline)

    def _get(self, request: catalog_pb2.GetItemRequest) -> catalog_pb2.GetItemResponse:
        item_id = id_of(request.item_id, "item_id")
        (point,) = self._store.retrieve([item_id])
        if point is None:
            raise NotFoundError(f"no item {item_id!r}", "ListItems tells which there are", field="item_id")
        fingerprint = self._store.fingerprint
        return catalog_pb2.GetItemResponse(
            item=stored_item(point, fingerprint, include_vectors=request.include_vectors), fingerprint=fingerprint
        )

    async def ListItems(  # noqa: N802
        self, request: catalog_pb2.ListItemsRequest, context: Context
    ) -> catalog_pb2.ListItemsResponse:
        """A page of items."""
        deadline = deadline_of(context)
        return await self._readers.run(lambda: self._list(request), deadline)

    def _list(self, request: catalog_pb2.ListItemsRequest) -> catalog_pb2.ListItemsResponse:
        size = page_size(request.page_size)
        filter_ = None
        try:
            if request.HasField("filter"):
                filter_ = filter_of(request.filter)
        except TriveniError as error:
            raise within(error, "filter") from None
        fingerprint = self._store.fingerprint
        of_list = request.filter.SerializeToString(deterministic=True) + fingerprint.encode()
        cursor = cursor_of(request.page_token, of_list)
        page = self._store.scroll(filter_=filter_, cursor=cursor, limit=size, with_vectors=True)
        return catalog_pb2.ListItemsResponse(
            items=[stored_item(point, fingerprint, include_vectors=request.include_vectors) for point in page.points],
            next_page_token=page_token(page.next_cursor, of_list),
            fingerprint=fingerprint,
        )

    async def DeleteItems(  # noqa: N802
        self, request: catalog_pb2.DeleteItemsRequest, context: Context
    ) -> catalog_pb2.DeleteItemsResponse:
        """Delete items."""
        deadline = deadline_of(context)
        return await self._writers.run(lambda: self._delete(request), deadline)

    def _delete(self, request: catalog_pb2.DeleteItemsRequest) -> catalog_pb2.DeleteItemsResponse:
        ids = dict.fromkeys(id_of(value, f"item_ids[{row}]") for row, value in enumerate(request.item_ids))
        if not ids:
            raise InvalidQueryError("no ids", "name at least one item", field="item_ids")
        try:
            deleted = self._store.delete(list(ids))
        finally:
            self._changed(list(ids))
        return catalog_pb2.DeleteItemsResponse(deleted_count=deleted)


async def _sized(requests: AsyncIterator[Sent]) -> AsyncIterator[tuple[Sent, int]]:
    async for request in requests:
        yield request, request.ByteSize()
