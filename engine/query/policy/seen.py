"""Which items must not be shown at all."""

from engine.core.types import ItemId, Query


def left_out(query: Query) -> tuple[ItemId, ...]:
    """The items excluded and, unless they are asked for, those of the history and of the query itself, each once."""
    names = list(query.policy.exclude)
    if not query.policy.include_seen:
        names += [event.item for event in query.history if event.item is not None]
        names += [part.source for part in query.parts if isinstance(part.source, str)]
    return tuple(dict.fromkeys(names))
