"""Settings of quotas."""

from pydantic import Field

from engine.core.section import Section


class QuotaSettings(Section):
    """How much each tenant may ask for. `tenants.NAME` may say another of these; 0 is without limit."""

    calls_per_second: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Calls, and messages of streams."""
    encoded_bytes_per_second: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Bytes of messages that carry contents: items, events, queries, and what is to be encoded."""
    burst_seconds: float = Field(default=2.0, gt=0, le=3600)
    """A tenant that asked for nothing for so many seconds may ask at once for all that it has saved meanwhile."""
    url: str = Field(default="", repr=False, pattern=r"^((redis|rediss|unix)://.+)?$")
    """Redis, such as redis://127.0.0.1:6379/0, where several servers count together; each by itself without."""
    timeout_seconds: float = Field(default=0.25, gt=0)
    """How long Redis may take; when it takes longer, a server counts by itself for a second."""
