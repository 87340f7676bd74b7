"""The next page of a list of results: how far it was read, in a token that any server understands.

No server remembers a list. A page is made by asking again for the list from its beginning to the end of the page, and
leaving out what was shown: so it may be asked of another server, or after a restart, and nothing comes twice whatever
is written in between.
"""

import struct
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b

from engine.core.errors import InvalidQueryError
from engine.core.types import Query, Recommendations, mark_of
from engine.events.times import from_micros, micros
from engine.service.paging import opened, sealed
from triveni.v1 import recommendation_pb2

_FORM = struct.Struct(">BQ")
"""The version of the form, and when the list began, in microseconds; then marks of 8 bytes each."""
_VERSION, _MARK = 1, 8

Asked = recommendation_pb2.RecommendRequest | recommendation_pb2.SearchRequest


@dataclass(frozen=True, slots=True)
class ResultPage:
    """The page that a request asks for."""

    of_list: bytes
    """What makes the list what it is."""
    began: datetime
    """When the first page was asked for."""
    shown: frozenset[bytes]
    """The marks of what the pages before showed; see `mark_of`."""

    @property
    def before(self) -> datetime | None:
        """What was recorded since the list began does not change it; None on the first page."""
        return self.began if self.shown else None

    def query(self, query: Query, max_depth: int) -> Query:
        """The query of this page; the last one of a long list is shorter.

        Args:
            query: what the request says.
            max_depth: results that a list has at most.
        """
        if not self.shown:
            return query
        return replace(query, limit=min(query.limit, max_depth - len(self.shown)), shown=self.shown)

    def next_token(self, answer: Recommendations, max_depth: int) -> str:
        """The token of the page behind the answer; "" where the list ends."""
        shown = self.shown | {mark_of(result.item) for result in answer.results}
        if not answer.full or not answer.results or len(shown) >= max_depth:
            return ""
        return sealed(_FORM.pack(_VERSION, micros(self.began)) + b"".join(sorted(shown)), self.of_list)


def page_of(request: Asked, now: datetime, *, tenant: str, fingerprint: str) -> ResultPage:
    """The page that a request asks for.

    Args:
        request: all of it but limit and trace makes the list what it is.
        now: when it was asked.
        tenant: of the caller.
        fingerprint: of the space.

    Raises:
        InvalidQueryError: if its token is not one that this list gave.
    """
    whole = type(request)()
    whole.CopyFrom(request)  # type: ignore[arg-type]
    for field in ("page_token", "limit", "trace"):
        whole.ClearField(field)
    about = f"{type(request).__name__}\0{tenant}\0{fingerprint}\0".encode()
    of_list = blake2b(about + whole.SerializeToString(deterministic=True), digest_size=32).digest()
    if not request.page_token:
        return ResultPage(of_list, now, frozenset())
    raw = opened(request.page_token, of_list, "request (limit and trace may differ)")
    try:
        version, began = _FORM.unpack_from(raw)
        marks = raw[_FORM.size :]
        if version != _VERSION or not marks or len(marks) % _MARK:
            raise ValueError
        time = from_micros(began)
    except (struct.error, ValueError, OverflowError):
        problem = "it is of another version of the server"
        raise InvalidQueryError(problem, "begin again without", field="page_token") from None
    return ResultPage(of_list, time, frozenset(marks[at : at + _MARK] for at in range(0, len(marks), _MARK)))
