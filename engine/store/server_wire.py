"""How the points of a collection are read over gRPC, straight into arrays.

On the wire a vector is one block of little-endian float32, like a field of bytes. So the messages of an answer are
declared anew, the same but for vectors, which are bytes: protobuf copies the block, and numpy reads it.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import grpc
import numpy as np
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from qdrant_client import grpc as wire
from qdrant_client import models
from qdrant_client.conversions.conversion import RestToGrpc, grpc_to_payload

from engine.store.parts import of_parts
from engine.store.server_points import FetchedPoints, Nearest

CHANNEL_OPTIONS = {
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    "grpc.min_reconnect_backoff_ms": 5000,
    "grpc.keepalive_time_ms": 5000,
    "grpc.keepalive_timeout_ms": 2000,
    "grpc.http2.ping_timeout_ms": 2000,
}
"""Answers may be large; a node that comes back is soon asked again, and one that fell silent is given up within
seconds, not at the end of the call's time."""

_VECTORS = frozenset({"VectorOutput", "DenseVector"})
"""The messages whose `data` are floats that we take as bytes."""


class WirePoints:
    """Reads over gRPC; see `engine.store.server_points.Points`.

    Args:
        host: of the server.
        port: of its gRPC interface.
        secure: whether it speaks TLS.
        api_key: "" for none.
        timeout_seconds: of each call.
    """

    def __init__(self, host: str, port: int, *, secure: bool, api_key: str, timeout_seconds: float) -> None:
        address, options = f"{host}:{port}", [*CHANNEL_OPTIONS.items()]
        self._channel = (
            grpc.secure_channel(address, grpc.ssl_channel_credentials(), options)
            if secure
            else grpc.insecure_channel(address, options)
        )
        self._metadata = (("api-key", api_key),) if api_key else ()
        self._timeout = timeout_seconds
        self._get = self._channel.unary_unary(
            "/qdrant.Points/Get", wire.GetPoints.SerializeToString, _message("qdrant.GetResponse").FromString
        )
        self._query = self._channel.unary_unary(
            "/qdrant.Points/QueryBatch", wire.QueryBatchPoints.SerializeToString, wire.QueryBatchResponse.FromString
        )

    def get(
        self, collection: str, keys: Sequence[str], *, payload: bool | Sequence[str], vectors: Sequence[str]
    ) -> FetchedPoints:
        """The points with these ids that are there; see `Points.get`."""
        request = wire.GetPoints(
            collection_name=collection,
            ids=[wire.PointId(uuid=key) for key in keys],
            with_payload=_payload(payload),
            with_vectors=_vectors(vectors),
        )
        points = self._get(request, timeout=self._timeout, metadata=self._metadata).result
        return FetchedPoints(
            [point.id.uuid for point in points],
            [grpc_to_payload(point.payload) for point in points] if payload else [{}] * len(points),
            _columns(points, [name for name in vectors if not of_parts(name)]),
            _several(points, [name for name in vectors if of_parts(name)]),
        )

    def query(self, collection: str, requests: Sequence[models.QueryRequest]) -> list[Nearest]:
        """Search; see `Points.query`."""
        asked = _asked(collection, requests)
        batch = wire.QueryBatchPoints(collection_name=collection, query_points=asked)
        answers = self._query(batch, timeout=self._timeout, metadata=self._metadata).result
        return [
            (
                [hit.id.uuid for hit in answer.result],
                np.fromiter((hit.score for hit in answer.result), np.float32, len(answer.result)),
            )
            for answer in answers
        ]

    def close(self) -> None:
        """Let go of the connection."""
        self._channel.close()


def _asked(collection: str, requests: Sequence[models.QueryRequest]) -> list[wire.QueryPoints]:
    """The requests as messages; a filter that several share is translated once."""
    filters = {id(request.filter): request.filter for request in requests if request.filter is not None}
    translated = {key: RestToGrpc.convert_filter(one) for key, one in filters.items()}
    asked = []
    for request in requests:
        bare = RestToGrpc.convert_query_request(request.model_copy(update={"filter": None}), collection)
        if request.filter is not None:
            bare.filter.CopyFrom(translated[id(request.filter)])
        asked.append(bare)
    return asked


def _columns(points: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    """The vectors of points in columns; see `FetchedPoints.vectors`."""
    rows: dict[str, list[int]] = {name: [] for name in names}
    blocks: dict[str, list[bytes]] = {name: [] for name in names}
    for row, point in enumerate(points) if names else ():
        named = point.vectors.vectors.vectors
        for name in named.keys() & rows.keys():
            vector = named[name]
            rows[name].append(row)
            blocks[name].append(vector.dense.data or vector.data)  # servers before 1.16 send only the second
    return {
        name: (
            np.array(rows[name], np.intp),
            np.frombuffer(b"".join(blocks[name]), "<f4").reshape(len(rows[name]), -1),
        )
        for name in names
        if rows[name]
    }


def _several(points: Sequence[Any], names: Sequence[str]) -> dict[str, dict[int, Any]]:
    """The multivectors of points; see `FetchedPoints.several`."""
    found: dict[str, dict[int, Any]] = {name: {} for name in names}
    for row, point in enumerate(points) if names else ():
        named = point.vectors.vectors.vectors
        for name in named.keys() & found.keys():
            blocks = [one.data for one in named[name].multi_dense.vectors]
            found[name][row] = np.frombuffer(b"".join(blocks), "<f4").reshape(len(blocks), -1)
    return {name: one for name, one in found.items() if one}


def _payload(wanted: bool | Sequence[str]) -> wire.WithPayloadSelector:
    if isinstance(wanted, bool):
        return wire.WithPayloadSelector(enable=wanted)
    return wire.WithPayloadSelector(include=wire.PayloadIncludeSelector(fields=wanted))


def _vectors(names: Sequence[str]) -> wire.WithVectorsSelector:
    if not names:
        return wire.WithVectorsSelector(enable=False)
    return wire.WithVectorsSelector(include=wire.VectorsSelector(names=names))


@cache
def _message(name: str) -> Any:
    """The class of a message of Qdrant's, with vectors as bytes."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(name))


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool, added = descriptor_pool.DescriptorPool(), set[str]()

    def add(file: FileDescriptor) -> None:
        if file.name in added:
            return
        added.add(file.name)
        for needed in file.dependencies:
            add(needed)
        declared = FileDescriptorProto()
        file.CopyToProto(declared)
        for message in declared.message_type:
            for field in message.field if message.name in _VECTORS else ():
                if field.name == "data":
                    field.type, field.label = FieldDescriptorProto.TYPE_BYTES, FieldDescriptorProto.LABEL_OPTIONAL
                    field.ClearField("options")
        pool.Add(declared)

    add(wire.GetResponse.DESCRIPTOR.file)
    return pool
