"""Messages become results."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import cast

from triveni.client.answers import Answer, ItemPart, Reason, Result, Skipped
from triveni.client.contents import MODALITIES, Modality, Part, Vector
from triveni.client.events import event_label, kind_of
from triveni.client.items import payload_of, problem
from triveni.client.results import Event, Item, Model, ServedList, Switched, Training
from triveni.client.times import time_of
from triveni.v1 import content_pb2, event_pb2, item_pb2, model_pb2, recommendation_pb2

Response = recommendation_pb2.RecommendResponse | recommendation_pb2.SearchResponse

_LABELS = {"popular": "many like it", "fresh": "it is new", "learned": "learned from what others did"}


def answer(message: Response, parts: Sequence[Part], labels: Sequence[str], media: Path | None) -> Answer:
    """An answer.

    Args:
        message: as it came.
        parts: of the query, for the words of reasons.
        labels: of the events of the request, likewise.
        media: the folder of the catalogue's media here.
    """
    skipped = message.skipped if isinstance(message, recommendation_pb2.RecommendResponse) else ()
    return Answer(
        tuple(_result(one, [f"query {part}" for part in parts], labels) for one in message.results),
        message.request_id,
        message.model,
        message.tier,
        message.fingerprint,
        tuple(Skipped(one.reason, one.index, one.event_id) for one in skipped),
        message.compared_model,
        media,
        message.no_match,
        message.next_page_token,
    )


def _result(message: recommendation_pb2.Recommendation, parts: Sequence[str], labels: Sequence[str]) -> Result:
    return Result(
        message.rank,
        message.item_id,
        message.score,
        message.text,
        payload_of(message.payload),
        tuple(_reason(one, parts, labels) for one in message.reasons),
        message.image_path,
        message.audio_path,
        message.propensity,
        message.relevance if message.HasField("relevance") else None,
    )


def _reason(message: recommendation_pb2.Reason, parts: Sequence[str], labels: Sequence[str]) -> Reason:
    kind = recommendation_pb2.ReasonKind.Name(message.kind).removeprefix("REASON_KIND_").lower()
    of = {"query": parts, "event": labels}.get(kind, ())
    label = _LABELS.get(kind) or (of[message.index] if 0 <= message.index < len(of) else "")
    return Reason(
        kind,  # type: ignore[arg-type]
        label or (f"earlier event {message.event_id[:13]}" if message.event_id else kind),
        message.share,
        message.index,
        message.event_id,
        modality(message.modality),
        dict(zip(MODALITIES, message.modality_shares, strict=False)),
        message.words_share,
        tuple(message.words),
        item_part(message.part) if message.HasField("part") else None,
    )


def item_part(message: recommendation_pb2.ItemPart) -> ItemPart:
    """The part of an item that a reason names."""
    seconds = (message.start_seconds, message.end_seconds)
    return ItemPart(message.index, message.path, message.text, message.start, message.end, message.passage, *seconds)


def modality(number: int) -> Modality | None:
    """A modality; None for one that is not said."""
    return MODALITIES[number - 1] if 0 < number <= len(MODALITIES) else None


def floats(raw: bytes) -> array[float]:
    """Numbers of a vector, from little-endian float32."""
    values = array("f")
    values.frombytes(raw)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def item(message: item_pb2.StoredItem) -> Item:
    """An item of the catalogue."""
    return Item(
        message.id,
        message.text,
        payload_of(message.payload),
        tuple(found for number in message.modalities if (found := modality(number))),
        message.image_path,
        message.audio_path,
        message.digest,
        time_of(message.index_time) if message.HasField("index_time") else None,
        tuple(vector(one) for one in message.vectors),
        tuple(message.image_paths),
        tuple(message.audio_paths),
    )


def vector(message: content_pb2.Vector) -> Vector:
    """A vector."""
    return Vector(cast(Modality, modality(message.modality)), floats(message.values), message.fingerprint)


def event(message: event_pb2.Event) -> Event:
    """An event that was recorded."""
    content = message.content.WhichOneof("content") if message.HasField("content") else None
    return Event(
        kind_of(message),
        message.item_id,
        message.content.text,
        cast("Modality | None", content),
        time_of(message.time) if message.HasField("time") else None,
        message.value if message.HasField("value") else None,
        message.id,
        message.request_id,
        dict(message.context),
        vector(message.vector) if message.HasField("vector") else None,
    )


def served_list(message: event_pb2.ServedList) -> ServedList:
    """A list that a user was served."""
    return ServedList(
        message.request_id,
        time_of(message.time),
        tuple(message.item_ids),
        tuple(message.positions),
        tuple(message.propensities),
        message.model,
        message.tier,
        dict(message.context),
    )


def labels(messages: Sequence[event_pb2.Event], rows: Sequence[object]) -> list[str]:
    """Short names of a request's events."""
    return [event_label(message, row) for message, row in zip(messages, rows, strict=True)]  # type: ignore[arg-type]


def model(message: model_pb2.Model) -> Model:
    """A version."""
    return Model(
        message.version,
        message.serving,
        time_of(message.create_time) if message.HasField("create_time") else None,
        time_of(message.data_start_time) if message.HasField("data_start_time") else None,
        time_of(message.data_end_time) if message.HasField("data_end_time") else None,
        dict(message.metrics),
        dict(message.baseline_metrics),
        message.fingerprint,
        message.deleted_people,
    )


def switched(message: model_pb2.PromoteModelResponse | model_pb2.RollbackModelResponse) -> Switched:
    """Which version serves now."""
    return Switched(model(message.model) if message.HasField("model") else None, message.previous_version)


def training(message: model_pb2.Training) -> Training:
    """A training, as it is now."""
    return Training(
        message.id,
        model_pb2.TrainingState.Name(message.state).removeprefix("TRAINING_STATE_").lower(),  # type: ignore[arg-type]
        round(message.progress, 4),
        message.stage,
        time_of(message.start_time) if message.HasField("start_time") else None,
        time_of(message.end_time) if message.HasField("end_time") else None,
        message.model_version,
        problem(message.problem) if message.HasField("problem") else None,
        timedelta(seconds=message.time_left.seconds) if message.HasField("time_left") else None,
    )
