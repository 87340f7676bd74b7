"""Groups of options: a command takes dataclasses, whose fields are its options on the command line."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters that are dataclasses are given as their fields, in this order.

    The fields are annotated as parameters of a Typer command are: `Annotated[type, typer.Option(…)]`.
    """
    kinds: dict[str, Any] = {name: kind for name, kind in get_type_hints(command).items() if is_dataclass(kind)}
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in kinds:
            own = get_type_hints(kinds[name], include_extras=True)
            found = [(one.name, own[one.name], one.default) for one in fields(kinds[name])]
        else:
            found = [(name, hints[name], parameter.default)]
        parameters += [
            _keyword(one, hint, inspect.Parameter.empty if default is MISSING else default)
            for one, hint, default in found
        ]

    @wraps(command)
    def with_groups(**values: Any) -> None:
        made = {
            name: kind(**{one.name: values.pop(one.name) for one in fields(kind)}) for name, kind in kinds.items()
        }
        command(**values, **made)

    with_groups.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_groups.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_groups


def _keyword(name: str, hint: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
