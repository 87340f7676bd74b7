"""How the points of a collection on a server are read, by qdrant-client: over HTTP, and in its local mode.

`engine.store.server_wire` does the same over gRPC, without making a Python object of each number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from qdrant_client import QdrantClient, models

from encoders.types import Floats
from engine.core.types import Json
from engine.store.parts import of_parts


@dataclass(frozen=True, slots=True)
class FetchedPoints:
    """Points in columns, in the server's order."""

    keys: Sequence[str]
    """(k,), the points' ids."""
    payloads: Sequence[Mapping[str, Json]]
    """(k,), empty ones if none were asked for."""
    vectors: Mapping[str, tuple[npt.NDArray[np.intp], Floats]]
    """Of each named vector that was asked for and that some points have: which points (r,), and theirs (r, d)."""
    several: Mapping[str, Mapping[int, Floats]] = field(default_factory=dict)
    """Of each multivector that was asked for: by point, its vectors (k, d)."""


Nearest = tuple[Sequence[str], Floats]
"""The ids of the points that a search found, best first, and their scores (n,)."""


class Points(Protocol):
    """Reads points of one node. Raises what qdrant-client and gRPC raise."""

    def get(
        self, collection: str, keys: Sequence[str], *, payload: bool | Sequence[str], vectors: Sequence[str]
    ) -> FetchedPoints:
        """The points with these ids that are there.

        Args:
            collection: its name.
            keys: ids of points, each once.
            payload: whether payloads are wanted, or only these keys of them.
            vectors: the named vectors that are wanted.
        """

    def query(self, collection: str, requests: Sequence[models.QueryRequest]) -> list[Nearest]:
        """Search, in the order of the requests."""

    def close(self) -> None:
        """Let go of the connection."""


class ClientPoints:
    """Reads through qdrant-client.

    Args:
        qdrant: the client; who made it closes it.
    """

    def __init__(self, qdrant: QdrantClient) -> None:
        self._qdrant = qdrant

    def get(
        self, collection: str, keys: Sequence[str], *, payload: bool | Sequence[str], vectors: Sequence[str]
    ) -> FetchedPoints:
        """The points with these ids that are there; see `Points.get`."""
        wanted: list[Any] = [*keys]
        fields: Any = payload if isinstance(payload, bool) else [*payload]
        records = self._qdrant.retrieve(
            collection, wanted, with_payload=fields, with_vectors=[*vectors] if vectors else False
        )
        rows: dict[str, list[int]] = {}
        values: dict[str, list[Any]] = {}
        for row, record in enumerate(records):
            named: Any = record.vector or {}
            for name, vector in named.items():
                rows.setdefault(name, []).append(row)
                values.setdefault(name, []).append(vector)
        columns = {
            name: (np.array(rows[name], np.intp), np.array(values[name], np.float32))
            for name in vectors
            if name in rows and not of_parts(name)
        }
        several = {
            name: {row: np.asarray(one, np.float32) for row, one in zip(rows[name], values[name], strict=True)}
            for name in vectors
            if name in rows and of_parts(name)
        }
        return FetchedPoints(
            [str(record.id) for record in records], [record.payload or {} for record in records], columns, several
        )

    def query(self, collection: str, requests: Sequence[models.QueryRequest]) -> list[Nearest]:
        """Search; see `Points.query`."""
        answers = self._qdrant.query_batch_points(collection, requests)
        return [
            ([str(hit.id) for hit in answer.points], np.array([hit.score for hit in answer.points], np.float32))
            for answer in answers
        ]

    def close(self) -> None:
        """Nothing of its own is open."""
