"""Settings of the event store, and of the kinds of events."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, FiniteFloat, StringConstraints

from engine.core.errors import SettingsError
from engine.core.kinds import KIND_NAME, STANDARD, EventKinds, KindTraits, Sign
from engine.core.section import Section


class KindSettings(Section):
    """What a kind of events says. What is not given of a standard kind keeps its default."""

    weight: FiniteFloat | None = None
    """In a history; a negative one pushes away."""
    sign: Sign | None = None
    """Whether it speaks for its item, against it, or neither; neutral if not given."""
    explicit: bool | None = None
    """Whether it is said on purpose; no if not given."""


class EventSettings(Section):
    """What people did, and what they were shown."""

    url: str = Field(default="sqlite:///var/events.db", repr=False)
    """`sqlite:///FILE`, or `postgresql://USER:PASSWORD@HOST/DATABASE`."""
    check_items: bool = True
    """Whether events on items that are not in the catalogue are refused."""
    retention_days: float = Field(default=0.0, ge=0, le=36_500, allow_inf_nan=False)
    """Events older than this are deleted, and not read until they are; 0 keeps them for ever."""
    list_retention_days: float = Field(default=0.0, ge=0, le=36_500, allow_inf_nan=False)
    """The same of served lists."""
    pseudonym_key_file: Path | None = None
    """A file with a secret: people are known by a keyed hash of their ids, which never reach the disk. Only an empty
    database takes a key, and keeps to it."""
    kinds: Mapping[Annotated[str, StringConstraints(pattern=KIND_NAME)], KindSettings] = Field(default_factory=dict)
    """By name the kinds of events that the deployment adds, and standard kinds to which it gives another weight."""


def all_kinds(declared: Mapping[str, KindSettings], weights: Mapping[str, float]) -> EventKinds:
    """All kinds of events of a deployment.

    Args:
        declared: `events.kinds`.
        weights: `fuse.weights`, which may say a weight as well. A default there contradicts nothing: settings files
            list all of them, as the example does.

    Raises:
        SettingsError: if a kind has no weight, or two, or one against its sign; if a weight is of a kind that is not
            there; or if a standard kind is to say something else. `fuse.weights` alone may turn a standard kind
            round, as it always could: it counts so in a history, and training keeps to the kind's sign.
    """
    table: dict[str, KindTraits] = {}
    for name in (*STANDARD, *sorted(declared.keys() - STANDARD.keys())):
        key, said, standard = f"events.kinds.{name}", declared.get(name, KindSettings()), STANDARD.get(name)
        if standard and (said.sign, said.explicit) != (None, None):
            raise SettingsError(f"{key} is standard, only its weight can be another", "leave out sign and explicit")
        default = standard.weight if standard else None
        listed = weights.get(name, default)
        if said.weight is not None and listed not in (said.weight, default):
            problem = f"{key}.weight is {said.weight}, fuse.weights.{name} is {listed}"
            raise SettingsError(problem, "say it once, in events.kinds")
        weight = listed if said.weight is None else said.weight
        if weight is None:
            raise SettingsError(f"{key} has no weight", f"set {key}.weight; a click's is 1.0, a view's 0.3")
        traits = standard or KindTraits(weight, said.sign or Sign.NEUTRAL, bool(said.explicit))
        if (not standard or said.weight is not None) and weight * _TOWARDS[traits.sign] < 0:
            raise SettingsError(f"{key} is {traits.sign}, and its weight is {weight}", "let both say the same")
        table[name] = replace(traits, weight=weight)
    kinds = EventKinds(table)
    for name in weights.keys() - table.keys():
        raise kinds.unknown(name, SettingsError)
    return kinds


_TOWARDS = {Sign.POSITIVE: 1, Sign.NEUTRAL: 0, Sign.NEGATIVE: -1}
