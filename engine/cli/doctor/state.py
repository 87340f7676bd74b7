"""Checks of what is kept: the space, the store, the events, the versions of the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from engine.cli.doctor.finding import Finding, Patient, ok, problem, warning


def space(patient: Patient) -> Iterator[Finding]:
    """Whether the encoders load, and give vectors."""
    from encoders.errors import TriveniError
    from encoders.types import Modality, Text

    found = patient.space
    if Modality.TEXT in found.modalities:
        (vector,) = found.encode([Text("a bird")])
        if isinstance(vector, TriveniError):
            raise vector
    yield ok(f"{found.manifest.name} loads, {', '.join(found.modalities)}; fingerprint {found.fingerprint[:12]}")


def store(patient: Patient) -> Iterator[Finding]:
    """Whether the catalogue can be opened, and is of the space."""
    from engine import opening

    settings = patient.settings
    name = settings.store.collection
    with closing(opening.store_collections(settings)) as collections:
        serving = collections.current(name)
        if serving is None:
            yield warning(f"there is no collection {name}", "index a catalogue: triveni init CATALOGUE says how")
            return
        if serving != patient.space.fingerprint:
            yield problem(
                f"collection {name} is of space {serving[:12]}…, the settings' space {patient.space.manifest.name} "
                f"is {patient.space.fingerprint[:12]}…",
                "set space.name to the one that it was indexed with, or index again beside it: "
                "triveni index CATALOG --switch",
            )
            return
        if patient.holder:
            where = f"answers at {patient.holder}" if isinstance(patient.holder, str) else patient.holder.problem
            yield ok(f"collection {name} is held by a process that {where}")
            return
        opened = collections.open_current(name)
        assert opened is not None, "it serves"
        with closing(opened):
            yield ok(f"collection {name} holds {opened.count():,} items")


def events(patient: Patient) -> Iterator[Finding]:
    """Whether the event store answers, and holds only kinds that are declared."""
    from sqlalchemy.engine import make_url

    from engine import opening

    settings = patient.settings
    if settings.events.url.startswith("sqlite"):
        file = Path(str(make_url(settings.events.url).database))
        if not file.exists():
            yield ok(f"there is no event store {file} yet; it is made when the server starts")
            return
    with closing(opening.open_events(settings, existing=True)) as opened:
        if gone := opened.recent_kinds() - set(opening.event_kinds(settings).names):
            yield warning(
                f"events of kinds that are not declared are left out: {', '.join(sorted(gone))}",
                "declare them in [events.kinds]",
            )
        stats = opened.stats()
        yield ok(f"{stats.events:,} events of {stats.users:,} people, {stats.impressions:,} served lists")


def models(patient: Patient) -> Iterator[Finding]:
    """Whether all versions are whole and of the space, and the one that serves is there."""
    from encoders.errors import TriveniError
    from engine import opening

    registry = opening.registry(patient.settings)
    pointer, versions = registry.pointer(), registry.versions()
    for version in versions:
        try:
            registry.verified(version, patient.space.fingerprint)
        except TriveniError as error:
            told = problem if version in (pointer.serving, pointer.candidate) else warning
            yield told(error.problem, error.remedy)
    if pointer.serving and pointer.serving not in versions:
        yield problem(
            f"version {pointer.serving} is to serve, and is not there", "triveni model rollback, or promote"
        )
    else:
        yield ok(f"{len(versions)} versions, {pointer.serving or 'none'} serves")
