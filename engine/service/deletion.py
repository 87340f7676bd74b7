"""The deletion of a person: in which order, so that nothing that is on its way comes back, and its receipt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from engine.core.deadline import Deadline
from engine.core.errors import OverloadedError
from engine.core.times import now_utc
from engine.core.types import UserId
from engine.events.base import EventStore
from engine.events.check import check_user
from engine.events.housekeeping import Housekeeping
from engine.events.types import Held
from engine.models.deletions import Deletion, new_deletion
from engine.models.registry import Registry
from engine.service.impressions import ImpressionLog

_FLUSH_SECONDS = 5.0
_SCRUB_SECONDS = 10.0
_ANSWER_SECONDS = 1.0
"""What is left of the call's time for its answer, however long the scrub takes."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was deleted."""

    deletion: Deletion
    gone: Held
    scrubbed: bool
    """Whether the database's files were rid of it by the time of the answer."""


class Deletions:
    """Deletes people.

    Args:
        store: what they did and were shown.
        impressions: lists that wait to be written.
        housekeeping: scrubs the store.
        registry: of the versions that may have learned from them; None where there is none.
        caches: are emptied: what they remember has no name, so that nobody's can be told from others'.
    """

    def __init__(
        self,
        store: EventStore,
        impressions: ImpressionLog,
        housekeeping: Housekeeping,
        registry: Registry | None,
        caches: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._store, self._impressions, self._housekeeping = store, impressions, housekeeping
        self._registry, self._caches = registry, caches
        self._log = structlog.get_logger("triveni.service")

    def delete(self, user: UserId, deadline: Deadline) -> Receipt:
        """Delete a person.

        Raises:
            EventError: if the user id cannot be one.
            OverloadedError: if lists that were served wait to be written for too long.
            DiskError: if the versions cannot be marked; nothing is deleted then.
            EventStoreError: if the database fails.
        """
        check_user(user)
        self._impressions.forget(user)
        self.settle(deadline)
        deletion = self._noted(self._store.held(user))
        gone = self._store.delete_user(user)
        for empty in self._caches:
            empty()
        wait = max(min(deadline.remaining() - _ANSWER_SECONDS, _SCRUB_SECONDS), 0.0)
        scrubbed = self._housekeeping.scrub(wait)
        self._log.info(
            "person deleted",
            receipt=deletion.id,
            events=gone.events,
            lists=gone.lists,
            versions=list(deletion.versions),
            scrubbed=scrubbed,
        )
        return Receipt(deletion, gone, scrubbed)

    def settle(self, deadline: Deadline) -> None:
        """Wait until all lists that were served so far are written.

        Raises:
            OverloadedError: if that takes too long.
        """
        if not self._impressions.flush(min(deadline.remaining(), _FLUSH_SECONDS)):
            raise OverloadedError(
                "lists that were served still wait to be written, the person's may be among them", "try again later"
            )

    def _noted(self, held: Held) -> Deletion:
        if self._registry is None:
            return new_deletion(now_utc())
        return self._registry.deletions.note(self._registry.scan()[0], held.first, held.last)
