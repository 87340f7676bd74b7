"""The page of the command line, from its commands."""

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import typer

from engine.cli import app

HEAD = """# The command line

Every command is called as `triveni COMMAND`, or `python -m engine.cli COMMAND`, and has `--help`. Options before the
command are for all of them: `triveni --settings FILE COMMAND`.
"""


def cli_page() -> str:
    """All commands with their arguments, options and defaults, in Markdown."""
    root: Any = typer.main.get_command(app)
    return "\n".join([HEAD, *_options(root), *_commands(root, ["triveni"])])


def _commands(group: Any, path: list[str]) -> Iterator[str]:
    for name, command in group.commands.items():
        here = [*path, name]
        if getattr(command, "hidden", False):
            continue
        yield f"\n## {' '.join(here)}\n" if len(here) == 2 else f"\n### {' '.join(here)}\n"
        yield "\n\n".join(_paragraph(text) for text in (command.help or "").split("\n\n"))
        if getattr(command, "commands", None):
            yield from _commands(command, here)
        else:
            yield from _options(command)


def _options(command: Any) -> Iterator[str]:
    shown = [one for one in command.params if not getattr(one, "hidden", False)]
    if not shown:
        return
    yield "\n| | takes, by default | |\n|---|---|---|"
    for one in shown:
        is_option = one.opts[0].startswith("-")
        name = ", ".join([*one.opts, *one.secondary_opts]) if is_option else one.name.upper()
        flag = getattr(one, "is_flag", False)
        takes = "" if flag else _kind(one)
        default = "required" if one.required else _default(one.default, flag=flag)
        yield f"| `{name}` | {'<br>'.join(filter(None, (takes, default)))} | {_cell(one.help or '')} |"


def _kind(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    kind = next(iter(get_args(annotation)), annotation)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{one.value}`" for one in kind)
    name = {str: "text", int: "number", float: "number", Path: "path"}.get(kind, "text")
    low, high = parameter.min, parameter.max
    return " ".join(
        [name, f"from {low}" if low is not None else "", f"to {high}" if high is not None else ""]
    ).strip()


def _default(value: Any, *, flag: bool) -> str:
    if value is None or value in ("", (), []):
        return ""
    if flag:
        return "on" if value is True else ""
    return f"`{getattr(value, 'value', value)}`"


def _paragraph(text: str) -> str:
    """One of a command's description; an example is set as code."""
    example = re.fullmatch(r"Example: (.+)", " ".join(text.split()))
    return f"Example: `{example[1]}`" if example else _plain(text)


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("\n", " ")


def _plain(text: str) -> str:
    return text.replace("\b", "").replace("<", "&lt;").replace("*", "\\*")
