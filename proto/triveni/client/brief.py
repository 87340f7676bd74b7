"""A repr that says what matters."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import datetime, timedelta
from typing import Any, ClassVar


class Brief:
    """The repr of a dataclass: fields that say something, and not those that are as they are by default."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __repr__(self) -> str:
        shown = []
        for one in fields(self):
            value = getattr(self, one.name)
            default = one.default_factory() if one.default_factory is not MISSING else one.default
            if one.repr and value != default:
                shown.append(f"{one.name}={_said(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _said(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return str(value) if isinstance(value, timedelta) else f"{value:.4g}" if isinstance(value, float) else repr(value)
