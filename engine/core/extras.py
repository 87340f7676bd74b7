"""Libraries that only a part of the engine needs: each comes with an extra of the distribution."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from engine.core.errors import MissingExtraError

EXTRAS = {
    "sklearn": "train",
    "optuna": "train",
    "tensorboard": "train",
    "implicit": "evaluate",
    "lightgbm": "evaluate",
    "redis": "redis",
    "openTSNE": "studio",
    "opentelemetry": "tracing",
    "opacus": "private",
}
"""By the name of a module, the extra that brings it."""


def missing(module: str) -> str:
    """What to say if a module is not installed; "" if it is."""
    return "" if find_spec(module) else f"{module} is not installed: pip install 'triveni[{EXTRAS[module]}]'"


@contextmanager
def named_extras() -> Iterator[None]:
    """Inside, an import that fails for want of an extra names it.

    Raises:
        MissingExtraError: instead of the ModuleNotFoundError.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS:
            raise
        raise MissingExtraError(f"{module} is not installed", f"pip install 'triveni[{EXTRAS[module]}]'") from None


def load(module: str) -> Any:
    """A module of a library that only a part needs; see `named_extras`."""
    with named_extras():
        return import_module(module)
