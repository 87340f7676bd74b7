"""Settings of how items are written."""

from collections.abc import Mapping

from pydantic import Field

from engine.core.filters import FieldKind
from engine.core.section import Section


class IndexSettings(Section):
    """Bulk indexing."""

    batch: int = Field(default=64, gt=0)
    """Items per batch of the networks and of the store."""
    decoders: int = Field(default=0, ge=0)
    """Threads that read and decode files; 0 takes one per core."""
    strict: bool = False
    """Whether an item is refused if one of its contents cannot be read; else it is indexed without it."""
    fields: Mapping[str, FieldKind] = Field(default_factory=dict)
    """Payload fields that can be filtered on; those not named are found in the catalogue's first rows."""
