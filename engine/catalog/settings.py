"""Settings of how items are written."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from engine.core.filters import FieldKind
from engine.core.section import Section
from engine.core.types import MAX_PARTS

Role = Literal["id", "text", "image", "audio"]


class IndexSettings(Section):
    """Bulk indexing."""

    batch: int = Field(default=64, gt=0)
    """Items per batch of the networks and of the store."""
    decoders: int = Field(default=0, ge=0)
    """Threads that read and decode files; 0 takes one per core."""
    max_parts: int = Field(default=16, gt=0, le=MAX_PARTS)
    """Texts, pictures or sounds that an item may have of each; it is found by the best of them."""
    split_long: bool = True
    """Whether a text or sound that is longer than an encoder reads as one is split into passages, each a part of the
    item, within `max_parts`."""
    strict: bool = False
    """Whether an item is refused if one of its contents cannot be read; else it is indexed without it."""
    fields: Mapping[str, FieldKind] = Field(default_factory=dict)
    """Payload fields that can be filtered on; those not named are found in the catalogue's first rows."""
    words: tuple[str, ...] = ("_text", "title", "name", "brand", "code", "sku")
    """Payload fields by whose words items are found, beside their meaning; `_text` is an item's text."""
    columns: Mapping[Role, str | tuple[str, ...]] = Field(default_factory=dict)
    """Per role the catalogue's column that plays it, or several."""
    ignore: tuple[str, ...] = ()
    """Columns of the catalogue that are left out."""
    delimiter: str = ""
    """What separates the cells of a CSV file; "" is what its suffix says."""
    encoding: str = "utf-8"
    """Of a CSV file."""
    split: Mapping[str, str] = Field(default_factory=dict)
    """Per CSV column whose cells are lists, what separates their values."""
    decimals: Mapping[str, Literal[",", "."]] = Field(default_factory=dict)
    """Per column whose numbers are texts, the decimal sign; the other sign may stand between thousands."""
    times: Mapping[str, str] = Field(default_factory=dict)
    """Per column of times their form: "seconds", "milliseconds", or as Python's strptime has it ("%d.%m.%Y")."""
    rename: Mapping[str, str] = Field(default_factory=dict)
    """Per column the name of its payload field, where its own cannot be filtered on."""
    url_hosts: tuple[str, ...] = ()
    """Hosts whose pictures and sounds are fetched where rows name them by http:// or https://, such as shop.example,
    *.shop.example or shop.example:8443. None are, unless they are named; private addresses never are."""
    url_seconds: float = Field(default=20.0, gt=0)
    """That one of them may take."""
