"""The protocol by which the engine has contents encoded, and its plain implementation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from encoders.encoder import Passages
from encoders.errors import TriveniError
from encoders.spaces.space import Space
from encoders.types import Content, Floats, Prepared, Span
from engine.core.deadline import Deadline

Encoded = Floats | TriveniError
"""A unit vector (d,), or the reason why there is none: a bad content never fails its neighbours."""
EncodedPassages = Mapping[Span, Floats] | TriveniError
"""The unit vectors (d,) of a content's passages, by where they are, or the reason why there are none."""

_AT_ONCE = 128
"""Passages that are handed to the networks together: far fewer than may wait for them."""


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

    def encode_passages(
        self, contents: Sequence[Content], most: Sequence[int], deadline: Deadline
    ) -> list[EncodedPassages]:
        """The same for contents of items, the long ones among them split.

        Args:
            contents: the contents.
            most: of each, into how many passages it may be split; see `encoders.encoder.PreparesPassages`.
            deadline: of the call.
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
        return each_of(self._space, self._forward, contents, deadline)

    def encode_passages(
        self, contents: Sequence[Content], most: Sequence[int], deadline: Deadline
    ) -> list[EncodedPassages]:
        """Encode contents, the long ones split; see `ContentEncoder.encode_passages`."""
        return passages_of(self._space, self._forward, contents, most, deadline)

    def _forward(self, prepared: Sequence[Prepared], deadline: Deadline) -> list[Encoded]:
        deadline.check("encoding")
        return list(self._space.forward(prepared))


def each_of(
    space: Space,
    forward: Callable[[Sequence[Prepared], Deadline], list[Encoded]],
    contents: Sequence[Content],
    deadline: Deadline,
) -> list[Encoded]:
    """Prepare contents, and encode those of which that could be done together; see `ContentEncoder.encode`.

    Args:
        space: prepares.
        forward: encodes what is prepared, each for itself.
        contents: the contents.
        deadline: of the call.
    """
    prepared: dict[int, Prepared] = {}
    results: list[Encoded | None] = [None] * len(contents)
    for row, content in enumerate(contents):
        deadline.check("decoding")
        try:
            prepared[row] = space.prepare(content)
        except TriveniError as error:
            results[row] = error
    for row, vector in zip(prepared, forward(list(prepared.values()), deadline), strict=True):
        results[row] = vector
    return [result for result in results if result is not None]


def passages_of(
    space: Space,
    forward: Callable[[Sequence[Prepared], Deadline], list[Encoded]],
    contents: Sequence[Content],
    most: Sequence[int],
    deadline: Deadline,
) -> list[EncodedPassages]:
    """Prepare the passages of contents, and encode those of several together; see `ContentEncoder.encode_passages`.

    Args:
        space: prepares.
        forward: encodes what is prepared, each for itself.
        contents: the contents.
        most: of each, into how many passages it may be split.
        deadline: of the call.
    """
    results: list[EncodedPassages | None] = [None] * len(contents)
    waiting: dict[int, Passages] = {}

    def run() -> None:
        encoded = iter(forward([one for passages in waiting.values() for one in passages.values()], deadline))
        for row, passages in waiting.items():
            own = dict(zip(passages, encoded, strict=False))
            good = {span: vector for span, vector in own.items() if not isinstance(vector, TriveniError)}
            failed = next((error for error in own.values() if isinstance(error, TriveniError)), None)
            results[row] = failed or good
        waiting.clear()

    for row, (content, limit) in enumerate(zip(contents, most, strict=True)):
        deadline.check("decoding")
        try:
            waiting[row] = space.prepare_passages(content, limit)
        except TriveniError as error:
            results[row] = error
        if sum(map(len, waiting.values())) >= _AT_ONCE:
            run()
    run()
    return [result for result in results if result is not None]
