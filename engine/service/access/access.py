"""From what came with a call to its caller, or a refusal."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from engine.service.access.audit import AuditLog
from engine.service.access.caller import ANYONE, NOBODY, Caller, Scope
from engine.service.access.errors import PermissionDeniedError, RefusedError, UnauthenticatedError

Headers = Iterable[tuple[str, str | bytes]]
"""The metadata of a call, or the headers of a request; names in lower case."""

API_KEY, AUTHORIZATION = "x-api-key", "authorization"
BEARER = "bearer "
"""Begins a token in `authorization`, in small letters; all else there is somebody else's, such as a proxy's."""


class Checker(Protocol):
    """Knows the callers of one kind of credentials. Any number of threads may ask."""

    def knows(self, credential: str) -> bool:
        """Whether a credential looks like one of its kind."""

    def caller(self, credential: str) -> Caller:
        """Whose it is.

        Raises:
            UnauthenticatedError: if it is not valid.
        """


class Access:
    """Decides who calls. Any number of threads may ask. Every door asks the same one.

    Args:
        checkers: of each kind of credentials; without any, everybody may do everything.
        audit: what calls are written to, by whoever answers them.
    """

    def __init__(self, checkers: Sequence[Checker] = (), audit: AuditLog | None = None) -> None:
        self._checkers, self.audit = checkers, audit or AuditLog(None)
        self.refusals: Counter[str] = Counter()
        """How many were refused, by the name of the gRPC status."""

    @property
    def asks(self) -> bool:
        """Whether credentials are asked for."""
        return bool(self._checkers)

    def admit(self, scope: Scope | None, headers: Headers) -> Caller:
        """Who calls, if they may.

        Args:
            scope: that is needed; None needs no credential.
            headers: what came with the call.

        Raises:
            UnauthenticatedError: if it takes a credential, and none came that is valid.
            PermissionDeniedError: if the caller lacks the scope.
        """
        if scope is None:
            return NOBODY
        caller = self.caller(headers)
        if scope not in caller.scopes:
            self.refusals[PermissionDeniedError.status] += 1
            raise PermissionDeniedError(scope, caller)
        return caller

    def admit_still(self, scope: Scope | None, headers: Headers, caller: Caller) -> None:
        """Let a call go on that was let in before.

        Args:
            scope: as for `admit`.
            headers: as for `admit`.
            caller: whom that found.

        Raises:
            UnauthenticatedError: if the credential is no longer valid, or of another tenant by now.
            PermissionDeniedError: if it lost the scope.
        """
        if self.admit(scope, headers).tenant != caller.tenant:
            self.refusals[UnauthenticatedError.status] += 1
            raise UnauthenticatedError("its tenant changed")

    def caller(self, headers: Headers) -> Caller:
        """Who calls, whatever they want.

        Raises:
            UnauthenticatedError: if no credential came, or more than one, or one that is not valid.
        """
        try:
            return self._caller(headers) if self._checkers else ANYONE
        except RefusedError as error:
            self.refusals[error.status] += 1
            raise

    def _caller(self, headers: Headers) -> Caller:
        credentials = _credentials(headers)
        if len(credentials) != 1:
            raise UnauthenticatedError("several credentials" if credentials else "no credential")
        (credential,) = credentials
        for checker in self._checkers:
            if checker.knows(credential):
                return checker.caller(credential)
        raise UnauthenticatedError("unknown kind of credential")


def _credentials(headers: Headers) -> set[str]:
    """All that came."""
    found = set()
    for name, value in headers:
        if not isinstance(value, str):
            continue
        if name == API_KEY:
            found.add(value.strip())
        elif name == AUTHORIZATION and value[: len(BEARER)].lower() == BEARER:
            found.add(value[len(BEARER) :].strip())
    return found - {""}
