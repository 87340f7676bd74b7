"""`triveni events follow`: events from a stream of Redis into the store, as they come."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.common import console, settings_of
from engine.cli.event_inputs import (
    AsJson,
    CheckItems,
    Columns,
    FileOptions,
    Ignore,
    Kind,
    KindMap,
    Timezone,
    known_items,
)


def follow(
    ctx: typer.Context,
    url: Annotated[
        str, typer.Argument(metavar="URL", help="redis://[user:password@]host:port/database, or rediss://.")
    ],
    stream: Annotated[str, typer.Option(help="The stream's name.")],
    group: Annotated[str, typer.Option(help="The consumer group; made from the stream's beginning.")] = "triveni",
    consumer: Annotated[str, typer.Option(help="The name in the group; host and process if not given.")] = "",
    batch: Annotated[int, typer.Option(min=1, help="Entries that are read at once.")] = 500,
    claim_seconds: Annotated[
        float, typer.Option(min=0.0, help="Take over what another consumer has read and left for so long.")
    ] = 60.0,
    dead_letters: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="The file for bad entries; event-dead-letters.jsonl beside the store if not given."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when there is nothing more to read.")] = False,
    column: Columns = None,
    kind: Kind = None,
    kind_map: KindMap = None,
    timezone: Timezone = "",
    ignore: Ignore = None,
    check_items: CheckItems = None,
    as_json: AsJson = False,
) -> None:
    """Record the events of a Redis stream as they come, each once, until SIGTERM or Ctrl-C.

    An entry has the columns of `triveni events import` as fields, or one field `event` with the row as JSON; without
    time and id it has those of its place in the stream. Entries are acknowledged when they are recorded; bad ones go
    to the dead letters. Items are only looked up if the catalogue is on a server, unless --check-items is given: an
    embedded one would be held all the time.

    Example: triveni events follow redis://127.0.0.1:6379/0 --stream clicks
    """
    import redis

    from engine import opening
    from engine.events.follow import Follower, Letters
    from engine.service.logs import configure_logs

    settings = settings_of(ctx)
    configure_logs(settings.log.level, json_lines=settings.log.json_lines)
    reader = FileOptions(column, kind, kind_map, timezone, ignore).reader(opening.event_kinds(settings))
    path = dead_letters or settings.store.path.parent / "event-dead-letters.jsonl"
    wanted = (
        settings.events.check_items and settings.store.backend == "server" if check_items is None else check_items
    )
    try:
        client = redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=10)
    except ValueError as error:
        raise typer.BadParameter(f"{error}: write redis://127.0.0.1:6379/0") from None
    with (
        _stopped_by_signals() as wait,
        closing(client),
        known_items(settings, wanted) as known,
        closing(opening.open_events(settings, known)) as store,
        closing(Letters(path)) as letters,
    ):
        name = consumer or f"{socket.gethostname()}-{os.getpid()}"
        follower = Follower(
            client, stream, group, name, store, reader, letters, batch=batch, claim_seconds=claim_seconds
        )
        follower.run(wait, once=once)
    if as_json:
        console.print_json(json.dumps(asdict(follower.done)))
        return
    done = follower.done
    counts = f"{done.recorded:,} recorded, {done.duplicates:,} there already, {done.rejected:,} refused"
    console.print(
        f"{stream}: {counts}" + (f" (see {path})" if done.rejected else ""), highlight=False, soft_wrap=True
    )


@contextmanager
def _stopped_by_signals() -> Iterator[Callable[[float], bool]]:
    """Waits so many seconds, and says whether SIGTERM or Ctrl-C has come; what is being done is ended first."""
    stop = threading.Event()
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop.wait
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
