"""Settings of the event store."""

from pydantic import Field

from engine.core.section import Section


class EventSettings(Section):
    """What people did, and what they were shown."""

    url: str = Field(default="sqlite:///var/events.db", repr=False)
    """`sqlite:///FILE`, or `postgresql://USER:PASSWORD@HOST/DATABASE`."""
    check_items: bool = True
    """Whether events on items that are not in the catalogue are refused."""
