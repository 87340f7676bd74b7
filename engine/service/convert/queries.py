"""recommendation.proto, from the client: requests to queries."""

from collections.abc import Callable, Iterable, Sequence

from google.protobuf import duration_pb2

from encoders.errors import TriveniError
from encoders.types import Modality
from engine.core.errors import InvalidQueryError
from engine.core.filters import Filter
from engine.core.types import Event, PolicyOptions, Query, QueryPart, UserId
from engine.core.validate import MAX_EXCLUDED, MAX_HISTORY, MAX_PARTS, check_length
from engine.service.convert.content import content_of, modality_of, vector_of
from engine.service.convert.events import event_of
from engine.service.convert.fields import id_of, plain, within
from engine.service.convert.filters import filter_of
from triveni.v1 import event_pb2, filter_pb2, recommendation_pb2

DEFAULT_LIMIT = 20


def recommend_query(
    request: recommendation_pb2.RecommendRequest, read_event: Callable[[event_pb2.Event], Event] = event_of
) -> Query:
    """The query of a Recommend.

    Args:
        request: the request.
        read_event: turns a message into an event; an `EventReader` where many requests are read.

    Raises:
        TriveniError: if the request makes no sense; its `field` is the exact path.
    """
    check_length(len(request.history), MAX_HISTORY, "events", "history")  # before they are read one by one
    history = []
    for row, event in enumerate(request.history):
        try:
            history.append(read_event(event))
        except TriveniError as error:
            raise within(error, f"history[{row}]") from None
    return Query(
        _parts(request.parts),
        tuple(history),
        _filter(request.filter) if request.HasField("filter") else None,
        request.limit if request.HasField("limit") else DEFAULT_LIMIT,
        UserId(plain(request.user_id, "user_id")),
        _modalities(request.modalities),
        _policy(request.policy) if request.HasField("policy") else PolicyOptions(),
        request.context,
        plain(request.model, "model"),
        _days(request.half_life) if request.HasField("half_life") else None,
    )


def search_query(request: recommendation_pb2.SearchRequest) -> Query:
    """The query of a Search.

    Raises:
        TriveniError: if the request makes no sense; its `field` is the exact path.
    """
    if not request.parts:
        raise InvalidQueryError(
            "search has no parts", "give a text, a picture, a sound, an item or a vector", field="parts"
        )
    return Query(
        _parts(request.parts),
        filter=_filter(request.filter) if request.HasField("filter") else None,
        limit=request.limit if request.HasField("limit") else DEFAULT_LIMIT,
        modalities=_modalities(request.modalities),
        policy=_policy(request.policy) if request.HasField("policy") else PolicyOptions(),
        model=plain(request.model, "model"),
    )


def _modalities(numbers: Iterable[int]) -> tuple[Modality, ...]:
    """Those that are named, each once: a message has room for millions."""
    first: dict[int, int] = {}
    for row, number in enumerate(numbers):
        first.setdefault(number, row)
    return tuple(modality_of(number, f"modalities[{row}]") for number, row in first.items())


def _parts(messages: Sequence[recommendation_pb2.QueryPart]) -> tuple[QueryPart, ...]:
    check_length(len(messages), MAX_PARTS, "parts", "parts")
    parts = []
    for row, message in enumerate(messages):
        try:
            parts.append(_part(message))
        except TriveniError as error:
            raise within(error, f"parts[{row}]") from None
    return tuple(parts)


def _part(message: recommendation_pb2.QueryPart) -> QueryPart:
    weight = message.weight if message.HasField("weight") else 1.0
    kind = message.WhichOneof("source")
    try:
        match kind:
            case "content":
                return QueryPart(content_of(message.content), weight)
            case "item_id":
                return QueryPart(id_of(message.item_id, ""), weight)
            case "vector":
                return QueryPart(vector_of(message.vector), weight)
    except TriveniError as error:
        raise within(error, kind or "") from None
    raise InvalidQueryError("query part is empty", "set content, item_id or vector")


def _filter(message: filter_pb2.Filter) -> Filter:
    try:
        return filter_of(message)
    except TriveniError as error:
        raise within(error, "filter") from None


def _days(message: duration_pb2.Duration) -> float:
    return (message.seconds + message.nanos / 1e9) / 86400


def _policy(message: recommendation_pb2.PolicyOptions) -> PolicyOptions:
    check_length(len(message.exclude_item_ids), MAX_EXCLUDED, "excluded items", "policy.exclude_item_ids")
    return PolicyOptions(
        tuple(id_of(value, f"policy.exclude_item_ids[{row}]") for row, value in enumerate(message.exclude_item_ids)),
        message.include_seen,
        message.diversity if message.HasField("diversity") else None,
        dict(message.max_per_value),
        message.min_score if message.HasField("min_score") else None,
        message.max_false_positive_rate if message.HasField("max_false_positive_rate") else None,
    )
