"""Times as they are typed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_AGO = re.compile(r"(\d{1,6})\s*([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, option: str) -> datetime | None:
    """A time, RFC 3339, in UTC where it has no zone; None where none is given.

    Raises:
        typer.BadParameter: if it is none.
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option} {text!r} is no time: write it such as 2026-05-01T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def since(text: str, option: str, now: datetime) -> datetime | None:
    """A time as in `moment`, or how long ago it was: 30d, 12h, 90m, 2w.

    Raises:
        typer.BadParameter: if it is neither.
    """
    ago = _AGO.fullmatch(text.strip().lower())
    if ago is None:
        try:
            return moment(text, option)
        except typer.BadParameter as error:
            raise typer.BadParameter(f"{error.message}, or how long ago: 30d, 12h") from None
    try:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    except OverflowError:
        raise typer.BadParameter(f"{option} {text!r} is before all time: write less") from None
