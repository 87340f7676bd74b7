"""What `triveni index --switch` and `triveni space switch` say of a switch to another space."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from engine.cli.common import stderr, tell

if TYPE_CHECKING:
    from encoders.spaces.space import Space
    from engine.config.settings import Settings


def warn_of_server(settings: Settings, space: Space) -> None:
    """Say before a long run that a server has the collection open which is to be replaced."""
    from engine import opening
    from engine.core.errors import StoreInUseError

    with closing(opening.store_collections(settings)) as held:
        if held.current(settings.store.collection) in (None, space.fingerprint):
            return
    try:
        where = opening.running_server(settings)
        who = f"the server at {where}" if where else ""
    except StoreInUseError as error:
        who = error.problem
    if who:
        tell(
            "note",
            "yellow",
            f"{who} goes on with the collection that serves now, and what it is sent stays there: "
            "stop it before this ends, or `triveni space switch` after it",
        )


def switch_to(settings: Settings, space: Space) -> None:
    """Let the collection of a space serve, and say what is not in it, on standard error.

    Raises:
        NotFoundError: if the space has no collection.
        StoreInUseError: if a server, or another process, has the one that serves now open.
    """
    from engine import opening
    from engine.store.switching import switch

    name = settings.store.collection
    with closing(opening.store_collections(settings)) as held:
        done = switch(
            held,
            name,
            fingerprint=space.fingerprint,
            dimension=space.dimension,
            modalities=space.modalities,
        )
    if done.before == space.fingerprint:
        stderr.print(f"{name} serves space {space.manifest.name} already", highlight=False)
        return
    stderr.print(f"{name} serves space {space.manifest.name} now ({space.fingerprint[:12]})", highlight=False)
    if done.left is None:
        tell(
            "warning", "yellow", "the collection before cannot be read: what it has that this one lacks is not known"
        )
    elif done.left:
        tell(
            "warning",
            "yellow",
            f"of the items of the collection before, {done.left:,} {'is' if done.left == 1 else 'are'} not in it: "
            f"{', '.join(done.examples)}{' …' if done.left > len(done.examples) else ''}; what came over UpsertItems "
            "only is sent again, if it is wanted",
        )
    if settings.store.backend == "server" and done.before:
        tell("note", "yellow", "servers that run answer from the collection before, and refuse writes: restart them")
