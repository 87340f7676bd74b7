"""From what came with a call to its caller, or a refusal."""

from collections.abc import Iterable

from engine.service.access.caller import ANYONE, NOBODY, Caller, Scope

Headers = Iterable[tuple[str, str | bytes]]
"""The metadata of a call, or the headers of a request; names in lower case."""


class Access:
    """Decides who calls. Any number of threads may ask."""

    def caller(self, scope: Scope | None, headers: Headers) -> Caller:
        """Who calls, if they may.

        Args:
            scope: that is needed; None needs no credential.
            headers: what came with the call.
        """
        return NOBODY if scope is None else ANYONE
