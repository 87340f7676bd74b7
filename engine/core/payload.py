"""What a payload may hold; the same for whoever makes items and for every store."""

import math
from collections.abc import Mapping

from engine.core.errors import InvalidItemError
from engine.core.types import Payload

MAX_DEPTH = 32


def check_payload(payload: Payload) -> Payload:
    """Refuse a payload that a store cannot keep: only null, booleans, 64-bit integers, finite numbers, texts,
    lists and objects of those, at most `MAX_DEPTH` deep.

    Raises:
        InvalidItemError: naming the field, the value and the remedy.
    """
    for key, value in payload.items():
        _check_key(key, key)
        _check_value(value, key, 1)
    return payload


def _check_key(key: object, path: str) -> None:
    if not isinstance(key, str) or not key:
        raise InvalidItemError(f"payload field {path!r} has a name that is not text", "rename it", field="payload")
    _check_text(key, path)


def _check_value(value: object, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidItemError(f"payload field {path[:80]} is over {MAX_DEPTH} deep", "flatten it", field=path[:80])
    match value:
        case None | bool():
            pass
        case str():
            _check_text(value, path)
        case int():
            if not -(2**63) <= value < 2**63:
                raise InvalidItemError(f"payload field {path} is {value}", "send 64-bit integers", field=path)
        case float():
            if not math.isfinite(value):
                raise InvalidItemError(f"payload field {path} is {value}", "send finite numbers or null", field=path)
        case list():
            for inner in value:
                _check_value(inner, path, depth + 1)
        case Mapping():
            for key, inner in value.items():
                _check_key(key, f"{path}.{key}")
                _check_value(inner, f"{path}.{key}", depth + 1)
        case _:
            name = type(value).__name__
            raise InvalidItemError(f"payload field {path} is a {name}", "send plain JSON values", field=path)


def _check_text(value: str, path: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        problem = f"payload field {path!r} holds a lone surrogate: {value[:40]!r}"
        raise InvalidItemError(problem, "send valid Unicode", field="payload") from None
