"""What kinds of events there are, and what each says: ten standard ones, and those that a deployment declares."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property

from encoders.errors import TriveniError
from engine.core.errors import InvalidQueryError
from engine.core.types import EventKind

KIND_NAME = r"^[a-z][a-z0-9_]{0,63}$"
"""What the name of a kind looks like."""


class Sign(StrEnum):
    """What an event of a kind says of its item."""

    POSITIVE = "positive"
    """Interest: it is what training predicts."""
    NEGATIVE = "negative"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class KindTraits:
    """What a kind says."""

    weight: float
    """In a history; a negative one pushes away."""
    sign: Sign = Sign.NEUTRAL
    explicit: bool = False
    """Whether it is said on purpose, as a rating is, rather than by the way, as a view is."""


_POSITIVE, _NEGATIVE = Sign.POSITIVE, Sign.NEGATIVE
STANDARD: Mapping[str, KindTraits] = {
    EventKind.IMPRESSION: KindTraits(0.0),
    EventKind.VIEW: KindTraits(0.3, _POSITIVE),
    EventKind.CLICK: KindTraits(1.0, _POSITIVE),
    EventKind.LIKE: KindTraits(2.0, _POSITIVE, explicit=True),
    EventKind.PURCHASE: KindTraits(3.0, _POSITIVE, explicit=True),
    EventKind.RATE: KindTraits(1.0, _POSITIVE, explicit=True),
    EventKind.SKIP: KindTraits(-0.3, _NEGATIVE),
    EventKind.DISLIKE: KindTraits(-2.0, _NEGATIVE, explicit=True),
    EventKind.SEARCH: KindTraits(1.0, explicit=True),
    EventKind.UPLOAD: KindTraits(1.5, explicit=True),
}
"""The kinds that every deployment has."""


@dataclass(frozen=True)
class EventKinds:
    """The kinds of a deployment."""

    table: Mapping[str, KindTraits] = field(default_factory=lambda: STANDARD)
    """By name: the standard ones first, then those that the deployment declares, by name."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names, in their order."""
        return tuple(self.table)

    @cached_property
    def weights(self) -> Mapping[str, float]:
        """By name the weight in a history."""
        return {name: traits.weight for name, traits in self.table.items()}

    @cached_property
    def positive(self) -> frozenset[str]:
        """Those that speak for an item."""
        return self._signed(Sign.POSITIVE)

    @cached_property
    def negative(self) -> frozenset[str]:
        """Those that speak against an item."""
        return self._signed(Sign.NEGATIVE)

    @cached_property
    def explicit(self) -> frozenset[str]:
        """Those that are said on purpose."""
        return frozenset(name for name, traits in self.table.items() if traits.explicit)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.table

    def parse(self, name: str, error: type[TriveniError] = InvalidQueryError) -> str:
        """The kind of that name, in upper or lower case.

        Raises:
            error: if there is none, see `unknown`.
        """
        if name.lower() not in self.table:
            raise self.unknown(name, error)
        return kind_named(name.lower())

    def unknown(self, name: object, error: type[TriveniError] = InvalidQueryError) -> TriveniError:
        """The error of a kind that is not there: it names the nearest, and says how to declare one."""
        short = repr(name[:60] if isinstance(name, str | bytes) else name)[:80]
        near = "".join(f"; the nearest is {one}" for one in get_close_matches(str(name).lower(), self.names, 1))
        remedy = f"use one of {', '.join(self.names)}{near}; or declare it in the settings as [events.kinds.NAME]"
        return error(f"event kind {short} is unknown", remedy, field="kind")

    def _signed(self, sign: Sign) -> frozenset[str]:
        return frozenset(name for name, traits in self.table.items() if traits.sign is sign)


STANDARD_KINDS = EventKinds()

_MEMBERS: Mapping[str, str] = {kind.value: kind for kind in EventKind}


def kind_named(name: str) -> str:
    """A kind by its name, in lower case: the `EventKind` of a standard one, else the name itself."""
    return _MEMBERS.get(name, name)
