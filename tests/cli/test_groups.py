"""Groups of options: their fields are what is typed, and the command gets them together."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from engine.cli.groups import grouped


@dataclass(frozen=True, slots=True)
class Place:
    path: Annotated[str, typer.Argument(help="Where.")]
    root: Annotated[str, typer.Option(help="From where.")] = "here"


@dataclass(frozen=True, slots=True)
class Manner:
    many: Annotated[list[int] | None, typer.Option("--number", min=1)] = None
    dry: Annotated[bool, typer.Option("--dry")] = False


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()

    @app.command()
    @grouped
    def do(ctx: typer.Context, place: Place, manner: Manner, last: int = 7) -> None:
        """Do it."""
        print(ctx.info_name, place, manner, last)

    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_fields_are_options_and_come_together() -> None:
    assert run("a") == (0, "do Place(path='a', root='here') Manner(many=None, dry=False) 7\n")
    typed = ("a", "--root", "b", "--number", "1", "--number", "2", "--dry", "--last", "3")
    assert run(*typed) == (0, "do Place(path='a', root='b') Manner(many=[1, 2], dry=True) 3\n")


def test_what_is_required_or_bounded_stays_so() -> None:
    assert run()[0] == 2
    assert run("a", "--number", "0")[0] == 2
    code, shown = run("--help")
    assert code == 0
    assert "Do it." in shown and "From where." in shown and "[default: here]" in shown
