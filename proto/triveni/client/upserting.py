"""A stream of items: what is under way, and what became of each."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from triveni.client.errors import TriveniError
from triveni.client.items import ItemRow, item, problem
from triveni.client.packing import fitting, problem_of
from triveni.client.problem import Problem
from triveni.client.results import ItemResult, Upserted
from triveni.v1 import catalog_pb2

METHOD = "/triveni.v1.CatalogService/UpsertItems"
WINDOW = 128
"""Items that are under way at once: a few of the server's batches."""
WINDOW_BYTES = 32 << 20


@dataclass(slots=True)
class Sending:
    """The items of one stream that are sent and not answered yet.

    An item that cannot even be sent goes as an empty message, which the server refuses: so each item has an answer of
    its own, in order.

    Args:
        root: where paths of pictures and sounds begin; no file outside of it is read. None: in the current folder.
        strict: refuse items of which a content cannot be read.
        max_bytes: of one message; a larger one would end the stream.
    """

    root: Path | None
    strict: bool
    max_bytes: int
    _sizes: deque[int] = field(default_factory=deque)
    """Of the messages under way."""
    _bytes: int = 0
    _sent: int = 0
    _bad: dict[int, tuple[str, Problem]] = field(default_factory=dict)
    """Items under way that could not be sent: their ids, and why."""

    @property
    def under_way(self) -> int:
        """How many items are sent and not answered."""
        return len(self._sizes)

    @property
    def has_room(self) -> bool:
        """Whether another item may be sent."""
        return len(self._sizes) < WINDOW and self._bytes < WINDOW_BYTES

    def request(self, row: ItemRow) -> catalog_pb2.UpsertItemsRequest:
        """The message of the next item."""
        try:
            request = catalog_pb2.UpsertItemsRequest(item=item(row, self.root), strict=self.strict)
            fitting(request, self.max_bytes)
        except TriveniError as error:
            known = row.get("id", "") if isinstance(row, Mapping) else ""
            self._bad[self._sent] = (known if isinstance(known, str) else repr(known), problem_of(error))
            request = catalog_pb2.UpsertItemsRequest()
        self._sent += 1
        self._sizes.append(request.ByteSize())
        self._bytes += self._sizes[-1]
        return request

    def result(self, message: catalog_pb2.UpsertItemsResponse) -> ItemResult:
        """What became of the item that was sent first of those under way."""
        self._bytes -= self._sizes.popleft()
        if message.index in self._bad:
            return ItemResult(message.index, self._bad[message.index][0], "rejected", self._bad.pop(message.index)[1])
        outcome = catalog_pb2.UpsertOutcome.Name(message.outcome).removeprefix("UPSERT_OUTCOME_").lower()
        return ItemResult(
            message.index,
            message.item_id,
            outcome,  # type: ignore[arg-type]
            problem(message.problem) if message.HasField("problem") else None,
            tuple(problem(one) for one in message.missing),
            message.thinned,
        )

    def explain(self, error: TriveniError) -> TriveniError:
        """The error that ended the stream, with what is known of the items."""
        done = self._sent - self.under_way
        error.add_note(f"{done:,} items were answered before; send all again: what is unchanged is skipped")
        return error


class Tally:
    """Counts what became of items, and says so on the way.

    Args:
        progress: whether to write it to standard error: on one line of a terminal, else now and then.
    """

    def __init__(self, *, progress: bool) -> None:
        self._counts = {"stored": 0, "unchanged": 0, "rejected": 0}
        self._problems: list[ItemResult] = []
        self._progress, self._terminal = progress, sys.stderr.isatty()
        self._began = self._said = time.monotonic()

    def add(self, result: ItemResult) -> None:
        """Count one."""
        self._counts[result.outcome] += 1
        if result.problem or result.missing:
            self._problems.append(result)
        now = time.monotonic()
        if self._progress and now - self._said > (0.2 if self._terminal else 10.0):
            self._said = now
            self._say(end="\r" if self._terminal else "\n")

    def end(self) -> Upserted:
        """What became of all."""
        if self._progress:
            self._say(end="\n")
        return Upserted(**self._counts, problems=tuple(self._problems))

    def _say(self, end: str) -> None:
        total = sum(self._counts.values())
        pace = total / max(time.monotonic() - self._began, 1e-9)
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in self._counts.items())
        print(f"{total:,} items: {counts} ({pace:,.0f}/s)", end=end, file=sys.stderr, flush=True)
