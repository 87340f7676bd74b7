"""Why a call is refused."""

from encoders.errors import TriveniError
from engine.service.access.caller import NOBODY, Caller, Scope


class RefusedError(TriveniError):
    """A call that may not be made.

    Args:
        problem: what is wrong; it says nothing about what there is, nor about which credentials there are.
        remedy: what to do about it.
        why: what is wrong, for the audit log.
        caller: who called, as far as that is known.
    """

    def __init__(self, problem: str, remedy: str, why: str, caller: Caller = NOBODY) -> None:
        super().__init__(problem, remedy)
        self.why, self.caller = why, caller


class UnauthenticatedError(RefusedError):
    """No credential came, or one that is not valid: which of unknown, revoked and expired is not said."""

    status = "UNAUTHENTICATED"

    def __init__(self, why: str) -> None:
        super().__init__(
            "a valid credential is needed",
            "send an API key as x-api-key, or a token as authorization: Bearer",
            why,
        )


class PermissionDeniedError(RefusedError):
    """The credential is valid, but not for this."""

    status = "PERMISSION_DENIED"

    def __init__(self, scope: Scope, caller: Caller) -> None:
        super().__init__(
            f"the credential lacks the scope {scope}", "use one that has it", f"lacks the scope {scope}", caller
        )
