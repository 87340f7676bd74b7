"""content.proto: contents, vectors, problems."""

import numpy as np

from encoders.errors import TriveniError, VectorError
from encoders.types import Audio, Content, Floats, Image, Modality, Text
from engine.core.errors import InvalidQueryError
from engine.core.types import VectorInput
from engine.service.status import reason_of, shorten
from triveni.v1 import content_pb2

FROM_MODALITY = {
    Modality.TEXT: content_pb2.MODALITY_TEXT,
    Modality.IMAGE: content_pb2.MODALITY_IMAGE,
    Modality.AUDIO: content_pb2.MODALITY_AUDIO,
}
_TO_MODALITY: dict[int, Modality] = {int(number): modality for modality, number in FROM_MODALITY.items()}


def content_of(message: content_pb2.Content) -> Content:
    """A content; its bytes are decoded later.

    Raises:
        InvalidQueryError: if neither text, image nor audio is set.
    """
    match message.WhichOneof("content"):
        case "text":
            return Text(message.text)
        case "image":
            return Image(message.image)
        case "audio":
            return Audio(message.audio)
        case _:
            raise InvalidQueryError("content is empty", "set one of text, image and audio")


def modality_of(number: int, field: str) -> Modality:
    """A modality.

    Raises:
        InvalidQueryError: if it is unspecified or unknown.
    """
    try:
        return _TO_MODALITY[number]
    except KeyError:
        have = ", ".join(f"MODALITY_{known.name}" for known in Modality)
        raise InvalidQueryError(
            f"modality {number} is unspecified or unknown", f"name one of {have}", field=field
        ) from None


def vector_of(message: content_pb2.Vector) -> VectorInput:
    """A vector, (d,) float32; the engine checks its dimension and numbers.

    Raises:
        InvalidQueryError: if its modality is not named.
        VectorError: if its bytes are not a whole number of float32.
    """
    modality = modality_of(message.modality, "modality")
    raw = message.values
    if not raw or len(raw) % 4:
        raise VectorError(
            f"vector has {len(raw)} bytes, not a whole number of float32",
            "send the raw little-endian float32 numbers, four bytes each",
            field="values",
        )
    return VectorInput(modality, np.frombuffer(raw, "<f4").astype(np.float32), message.fingerprint)


def vector_bytes(vectors: Floats) -> bytes:
    """Raw little-endian float32, row by row; any shape."""
    return np.ascontiguousarray(vectors, "<f4").tobytes()


def vector_message(vector: VectorInput) -> content_pb2.Vector:
    """A vector, (d,) float32."""
    return content_pb2.Vector(
        modality=FROM_MODALITY[vector.modality], values=vector_bytes(vector.values), fingerprint=vector.fingerprint
    )


def problem(error: TriveniError) -> content_pb2.Problem:
    """What is wrong with one content, item or event of a call that goes on."""
    return content_pb2.Problem(
        status=error.status,
        reason=reason_of(error),
        message=shorten(error.problem),
        remedy=shorten(error.remedy),
        field=shorten(error.field),
    )
