"""Which picture, sound or passage of an item a reason means."""

from collections.abc import Sequence
from dataclasses import replace

from encoders.types import Modality
from engine.catalog.ingest import PARTS, TEXT, paths_of, spans_of
from engine.core.types import FoundPart, Payload, Reason

TEXT_SHOWN = 80
"""Characters of a passage that a reason shows."""


def found_part(payload: Payload, modality: Modality, row: int) -> FoundPart | None:
    """The part of a stored item that one of its vectors is made from; None where it is all that there is.

    Args:
        payload: of the stored item.
        modality: of the vector.
        row: its number among those of the modality.
    """
    spans = spans_of(payload, modality)
    if row >= len(spans):
        return None
    number, *span = spans[row]
    paths = paths_of(payload, modality)
    path = paths[number] if number < len(paths) else ""
    if not span:  # of a split sound the whole
        return None if all(other == number for other, *_ in spans) else FoundPart(number, path)
    start, stop = span
    before, others = (sum(one[0] == number for one in some if one[1:]) for some in (spans[: row + 1], spans))
    passage = before if others > 1 else 0
    if modality is not Modality.TEXT:
        return FoundPart(number, path, passage=passage, seconds=(start / 1000, stop / 1000))
    shown = str(payload.get(TEXT) or "")[start : min(stop, start + TEXT_SHOWN)]
    return FoundPart(number, path, shown, start, stop, passage)


def named_parts(reasons: Sequence[Reason], payload: Payload) -> tuple[Reason, ...]:
    """Reasons that say which part of their modality answered, where there are several."""
    if PARTS not in payload:
        return tuple(reasons)
    return tuple(
        reason
        if reason.modality is None
        else replace(reason, found=found_part(payload, reason.modality, reason.part))
        for reason in reasons
    )
