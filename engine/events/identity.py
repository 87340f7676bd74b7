"""The id of an event that came without one."""

import hashlib
import json
from pathlib import Path

import numpy as np

from encoders.types import Text
from engine.core.types import VectorInput
from engine.events.types import UserEvent

_PREFIX = "auto-"


def event_id(event: UserEvent, time: int) -> str:
    """The event's own id, or one made from its contents: `auto-` and the BLAKE2b hash of all that it says.

    Equal events get equal ids, on every machine. A picture or sound counts by its bytes, so the id is to be made
    before the content is replaced by its vector.

    Args:
        event: a checked event.
        time: when it happened, in microseconds since 1970.
    """
    inner = event.event
    if inner.id:
        return inner.id
    said = [
        event.user,
        str(inner.kind),
        inner.item,
        time,
        inner.value if inner.value is None else float(inner.value),
        inner.request_id,
        sorted(inner.context.items()),
    ]
    digest = hashlib.blake2b(json.dumps(said, ensure_ascii=False).encode(), digest_size=16)
    match inner.content:
        case None:
            pass
        case VectorInput(modality, values, fingerprint):
            digest.update(f"\0vector {modality} {fingerprint}\0".encode() + np.asarray(values, "<f4").tobytes())
        case Text(text):
            digest.update(b"\0text\0" + text.encode())
        case media:
            source = media.source
            raw = str(source).encode() if isinstance(source, Path) else source
            digest.update(f"\0{media.modality}\0".encode() + raw)
    return _PREFIX + digest.hexdigest()
