"""recommendation.proto, to the client: recommendations to responses, and responses to lists that were served."""

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from encoders.types import Modality
from engine.core.types import ItemId, Query, Reason, ReasonKind, Recommendations, UserId
from engine.events.history import Joined
from engine.events.types import Impression
from engine.service.convert.content import FROM_MODALITY
from engine.service.convert.payload import fill_struct
from triveni.v1 import recommendation_pb2

_Response = TypeVar("_Response", recommendation_pb2.RecommendResponse, recommendation_pb2.SearchResponse)
_KINDS = {
    ReasonKind.QUERY: recommendation_pb2.REASON_KIND_QUERY,
    ReasonKind.EVENT: recommendation_pb2.REASON_KIND_EVENT,
    ReasonKind.POPULAR: recommendation_pb2.REASON_KIND_POPULAR,
    ReasonKind.FRESH: recommendation_pb2.REASON_KIND_FRESH,
    ReasonKind.LEARNED: recommendation_pb2.REASON_KIND_LEARNED,
}


_NOTHING_JOINED = Joined(Query(), sys.maxsize)
"""Every event is the request's own."""


def recommend_response(
    answer: Recommendations, joined: Joined = _NOTHING_JOINED
) -> recommendation_pb2.RecommendResponse:
    """The response of a Recommend; events that are not the request's own are named by their ids."""
    response = _fill(recommendation_pb2.RecommendResponse(), answer, joined)
    history, own = joined.query.history, joined.own
    for index, reason in answer.skipped:
        if index < own:
            response.skipped.add(index=index, reason=reason)
        else:
            response.skipped.add(index=-1, reason=reason, event_id=history[index].id)
    for interest in answer.interests:
        told = response.interests.add(weight=interest.weight, nearest_item_ids=interest.nearest)
        for event in interest.events:
            _fill_reason(told.events.add(), event, joined)
    if joined.unread:
        response.skipped.add(index=-1, reason=f"what was recorded before cannot be read: {joined.unread}")
    return response


def search_response(answer: Recommendations) -> recommendation_pb2.SearchResponse:
    """The response of a Search."""
    return _fill(recommendation_pb2.SearchResponse(), answer, _NOTHING_JOINED)


def impression_of(
    response: recommendation_pb2.RecommendResponse | recommendation_pb2.SearchResponse,
    user: str,
    context: Mapping[str, str],
    time: datetime,
) -> Impression:
    """The list that a response serves."""
    return Impression(
        response.request_id,
        UserId(user),
        tuple(ItemId(result.item_id) for result in response.results),
        tuple(result.rank for result in response.results),
        tuple(result.propensity for result in response.results),
        response.model,
        response.tier,
        time,
        dict(context),
    )


def _fill(response: _Response, answer: Recommendations, joined: Joined) -> _Response:
    response.request_id = answer.request_id
    response.fingerprint = answer.fingerprint
    response.model = answer.model
    response.tier = answer.tier
    response.compared_model = answer.compared_model
    response.no_match = answer.no_match
    for stage in answer.stages:
        response.stages.add(name=stage.name, count=stage.count).duration.FromNanoseconds(round(stage.seconds * 1e9))
    for result in answer.results:
        message = response.results.add(item_id=result.item, score=result.score, rank=result.rank)
        add_reason = message.reasons.add
        for reason in result.reasons:
            _fill_reason(add_reason(), reason, joined)
        fill_struct(message.payload, result.payload)
        message.image_path = result.media.get(Modality.IMAGE, "")
        message.audio_path = result.media.get(Modality.AUDIO, "")
        message.text, message.propensity = result.text, result.propensity
        if result.relevance is not None:
            message.relevance = result.relevance
    return response


def _fill_reason(why: recommendation_pb2.Reason, reason: Reason, joined: Joined) -> None:
    """By far the most numerous of all messages: set by attribute, which is twice as fast."""
    why.kind = _KINDS[reason.kind]
    if reason.kind is ReasonKind.EVENT and reason.index >= joined.own:
        why.index, why.event_id = -1, joined.query.history[reason.index].id
    else:
        why.index = reason.index
    why.share = reason.share
    if reason.modality:
        why.modality = FROM_MODALITY[reason.modality]
        why.modality_shares.extend(reason.by_modality)
    if reason.found is not None:
        found = reason.found
        why.part.index, why.part.path, why.part.text = found.index, found.path, found.text
        why.part.start, why.part.end, why.part.passage = found.start, found.stop, found.passage
        why.part.start_seconds, why.part.end_seconds = found.seconds
    if reason.words_share:
        why.words_share = reason.words_share
        why.words.extend(reason.words)
