"""Events and served lists into a database."""

import random
from collections import Counter
from collections.abc import Sequence

from engine.events.types import OutcomeKind
from tests.events.stores import click, open_store, served
from tests.torture.striking import Tell, Told

_BATCHES, _EVENTS = 40, 3


class Events:
    """Each acknowledged event is there once, each call whole or not at all, and what is sent again is a duplicate.

    Args:
        url: of an empty database.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._round = 0

    def prepare(self, chance: random.Random) -> None:
        """Other events."""
        self._round += 1

    def work(self, tell: Tell) -> None:
        """Record all of this round; those that are there already are duplicates."""
        store = open_store(self._url)
        for batch in range(_BATCHES):
            name = f"{self._round}-{batch}"
            outcomes = store.record([click(name=f"{name}-{part}") for part in range(_EVENTS)])
            assert len({outcome.kind for outcome in outcomes}) == 1, "a call was cut in two"
            assert outcomes[0].kind is not OutcomeKind.REJECTED
            tell("recorded", *(str(outcome.id) for outcome in outcomes))
            store.log_impressions([served(name)])
            tell("logged", name)
        store.close()

    def check(self, told: Sequence[Told]) -> None:
        """Look at the database, then let a new process send all again."""
        self._look(told)
        self.work(lambda step, *names: None)
        self._look(told)
        store = open_store(self._url)
        assert store.stats().events == self._round * _BATCHES * _EVENTS
        assert store.stats().impressions == self._round * _BATCHES
        store.close()

    def _look(self, told: Sequence[Told]) -> None:
        store = open_store(self._url)
        events = Counter(event.event.id for event in store.export())
        lists = Counter(one.impression.request_id for one in store.impressions())
        store.close()
        for step, there in (("recorded", events), ("logged", lists)):
            assert all(count == 1 for count in there.values()), "something is there twice"
            assert {name for one in told if one.step == step for name in one.names} <= there.keys()
        assert all(count == _EVENTS for count in Counter(name.rpartition("-")[0] for name in events).values())
