"""recommendation.proto, to the client: recommendations to responses."""

from typing import TypeVar

from encoders.types import Modality
from engine.service.convert.content import FROM_MODALITY
from engine.service.convert.payload import fill_struct
from engine.types import ReasonKind, Recommendations
from triveni.v1 import recommendation_pb2

_Response = TypeVar("_Response", recommendation_pb2.RecommendResponse, recommendation_pb2.SearchResponse)
_KINDS = {
    ReasonKind.QUERY: recommendation_pb2.REASON_KIND_QUERY,
    ReasonKind.EVENT: recommendation_pb2.REASON_KIND_EVENT,
    ReasonKind.POPULAR: recommendation_pb2.REASON_KIND_POPULAR,
    ReasonKind.FRESH: recommendation_pb2.REASON_KIND_FRESH,
}


def recommend_response(answer: Recommendations) -> recommendation_pb2.RecommendResponse:
    """The response of a Recommend."""
    response = _fill(recommendation_pb2.RecommendResponse(), answer)
    for index, reason in answer.skipped:
        response.skipped.add(index=index, reason=reason)
    return response


def search_response(answer: Recommendations) -> recommendation_pb2.SearchResponse:
    """The response of a Search."""
    return _fill(recommendation_pb2.SearchResponse(), answer)


def _fill(response: _Response, answer: Recommendations) -> _Response:
    response.request_id = answer.request_id
    response.fingerprint = answer.fingerprint
    response.model = answer.model
    response.tier = answer.tier
    for result in answer.results:
        message = response.results.add(item_id=result.item, score=result.score, rank=result.rank)
        add_reason = message.reasons.add
        for reason in result.reasons:  # by far the most numerous: set by attribute, which is twice as fast
            why = add_reason()
            why.kind = _KINDS[reason.kind]
            why.index = reason.index
            why.share = reason.share
            if reason.modality:
                why.modality = FROM_MODALITY[reason.modality]
        fill_struct(message.payload, result.payload)
        message.image_path = result.media.get(Modality.IMAGE, "")
        message.audio_path = result.media.get(Modality.AUDIO, "")
    return response
