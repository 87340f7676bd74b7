"""The page of the settings: keys, types, defaults and docstrings of their classes."""

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from engine.config.settings import Settings

HEAD = """# Settings

The settings are read from `triveni.toml` in the current folder, or from the file that `triveni --settings FILE`
names. An environment variable wins over the file: `TRIVENI_` + section + `__` + key, such as
`TRIVENI_STORE__PATH=/data/items`. An unknown key is an error that names the nearest one. `triveni.example.toml` in
the repository has all of them to copy.
"""


def settings_page() -> str:
    """All sections and keys, in Markdown."""
    lines = [HEAD]
    for section, field in Settings.model_fields.items():
        named = not isinstance(field.annotation, type)  # a table of tables, by name
        kind: Any = get_args(field.annotation)[-1] if named else field.annotation
        title = f"{section}.NAME" if named else section
        lines += [f"\n## [{title}] {{#{section}}}\n", f"{inspect.getdoc(kind) or ''}\n"]
        lines += ["| key | type, default | |", "|---|---|---|", *_rows(kind)]
    return "\n".join(lines)


def _rows(kind: type[BaseModel]) -> Iterator[str]:
    told = docstrings(kind)
    defaults = kind()
    for key, field in kind.model_fields.items():
        text = " ".join(told.get(key, "").split()).replace("|", "\\|")
        yield f"| `{key}` | {_type(field)}<br>{_value(getattr(defaults, key))} | {text} |"


def _type(field: Any) -> str:
    name = field.annotation.__name__ if isinstance(field.annotation, type) else str(field.annotation)
    name = re.sub(r"(?:[a-z_]+\.)+(?=\w)", "", name).replace("|", "or").replace("NoneType", "None")
    bounds = [
        f"{sign} {getattr(one, word)}"
        for one in field.metadata
        for word, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if hasattr(one, word)
    ]
    return ", ".join([f"`{name}`", *bounds])


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"`{getattr(key, 'value', key)} = {one}`" for key, one in value.items()) or "none"
    if value is None or value in ("", ()):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def docstrings(kind: type[BaseModel]) -> dict[str, str]:
    """By key the docstring below it, of a section and those it comes from."""
    found: dict[str, str] = {}
    for one in reversed([one for one in kind.__mro__ if issubclass(one, BaseModel) and one is not BaseModel]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for line, after in itertools.pairwise(body):
            if (
                isinstance(line, ast.AnnAssign)
                and isinstance(line.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                found[line.target.id] = str(after.value.value)
    return found
