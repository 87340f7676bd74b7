"""The protocol by which the engine has contents encoded, and its plain implementation."""

from collections.abc import Sequence
from typing import Protocol

from encoders.errors import TriveniError
from encoders.spaces.space import Space
from encoders.types import Content, Floats, Prepared
from engine.core.deadline import Deadline

Encoded = Floats | TriveniError
"""A unit vector (d,), or the reason why there is none: a bad content never fails its neighbours."""


class ContentEncoder(Protocol):
    """Turns contents of any modality into unit vectors of one space; may be called from many threads at once."""

    def encode(self, contents: Sequence[Content], deadline: Deadline) -> list[Encoded]:
        """Encode contents, each for itself.

        Returns:
            For each content, in order, a unit vector, float32 (d,), or the error that befell it alone.

        Raises:
            DeadlineError: if the time is up before all are encoded.
            CancelledError: if the caller went away.
            OverloadedError: if too many contents wait already.
        """


class DirectEncoder:
    """Encodes in the caller's thread, one batch per call: for scripts and single-threaded use.

    Args:
        space: the encoders.
    """

    def __init__(self, space: Space) -> None:
        self._space = space

    def encode(self, contents: Sequence[Content], deadline: Deadline) -> list[Encoded]:
        """Encode contents, each for itself; see `ContentEncoder.encode`."""
        prepared: dict[int, Prepared] = {}
        results: list[Encoded | None] = [None] * len(contents)
        for row, content in enumerate(contents):
            deadline.check("decoding")
            try:
                prepared[row] = self._space.prepare(content)
            except TriveniError as error:
                results[row] = error
        deadline.check("encoding")
        for row, vector in zip(prepared, self._space.forward(list(prepared.values())), strict=True):
            results[row] = vector
        return [result for result in results if result is not None]
