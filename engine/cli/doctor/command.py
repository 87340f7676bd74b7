"""`triveni doctor`: runs all checks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from encoders.errors import TriveniError
from engine.cli.common import console, settings_of
from engine.cli.doctor import doors, machine, state
from engine.cli.doctor.finding import Check, Finding, Level, Patient, problem
from engine.cli.doctor.indexed import indexed

CHECKS: Mapping[str, Check] = {
    "versions": machine.versions,
    "settings": machine.secrets,
    "parts": machine.parts,
    "disk": machine.disk,
    "memory": machine.memory,
    "access": doors.access,
    "ports": machine.ports,
    "space": state.space,
    "store": state.store,
    "indexed": indexed,
    "events": state.events,
    "models": state.models,
}
"""What is checked, in this order. A new check is a function and a line here."""

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}


def doctor(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON.")] = False,
) -> None:
    """Look at settings, space, store, events, models, disk, memory and ports; say what is wrong, and how to mend it.

    A server may run meanwhile; nothing is changed. Exit codes: 0 no problem, 1 a problem, 2 called wrongly.

    Example: triveni doctor
    """
    try:
        settings = settings_of(ctx)
    except TriveniError as error:
        found = [("settings", problem(error.problem, error.remedy))]
        if not as_json:
            _say(*found[0])
    else:
        named: Path | None = ctx.find_root().params.get("settings")
        file = named or Path("triveni.toml")
        found = []
        for name, finding in examine(Patient(settings, file if file.is_file() else None)):
            found.append((name, finding))
            if not as_json:
                _say(name, finding)
    if as_json:
        rows = [{"check": name, "level": one.level, "problem": one.said, "remedy": one.remedy} for name, one in found]
        print(json.dumps(rows, indent=1))
    if any(finding.level is Level.PROBLEM for _, finding in found):
        raise typer.Exit(1)


def examine(patient: Patient) -> Iterator[tuple[str, Finding]]:
    """All findings, each with the name of its check. What a check trips over is a finding, and the others go on."""
    for name, check in CHECKS.items():
        try:
            for finding in check(patient):
                yield name, finding
        except TriveniError as error:
            yield name, problem(error.problem, error.remedy)
        except Exception as error:  # noqa: BLE001 (a check that fails in a way that nobody thought of says so)
            yield name, problem(f"the check failed: {type(error).__name__}: {str(error)[:300]}", "see what it names")


def _say(name: str, finding: Finding) -> None:
    remedy = f": {finding.remedy}" if finding.remedy else ""
    label = (f"{finding.level:8}", _STYLES[finding.level])
    console.print(Text.assemble(label, f" {name:9} ", finding.said, remedy), soft_wrap=True, highlight=False)
