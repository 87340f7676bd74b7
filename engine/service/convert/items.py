"""item.proto: items from the client, stored items to it."""

from encoders.errors import TriveniError
from encoders.types import Modality
from engine.catalog.ingest import item_of, paths_of, vectors_of
from engine.core.types import Item
from engine.service.convert.content import FROM_MODALITY, content_of, vector_bytes
from engine.service.convert.fields import id_of, timestamp, within
from engine.service.convert.payload import fill_struct, payload_of
from engine.store.base import Point
from triveni.v1 import content_pb2, item_pb2


def item_from(message: item_pb2.Item) -> Item:
    """An item as it was sent.

    Raises:
        InvalidItemError: if its id is no id, or its contents or payload are not what an item may have.
        InvalidQueryError: if a content is empty.
    """
    item_id = id_of(message.id, "id")
    contents = []
    for row, content in enumerate(message.contents):
        try:
            contents.append(content_of(content))
        except TriveniError as error:
            raise within(error, f"contents[{row}]") from None
    return Item(item_id, tuple(contents), payload_of(message.payload))


def stored_item(point: Point, fingerprint: str, *, include_vectors: bool) -> item_pb2.StoredItem:
    """An item as the store holds it; `point` comes with its vectors."""
    item = item_of(point)
    message = item_pb2.StoredItem(
        id=item.id,
        modalities=[FROM_MODALITY[modality] for modality in item.modalities],
        text=item.text,
        image_path=item.media.get(Modality.IMAGE, ""),
        audio_path=item.media.get(Modality.AUDIO, ""),
        digest=str(item.digest or ""),
        index_time=timestamp(item.indexed_at) if item.indexed_at else None,
    )
    for modality, paths in ((Modality.IMAGE, message.image_paths), (Modality.AUDIO, message.audio_paths)):
        if len(all_paths := paths_of(point.payload, modality)) > 1:
            paths.extend(all_paths)
    message.payload.SetInParent()
    fill_struct(message.payload, item.payload)
    if include_vectors:
        for key, vector in vectors_of(point).items():
            message.vectors.append(
                content_pb2.Vector(
                    modality=FROM_MODALITY[key.modality], values=vector_bytes(vector), fingerprint=fingerprint
                )
            )
    return message
