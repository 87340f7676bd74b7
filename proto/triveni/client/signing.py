"""How a method looks that is made of a plan."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

_RESULT = re.compile(r"(Plan|Rows)\[(.*)\]", re.DOTALL)


def sign(method: Callable[..., Any], plan: Callable[..., Any], rows: str) -> None:
    """Let a method look like its plan: its arguments, and what comes of the plan instead of the plan.

    Args:
        method: of a client; wraps the plan already.
        plan: the plan.
        rows: how a method hands rows out, such as Iterator.
    """
    signature = inspect.signature(plan)
    found = _RESULT.fullmatch(signature.return_annotation)
    if found is None:
        raise TypeError(f"{plan.__name__} is no plan")
    result = found[2] if found[1] == "Plan" else f"{rows}[{found[2]}]"
    first, *others = signature.parameters.values()
    parameters = [first.replace(annotation=inspect.Parameter.empty), *others]
    method.__signature__ = inspect.Signature(parameters, return_annotation=result)  # type: ignore[attr-defined]
    method.__annotations__ = {**plan.__annotations__, "return": result}
    method.__qualname__ = method.__name__
