"""Items of the catalogue, and vectors."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from triveni.client import contents, reading
from triveni.client.connection import Connection
from triveni.client.contents import Content, Vector
from triveni.client.filters import Filter, filter_of
from triveni.client.items import problem
from triveni.client.packing import PAGE, packed
from triveni.client.plans.base import Call, Plan, Row, Rows
from triveni.client.problem import Problem
from triveni.client.results import Embedded, Item
from triveni.v1 import catalog_pb2, encoder_pb2

CONTENTS = 256
"""Of one call of Encode."""


def get(self: Connection, item: str, *, vectors: bool = False, timeout: float | None = None) -> Plan[Item]:
    """An item of the catalogue.

    Args:
        item: its id.
        vectors: whether its vectors are wanted as well.
        timeout: seconds; None takes the client's.

    Raises:
        NotFoundError: if there is none.
        TriveniError: if the call fails otherwise.
    """
    request = catalog_pb2.GetItemRequest(item_id=contents.identity(item, "item"), include_vectors=vectors)
    answer = yield Call("CatalogService/GetItem", request, catalog_pb2.GetItemResponse, timeout)
    return reading.item(answer.item)


def list_items(
    self: Connection,
    *,
    filter: Filter | None = None,
    vectors: bool = False,
    limit: int | None = None,
    timeout: float | None = None,
) -> Rows[Item]:
    """The items of the catalogue, one after the other, in the store's order; they are fetched as they are taken.

    Args:
        filter: which ones; see `triveni.client.filters.filter_of`.
        vectors: whether their vectors are wanted as well.
        limit: at most so many; None means all.
        timeout: seconds for each page; None takes the client's.

    Yields:
        Items.

    Raises:
        TriveniError: if the filter makes no sense, or a call fails.
    """
    given, token = 0, ""
    while limit is None or given < limit:
        request = catalog_pb2.ListItemsRequest(
            filter=filter_of(filter),
            include_vectors=vectors,
            page_size=PAGE if limit is None else min(PAGE, limit - given),
            page_token=token,
        )
        page = yield Call("CatalogService/ListItems", request, catalog_pb2.ListItemsResponse, timeout)
        for message in page.items:
            yield Row(reading.item(message))
        given, token = given + len(page.items), page.next_page_token
        if not token:
            return


def delete(self: Connection, items: str | Iterable[str], *, timeout: float | None = None) -> Plan[int]:
    """Delete items. Ids that are not there are no error.

    Args:
        items: an id, or several.
        timeout: seconds for each 1,000; None takes the client's.

    Returns:
        How many there were.

    Raises:
        TriveniError: if the call fails.
    """
    deleted = 0
    wanted = contents.identities(items, "items")
    for start in range(0, len(wanted), PAGE):
        request = catalog_pb2.DeleteItemsRequest(item_ids=wanted[start : start + PAGE])
        answer = yield Call("CatalogService/DeleteItems", request, catalog_pb2.DeleteItemsResponse, timeout)
        deleted += answer.deleted_count
    return deleted


def embed(self: Connection, sources: Content | Iterable[Content], *, timeout: float | None = None) -> Plan[Embedded]:
    """Vectors of texts, pictures and sounds. One that cannot be read is a problem of its own.

    Args:
        sources: a content, or several.
        timeout: seconds for each 256; None takes the client's.

    Returns:
        A vector for each, or None and why there is none.

    Raises:
        TriveniError: if the call fails.
    """
    given = [sources] if isinstance(sources, str | bytes | Path) else list(sources)
    vectors: list[Vector | None] = [None] * len(given)
    problems: dict[int, Problem] = {}
    fingerprint = ""
    for chunk in packed(given, contents.content, problems, self.max_message_bytes, CONTENTS):
        request = encoder_pb2.EncodeRequest(contents=[message for _, message in chunk])
        answer = yield Call("EncoderService/Encode", request, encoder_pb2.EncodeResponse, timeout)
        fingerprint = answer.fingerprint
        numbers = reading.floats(answer.vectors)
        for row, place in enumerate(answer.content_indexes):
            index, message = chunk[place]
            values = numbers[row * answer.dimension : (row + 1) * answer.dimension]
            vectors[index] = Vector(message.WhichOneof("content"), values, fingerprint)
        problems |= {chunk[each.index][0]: problem(each.problem) for each in answer.rejected}
    return Embedded(tuple(vectors), fingerprint, dict(sorted(problems.items())))
