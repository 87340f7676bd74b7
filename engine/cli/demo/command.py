"""`triveni demo`: index a real catalogue, serve it, ask, and write a page of the answers."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import console, server_error, settings_of_all, stderr, tell
from engine.core.errors import SettingsError

if TYPE_CHECKING:
    from engine.cli.demo.learning import Learned
    from engine.cli.demo.questions import Picks, Question
    from engine.config.settings import Settings
    from triveni.v1 import catalog_pb2_grpc, item_pb2, recommendation_pb2

    Items = dict[str, item_pb2.StoredItem]
    Answered = tuple[Question, recommendation_pb2.RecommendResponse, float]
    """A question, its answer, and the milliseconds that it took."""

MAX_ITEMS = 20_000
"""Of a larger catalogue only the first are looked at, to choose what to ask."""

MAX_ERRORS = 1_000_000_000
"""Bad rows of a catalogue never end the demo; they are counted."""

STORE_VARIABLES = (
    "TRIVENI_STORE__BACKEND",
    "TRIVENI_STORE__PATH",
    "TRIVENI_STORE__COLLECTION",
    "TRIVENI_EVENTS__URL",
    "TRIVENI_MODELS__PATH",
)


def demo(
    ctx: typer.Context,
    catalog: Annotated[Path | None, typer.Option(help="A catalogue of your own, instead of Tux Paint.")] = None,
    root: Annotated[Path | None, typer.Option(help="The folder that its paths start from.")] = None,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its store and its page.")] = Path("var/demo"),
    learn: Annotated[bool, typer.Option(help="End with a training on made-up people; takes minutes.")] = True,
) -> None:
    """Index a catalogue, serve it, ask over gRPC, and train on what made-up people do with it.

    Without --catalog it takes the Tux Paint stamps from Debian's package: 950 pictures with titles, 134 with a sound.
    The page with all results is var/demo/report.html. Nothing is written into the stores of your settings.
    """
    from engine.cli.demo import report
    from engine.cli.demo.questions import TUX_PAINT

    settings = settings_of_all(ctx)
    if settings.tenants:
        raise SettingsError(
            "the demo has no tenants, the settings have", "run it where no settings file has [tenants]"
        )
    picks = None
    if catalog is None:
        (catalog, root), picks = _stamps(), TUX_PAINT
    root = root or catalog.parent
    environment = _environment(_own(settings, folder, catalog))
    command = [sys.executable, "-m", "engine.cli"]
    file: Path | None = ctx.find_root().params.get("settings")
    if file is not None:
        command += ["--settings", str(file)]
    page = folder / "report.html"

    console.rule("index", align="left")
    left_out = _index(command, environment, catalog, root, folder / "dead-letters.jsonl", own=picks is None)
    console.rule("serve", align="left")
    with _server(command, environment, folder / "server.log") as (address, seconds):
        console.print(f"ready after {seconds:.1f} s at {address}; its log is {folder / 'server.log'}")
        answers, items, fingerprint = _ask(address, picks, root, settings.service.max_message_bytes)
    about = {
        "catalogue": str(catalog),
        "items": str(len(items)) + (f", {left_out} bad rows left out" if left_out else ""),
        "space": f"{settings.space.name} {fingerprint[:12]}",
        "ready after": f"{seconds:.1f} s",
    }
    report.write(page, answers, items, root, about)  # there, whatever becomes of the training
    shown = _own(settings, folder, catalog)
    if learn:
        console.rule("learn", align="left")
        simulated = _own(settings, folder, catalog, "simulated-")
        learned = _learn(command, simulated)
        if learned is not None:
            report.write(page, answers, items, root, about, learned)
            shown = simulated
    console.rule(f"done: open {page}", align="left")
    _tell_studio(shown, folder / "triveni.toml")


def _tell_studio(shown: Settings, path: Path) -> None:
    """Write settings with which the demo's stores can be served, and say how to try them."""
    import tomlkit

    from engine.core.files import write_atomically

    write_atomically(path, tomlkit.dumps(shown.model_dump(mode="json", exclude_unset=True, exclude_none=True)))
    program = sys.argv[0] if Path(sys.argv[0]).name == "triveni" else "triveni"
    console.print(
        f"to try it yourself, in a browser: {program} --settings {path} studio", highlight=False, soft_wrap=True
    )


def _stamps() -> tuple[Path, Path]:
    """The catalogue of the Tux Paint stamps, and the folder that its paths start from."""
    from encoders.fitting.download import DownloadError
    from engine.cli.demo.catalog import tux_paint

    console.rule("catalogue: the Tux Paint stamps", align="left")
    try:
        return tux_paint(Path("var/tuxpaint"))
    except DownloadError as error:
        tell("error", "red", error)
        stderr.print(
            "To see the demo with a catalogue of your own: make demo CATALOG=items.jsonl ROOT=folder/of/media"
        )
        raise typer.Exit(1) from None


def _index(
    command: list[str], environment: dict[str, str], catalog: Path, root: Path, letters: Path, *, own: bool
) -> int:
    """Index the catalogue; gives the number of bad rows. What the settings say of columns is of the user's own."""
    places = [str(catalog), "--root", str(root), "--dead-letters", str(letters)]
    if not own:
        places += [word for role in ("id", "text", "image", "audio") for word in ("--column", f"{role}={role}")]
    _run(command, ["index", *places, "--max-errors", str(MAX_ERRORS), "--switch"], environment)
    left_out = _lines(letters)
    if left_out:
        stderr.print(f"{left_out} bad rows are left out of the demo: see {letters}", style="yellow", highlight=False)
    return left_out


