"""A collection on a server: how it is called and made, and what it says about itself."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from qdrant_client import QdrantClient, models

from encoders.errors import SpaceError
from encoders.types import Modality
from engine.core.errors import StoreError
from engine.core.filters import FieldKind, Schema
from engine.store.layout import Layout
from engine.store.quantization import Quantization
from engine.store.server_client import ServerClient, metadata
from engine.store.server_points import Points
from engine.store.words import WORDS

_KINDS = {
    FieldKind.KEYWORD: models.PayloadSchemaType.KEYWORD,
    FieldKind.INTEGER: models.PayloadSchemaType.INTEGER,
    FieldKind.FLOAT: models.PayloadSchemaType.FLOAT,
    FieldKind.BOOL: models.PayloadSchemaType.BOOL,
    FieldKind.DATETIME: models.PayloadSchemaType.DATETIME,
    FieldKind.GEO: models.PayloadSchemaType.GEO,
}

QUANTIZATIONS: dict[Quantization, Any] = {
    "none": None,
    "int8": models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
    ),
    "4bit": models.TurboQuantization(
        turbo=models.TurboQuantQuantizationConfig(bits=models.TurboQuantBitSize.BITS4, always_ram=True)
    ),
}
"""As the server calls each kind."""

_LOCAL = (":memory:", "file:")
"""How the addresses of qdrant-client's local mode begin, which compares full vectors always."""

Answer = TypeVar("Answer")


class ServerCollection:
    """A collection. Fingerprint, dimension and schema are in its metadata.

    Args:
        client: the connections; others may use them too.
        name: of the collection.
    """

    def __init__(self, client: ServerClient, name: str) -> None:
        self._client = client.share()
        self._closed = False
        self.name = name

    @property
    def where(self) -> str:
        """The addresses of the server."""
        return self._client.where

    def call(self, ask: Callable[[QdrantClient], Answer]) -> Answer:
        """Call the server; see `ServerClient.call`."""
        self._check_open()
        return self._client.call(ask)

    def read(self, ask: Callable[[Points], Answer]) -> Answer:
        """Read points; see `ServerClient.read`."""
        self._check_open()
        return self._client.read(ask)

    def settle(self, seen: Callable[[QdrantClient], bool], what: str) -> None:
        """Wait until a change shows on every node; see `ServerClient.settle`."""
        self._check_open()
        self._client.settle(seen, what)

    def make(
        self,
        fingerprint: str,
        dimension: int,
        modalities: Sequence[Modality],
        hnsw: models.HnswConfigDiff,
        layout: Layout,
        quantization: Quantization,
    ) -> None:
        """Make it if it is missing."""
        if self._exists():
            return
        on_disk = quantization != "none" or None
        vectors = {
            name.value: models.VectorParams(size=dimension, distance=models.Distance.COSINE, on_disk=on_disk)
            for name in modalities
        }
        about = {"fingerprint": fingerprint, "dimension": dimension, "schema": {}}
        try:
            self.call(
                lambda qdrant: qdrant.create_collection(
                    self.name,
                    vectors_config=vectors,
                    sparse_vectors_config={WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                    hnsw_config=hnsw,
                    quantization_config=QUANTIZATIONS[quantization],
                    metadata=about,
                    shard_number=layout.shards or None,
                    replication_factor=layout.replicas,
                    write_consistency_factor=layout.write_consistency,
                )
            )
        except StoreError as error:
            if not self._exists():  # else a try whose answer was lost has made it, or another process
                if "quantization" in str(error).lower():
                    raise _unknown(quantization, error) from error
                raise
        self.settle(lambda qdrant: qdrant.collection_exists(self.name), f"collection {self.name}")

    def _exists(self) -> bool:
        return self.call(lambda qdrant: qdrant.collection_exists(self.name))

    def schema(self, fingerprint: str, dimension: int) -> Schema:
        """The payload fields that can be filtered on.

        Raises:
            SpaceError: if it keeps vectors of another space.
        """
        about = metadata(self._client, self.name)
        if (about["fingerprint"], about["dimension"]) != (fingerprint, dimension):
            raise SpaceError(
                f"collection {self.name} keeps vectors of space {about['fingerprint']}, not of {fingerprint}",
                "set the space that it was indexed with, or index into another collection",
            )
        return {name: FieldKind(kind) for name, kind in about["schema"].items()}

    def index(self, fresh: Schema, schema: Schema) -> None:
        """Index payload fields, then enter them into the schema; the nodes do the two in this order.

        Args:
            fresh: the new fields.
            schema: all fields.
        """
        for name, kind in fresh.items():
            self.call(_index(self.name, name, kind))
        whole = {name: str(kind) for name, kind in schema.items()}
        self.call(lambda qdrant: qdrant.update_collection(self.name, metadata={"schema": whole}))

        def shows(qdrant: QdrantClient) -> bool:
            about = qdrant.get_collection(self.name).config.metadata or {}
            return all(name in about.get("schema", {}) for name in fresh)

        self.settle(shows, f"the schema of {self.name}")

    def quantize(self, quantization: Quantization) -> None:
        """Let the server quantise vectors otherwise, if they are not so yet; it rebuilds its segments by itself.

        Raises:
            StoreError: if the server is too old.
        """
        found = self.call(lambda qdrant: qdrant.get_collection(self.name)).config
        wanted = QUANTIZATIONS[quantization]
        if type(found.quantization_config) is type(wanted) or self.where.startswith(_LOCAL):
            return
        named = found.params.vectors if isinstance(found.params.vectors, dict) else {}
        originals = models.VectorParamsDiff(on_disk=quantization != "none")
        try:
            self.call(
                lambda qdrant: qdrant.update_collection(
                    self.name,
                    quantization_config=wanted or models.Disabled.DISABLED,
                    vectors_config=dict.fromkeys(named, originals),
                )
            )
        except StoreError as error:
            raise _unknown(quantization, error) from error
        self.settle(
            lambda qdrant: type(qdrant.get_collection(self.name).config.quantization_config) is type(wanted),
            f"quantization {quantization} of {self.name}",
        )

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"collection {self.name} at {self.where} is closed", "open it again")

    def close(self) -> None:
        """Let go of the connections. Twice is allowed."""
        if not self._closed:
            self._closed = True
            self._client.close()


def _unknown(quantization: Quantization, error: StoreError) -> StoreError:
    return StoreError(
        f"vectors cannot be quantised as {quantization} ({error})",
        "run qdrant 1.18 or later, or set store.quantization to int8 or none",
    )


def _index(collection: str, field: str, kind: FieldKind) -> Callable[[QdrantClient], Any]:
    return lambda qdrant: qdrant.create_payload_index(collection, field, field_schema=_KINDS[kind], wait=True)
