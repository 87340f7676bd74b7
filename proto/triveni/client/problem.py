"""What is wrong with a part of a call."""

from __future__ import annotations

from dataclasses import dataclass

from triveni.client.brief import Brief


@dataclass(frozen=True, slots=True, repr=False)
class Problem(Brief):
    """What is wrong with one item, event or content, where the call as a whole went on."""

    message: str
    """What is wrong, with the offending value."""
    remedy: str = ""
    reason: str = ""
    """The kind of problem, one word in capitals, such as LIMIT."""
    status: str = "INVALID_ARGUMENT"
    """The gRPC status that a call of its own would get."""
    field: str = ""
    """The path of the field at fault, such as contents[1].image."""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.field, self.message, self.remedy) if part)
