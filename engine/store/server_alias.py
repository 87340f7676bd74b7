"""Whether a collection of a Qdrant server still serves, while another process may switch to another."""

from collections.abc import Callable

from encoders.errors import SpaceError


class StillServes:
    """Refuses to acknowledge what was written into a collection that served once, and serves no more.

    It is asked after a write: whoever was told that it is kept can find it, or the switch came later and counted it.

    Args:
        serving: gives the collection that serves now.
        collection: the one that is written into; one that is filled beside another is never refused.
    """

    def __init__(self, serving: Callable[[], str | None], collection: str) -> None:
        self._serving, self._collection = serving, collection
        self._served = serving() == collection

    def __call__(self) -> None:
        """Ask.

        Raises:
            SpaceError: if another collection serves by now.
        """
        now = self._serving()
        if now == self._collection:
            self._served = True
        elif self._served:
            raise SpaceError(
                f"{self._collection} serves no more, {now} does: what was written is seen by nobody",
                "restart the server, with the settings of that collection, and send it again",
            )
