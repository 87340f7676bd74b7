"""Which version serves, which served before, and which is tried on a share of people: one small file."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from engine.core.errors import SettingsError
from engine.models.errors import CheckpointError, ModelError, OvertakenError

HISTORY = 20
"""Earlier versions that are remembered for going back."""

FORMAT: Final = 1
"""Of the file."""

NO_VERSION = ""
"""In the pointer: no version serves, the engine is as it is without training. Answers say `UNTRAINED`."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """What serves. Its methods return the next state."""

    serving: str = NO_VERSION
    previous: tuple[str, ...] = ()
    """What served before, the latest last; `NO_VERSION` may be among them."""
    candidate: str = ""
    """The challenger: the version that is tried; "" if none."""
    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of people who get the challenger."""
    format: Literal[1] = field(default=FORMAT, repr=False)

    def promoted(self, version: str, *, over: str | None = None) -> "Pointer":
        """After `version` begins to serve. If it is the challenger, the trial ends; if it serves, nothing changes.

        Args:
            version: the version.
            over: what it was found better than; None if that does not matter.

        Raises:
            OvertakenError: if another one serves by now than it was found better than.
        """
        if version == self.serving:
            return self
        if over is not None and over != self.serving:
            raise OvertakenError(
                f"model version {version} was held against {over or 'the untrained engine'}, but "
                f"{self.serving or 'the untrained engine'} serves by now",
                "train again, or promote it nevertheless",
            )
        previous = (*self.previous, self.serving)[-HISTORY:]
        trial = replace(self, candidate="", share=0.0) if version == self.candidate else self
        return replace(trial, serving=version, previous=previous)

    def rolled_back(self) -> "Pointer":
        """After the version that served before serves again.

        Raises:
            ModelError: if nothing served before.
        """
        if not self.previous:
            raise ModelError(
                f"no version served before {self.serving or 'the untrained engine'}",
                "promote the version that you want: triveni model promote",
            )
        version = self.previous[-1]
        trial = replace(self, candidate="", share=0.0) if version == self.candidate else self
        return replace(trial, serving=version, previous=self.previous[:-1])

    def tried(self, version: str, share: float) -> "Pointer":
        """After a share of people gets `version`.

        Raises:
            ModelError: if it serves already.
            SettingsError: if the share is none.
        """
        if version == self.serving:
            raise ModelError(f"model version {version} serves already", "try another one beside it")
        if not 0 < share <= 1:
            raise SettingsError(f"share is {share}", "give a part of all users, above 0 and up to 1", field="share")
        return replace(self, candidate=version, share=share)

    def untried(self) -> "Pointer":
        """After the trial has ended."""
        return replace(self, candidate="", share=0.0)

    def without(self, version: str) -> "Pointer":
        """After a version is retired.

        Raises:
            ModelError: if it serves, or is tried.
        """
        if version == self.serving:
            raise ModelError(f"model version {version} serves", "promote another one first, or roll back")
        if version == self.candidate:
            raise ModelError(
                f"model version {version} is tried on {self.share:.0%} of users",
                "end the trial first: triveni model candidate --stop",
            )
        return replace(self, previous=tuple(one for one in self.previous if one != version))

    def version_of(self, user: str) -> str:
        """The version that a person gets: always the same while the trial lasts. Nobody's requests are not tried.

        Each challenger divides people anew, so that it is not always the same ones who try.
        """
        if not self.candidate or not user:
            return self.serving
        raw = hashlib.blake2b(user.encode("utf-8", "surrogatepass"), key=self.candidate.encode(), digest_size=8)
        return self.candidate if int.from_bytes(raw.digest(), "big") < self.share * 2**64 else self.serving


_ADAPTER = TypeAdapter(Pointer)


def pointer_json(pointer: Pointer) -> str:
    """As it is written."""
    return _ADAPTER.dump_json(pointer, indent=1).decode()


def read_pointer(raw: str, path: object) -> Pointer:
    """A pointer as it was written.

    Args:
        raw: the text.
        path: where it is from, for messages.

    Raises:
        CheckpointError: if it is broken.
    """
    try:
        return _ADAPTER.validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("format",):
            raise CheckpointError(
                f"{path} is of format {str(first['input'])[:40]}, this release reads format {FORMAT}",
                "update triveni, or remove the file and promote a version again",
            ) from None
        raise CheckpointError(
            f"{path} is broken: {first['msg'].lower()}", "remove it, and promote a version again"
        ) from None
