"""Recommendations and search."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from triveni.client import contents, reading
from triveni.client.answers import Answer
from triveni.client.connection import Connection
from triveni.client.contents import Content, Modality, Query
from triveni.client.errors import InvalidError
from triveni.client.events import Row as EventRow
from triveni.client.events import event
from triveni.client.filters import Filter, filter_of
from triveni.client.plans.base import Call, Plan, Row, Rows
from triveni.v1 import recommendation_pb2


def recommend(
    self: Connection,
    user: str = "",
    *,
    query: Query | Iterable[Query] = (),
    like: str | Iterable[str] = (),
    dislike: str | Iterable[str] = (),
    click: str | Iterable[str] = (),
    purchase: str | Iterable[str] = (),
    search: Content | Sequence[Content] = (),
    upload: Path | bytes | Sequence[Path | bytes] = (),
    history: Iterable[EventRow] = (),
    filter: Filter | None = None,
    limit: int = 10,
    diversity: float | None = None,
    exclude: str | Iterable[str] = (),
    max_per: Mapping[str, int] | None = None,
    min_score: float | None = None,
    max_false_positive_rate: float | None = None,
    include_seen: bool = False,
    modalities: Sequence[Modality] = (),
    context: Mapping[str, str] | None = None,
    model: str = "",
    half_life_days: float | None = None,
    timeout: float | None = None,
) -> Plan[Answer]:
    """Recommend items to a user, from what they did and what they ask for.

    Args:
        user: what was recorded of them counts too.
        query: what they ask for now, as in `search`.
        like: ids of items that they liked.
        dislike: ids of items that they disliked.
        click: ids of items that they clicked.
        purchase: ids of items that they bought.
        search: what they searched for: texts, pictures or sounds.
        upload: pictures or sounds that they uploaded.
        history: other events, such as {"kind": "rate", "item": "42", "value": 5, "time": "2026-01-31T12:00:00Z"}.
        filter: which items may be shown; see `triveni.client.filters.filter_of`.
        limit: how many results.
        diversity: 0 ranks by score alone, 1 by difference alone; None takes the server's.
        exclude: ids of items that must not be shown.
        max_per: at most so many results of one value, such as {"category": 2}.
        min_score: results that score lower are left out.
        max_false_positive_rate: leaves out what may fit the query by chance: with 0.01, one in a hundred queries that
            nothing fits finds something all the same. `Answer.no_match` says whether nothing is left.
        include_seen: whether items of the history may be shown again.
        modalities: the item modalities to search in, of text, image and audio; none means all.
        context: anything else about the situation, such as the page or the device.
        model: the version to answer with, "untrained" for none; "" takes the one that the user gets.
        half_life_days: after how many days an event counts half; None takes the server's.
        timeout: seconds; None takes the client's.

    Returns:
        The results, best first.

    Raises:
        TriveniError: if the request makes no sense, or was not answered.
    """
    rows: list[EventRow] = list(history)
    shown = {"like": like, "click": click, "purchase": purchase, "dislike": dislike}
    rows += [{"kind": kind, "item": one} for kind, ids in shown.items() for one in contents.identities(ids, kind)]
    rows += [{"kind": "search", "content": one} for one in _several(search)]
    rows += [{"kind": "upload", "content": _uploaded(one)} for one in _several(upload)]
    parts = contents.parts(query)
    request = recommendation_pb2.RecommendRequest(
        user_id=contents.identity(user, "user"),
        parts=[contents.part_message(one, f"query[{place}]") for place, one in enumerate(parts)],
        history=[event(one, f"history[{place}]") for place, one in enumerate(rows)],
        filter=filter_of(filter),
        limit=limit,
        modalities=map(contents.modality, modalities),
        policy=_policy(diversity, exclude, max_per, min_score, max_false_positive_rate, include_seen),
        context=context,
        model=contents.identity(model, "model"),
        half_life=None if half_life_days is None else timedelta(days=half_life_days),
    )
    call = Call("RecommendationService/Recommend", request, recommendation_pb2.RecommendResponse, timeout)
    return (yield from _answered(self, call, parts, reading.labels(request.history, rows)))


def search(
    self: Connection,
    query: Query | Iterable[Query],
    *,
    filter: Filter | None = None,
    limit: int = 10,
    diversity: float | None = None,
    exclude: str | Iterable[str] = (),
    max_per: Mapping[str, int] | None = None,
    min_score: float | None = None,
    max_false_positive_rate: float | None = None,
    modalities: Sequence[Modality] = (),
    model: str = "",
    timeout: float | None = None,
) -> Plan[Answer]:
    """Find items.

    Args:
        query: a text, the path or bytes of a picture or sound, a vector; or several of them in a list. ("red", 0.5)
            gives one a weight, a negative one asks for less of it; Part(item="42") asks for what is like an item.
        filter: which items may be found; see `triveni.client.filters.filter_of`.
        limit: how many results.
        diversity: 0 ranks by score alone, 1 by difference alone; None takes the server's.
        exclude: ids of items that must not be found.
        max_per: at most so many results of one value, such as {"category": 2}.
        min_score: results that score lower are left out.
        max_false_positive_rate: leaves out what may fit the query by chance: with 0.01, one in a hundred queries that
            nothing fits finds something all the same. `Answer.no_match` says whether nothing is left.
        modalities: the item modalities to search in, of text, image and audio; none means all.
        model: the version to answer with, "untrained" for none; "" takes the one that serves.
        timeout: seconds; None takes the client's.

    Returns:
        The results, best first.

    Raises:
        TriveniError: if the request makes no sense, or was not answered.
    """
    parts = contents.parts(query)
    request = recommendation_pb2.SearchRequest(
        parts=[contents.part_message(one, f"query[{place}]") for place, one in enumerate(parts)],
        filter=filter_of(filter),
        limit=limit,
        modalities=map(contents.modality, modalities),
        policy=_policy(diversity, exclude, max_per, min_score, max_false_positive_rate, include_seen=False),
        model=contents.identity(model, "model"),
    )
    call = Call("RecommendationService/Search", request, recommendation_pb2.SearchResponse, timeout)
    return (yield from _answered(self, call, parts, ()))


def pages(self: Connection, answer: Answer) -> Rows[Answer]:
    """An answer, then the pages that follow it in the same list, as they are taken. No item comes twice.

    Example: for page in client.pages(client.search("red shoe", limit=20)): ...

    Args:
        answer: of `recommend` or `search`.

    Yields:
        Pages of at most as many results; ranks go on. Each counts as shown when it comes.

    Raises:
        TriveniError: if a page was not answered.
    """
    yield Row(answer)
    while answer.following is not None:
        answer = yield from answer.following()
        if answer.results:  # a list may end where a page does
            yield Row(answer)


def _answered(self: Connection, call: Call, parts: Sequence[contents.Part], labels: Sequence[str]) -> Plan[Answer]:
    message = yield call
    answer = reading.answer(message, parts, labels, self.media)
    if not answer.next_page_token:
        return answer
    request = type(call.request)()
    request.CopyFrom(call.request)
    request.page_token = answer.next_page_token  # type: ignore[attr-defined]
    following = dataclasses.replace(call, request=request)
    return dataclasses.replace(answer, following=lambda: _answered(self, following, parts, labels))


def _several(given: Content | Sequence[Content]) -> Sequence[Content]:
    return (given,) if isinstance(given, str | bytes | Path) else given


def _uploaded(source: Content) -> Path | bytes:
    if isinstance(source, str):
        raise InvalidError(f"upload is the text {source!r:.60}", "give Path(...) for a file, search= for a text")
    return source


def _policy(
    diversity: float | None,
    exclude: str | Iterable[str],
    max_per: Mapping[str, int] | None,
    min_score: float | None,
    max_false_positive_rate: float | None,
    include_seen: bool,
) -> recommendation_pb2.PolicyOptions:
    return recommendation_pb2.PolicyOptions(
        exclude_item_ids=contents.identities(exclude, "exclude"),
        include_seen=include_seen,
        diversity=diversity,
        max_per_value=max_per,
        min_score=min_score,
        max_false_positive_rate=max_false_positive_rate,
    )
