"""The command line: `triveni COMMAND`."""

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from encoders.errors import TriveniError
from engine.cli import (
    access,
    ask,
    backup,
    encode,
    evaluate,
    events,
    index,
    init,
    model,
    optimize,
    serve,
    simulate,
    space,
    studio,
    train,
    tune,
)
from engine.cli.common import tell
from engine.cli.demo import command as demo
from engine.cli.doctor.command import doctor
from engine.core.extras import named_extras

app = typer.Typer(
    name="triveni",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    init.init,
    index.index,
    index.verify,
    optimize.optimize,
    serve.serve,
    studio.studio,
    ask.search,
    ask.recommend,
    encode.encode,
    demo.demo,
    backup.backup,
    backup.restore,
    doctor,
):
    app.command()(command)
app.command()(simulate.simulate)
app.command()(evaluate.evaluate)
app.command()(train.train)
app.command()(tune.tune)
app.add_typer(access.app, name="access")
app.add_typer(space.app, name="space")
app.add_typer(events.app, name="events")
app.add_typer(model.app, name="model")


@app.callback()
def root(
    settings: Annotated[
        Path | None,
        typer.Option(help="A settings file; triveni.toml in this folder is read by itself.", dir_okay=False),
    ] = None,
    tenant: Annotated[
        str, typer.Option(help="The tenant whose catalogue the command works on, where the settings have tenants.")
    ] = "",
) -> None:
    """Multimodal retrieval and recommendation on Qdrant: text, pictures and sounds in one space."""


RENAMED = {("simulate", "--people"): "--users", ("simulate", "--places"): "--positions"}
"""Options that have another name now, per command; the old one is still taken."""


def with_new_names(arguments: list[str]) -> list[str]:
    """The arguments, options that were renamed by their new names."""
    found = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        new = next((new for (command, old), new in RENAMED.items() if old == name and command in arguments), name)
        if new != name:
            tell("warning", "yellow", f"option {name} is called {new} now: rename it")
        found.append(new + equals + value)
    return found


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 it failed, 2 it was called wrongly, 130 it was interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal cannot show is no reason to end
    try:
        try:
            sys.argv[1:] = with_new_names(sys.argv[1:])
            with named_extras():
                app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # the reader has enough, as `head` has; what is left must not be written at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except TriveniError as error:
        tell("error", "red", error)
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        said = (error.strerror or str(error)).lower()
        tell("error", "red", f"cannot use {error.filename}: {said}: name another place, or let this one be used")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