def _learn(command: list[str], simulated: Settings) -> Learned | None:
    """Train on made-up people and print what came of it; None if nothing did."""
    from engine.cli.demo import learning
    from engine.service.logs import configure_logs

    configure_logs("warning", json_lines=simulated.log.json_lines)  # a server would log more
    # Threads of a small network wait for each other where the cores are busy, and gain little where they are not.
    judged = {"OMP_NUM_THREADS": "1", **_environment(simulated), "TRIVENI_LEARN__HELD_OUT": str(learning.HELD_OUT)}
    learned = learning.learn(simulated, lambda: _run(command, ["train"], judged, may_fail=True))  # by the gate
    if isinstance(learned, str):
        stderr.print(f"nothing is learned: {learned}", style="yellow", highlight=False)
        return None
    console.print(learning.table(learned))
    console.print(learning.verdict(learned), highlight=False, soft_wrap=True)
    return learned


def _own(settings: Settings, folder: Path, catalog: Path, before: str = "") -> Settings:
    """The settings with stores of the demo's own for each catalogue, and no model of others."""
    name = hashlib.blake2b(str(catalog.resolve()).encode(), digest_size=4).hexdigest()
    places = {
        "store": {"backend": "edge", "path": folder / f"store-{name}", "collection": "items"},
        "events": {"url": f"sqlite:///{folder / f'{before}events-{name}.db'}"},
        "models": {"path": folder / f"{before}trained-{name}"},
    }
    return settings.model_copy(
        update={section: getattr(settings, section).model_copy(update=keys) for section, keys in places.items()}
    )


def _environment(own: Settings) -> dict[str, str]:
    """The environment of the demo's commands."""
    values = (own.store.backend, own.store.path, own.store.collection, own.events.url, own.models.path)
    return {**os.environ, **{name: str(value) for name, value in zip(STORE_VARIABLES, values, strict=True)}}


def _lines(path: Path) -> int:
    """Lines of a file, 0 if it is not there."""
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _run(command: list[str], arguments: list[str], environment: dict[str, str], *, may_fail: bool = False) -> None:
    console.print(f"$ triveni {' '.join(arguments)}", style="dim", highlight=False, soft_wrap=True)
    done = subprocess.run([*command, *arguments], env=environment, check=False)
    if done.returncode and not (may_fail and done.returncode == 1):
        raise typer.Exit(done.returncode)


@contextmanager
def _server(command: list[str], environment: dict[str, str], log: Path) -> Iterator[tuple[str, float]]:
    """A server in a process of its own; gives its address and the seconds until it was ready, and stops it."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    console.print(f"$ triveni serve --address {address}", style="dim", highlight=False)
    began = time.monotonic()
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "serve", "--address", address],
            env=environment, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        with grpc.insecure_channel(address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            while True:
                try:
                    status = health.Check(health_pb2.HealthCheckRequest(), timeout=1, wait_for_ready=False).status
                    if status == health_pb2.HealthCheckResponse.SERVING:
                        break
                except grpc.RpcError:
                    pass
                if process.poll() is not None or time.monotonic() - began > 120:
                    tell("error", "red", f"the server did not start:\n{log.read_text()[-2000:]}")
                    raise typer.Exit(1)
                time.sleep(0.05)
        yield address, time.monotonic() - began
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def _ask(address: str, picks: Picks | None, root: Path, max_message_bytes: int) -> tuple[list[Answered], Items, str]:
    """Ask the server at an address all questions; gives the answers, the catalogue by id, and the space.

    Raises:
        StoreError: if the server answers with an error.
    """
    import grpc

    from engine.cli import answer as answers
    from engine.cli.demo import questions
    from triveni.v1 import catalog_pb2_grpc, recommendation_pb2_grpc

    options = [("grpc.max_receive_message_length", max_message_bytes)]
    answered: list[Answered] = []
    with grpc.insecure_channel(address, options=options) as channel:
        stub = recommendation_pb2_grpc.RecommendationServiceStub(channel)
        try:
            items, fingerprint = _list_items(catalog_pb2_grpc.CatalogServiceStub(channel))
        except grpc.RpcError as error:
            raise server_error(address, error) from None
        for question in questions.questions(picks or questions.picks_of(list(items.values())), items, root):
            began = time.perf_counter()
            try:
                answer = stub.Recommend(question.request, timeout=30)
            except grpc.RpcError as error:
                raise server_error(address, error) from None
            answered.append((question, answer, (time.perf_counter() - began) * 1000))
            console.print()
            console.print(answers.table(question.caption, answer, question.request.parts, question.request.history))
    return answered, items, fingerprint


def _list_items(stub: catalog_pb2_grpc.CatalogServiceStub) -> tuple[Items, str]:
    from triveni.v1 import catalog_pb2

    items: Items = {}
    token = ""
    while True:
        page = stub.ListItems(catalog_pb2.ListItemsRequest(page_size=1000, page_token=token), timeout=60)
        items.update({item.id: item for item in page.items})
        token = page.next_page_token
        if not token or len(items) >= MAX_ITEMS:
            return items, page.fingerprint
