"""The protocol of an encoder."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from encoders.types import WHOLE, Content, Floats, Modality, Prepared, Span

Passages = Mapping[Span, Prepared]
"""The passages of a content, each by where it is, in order; `WHOLE` alone, if it is not split."""


@runtime_checkable
class Encoder(Protocol):
    """Turns contents of one modality into unit vectors of the shared space.

    The work is in two steps so that a pipeline can overlap them: `prepare` is CPU work that may run in many
    threads at once, `forward` runs the network on a batch and is called from one thread at a time.
    """

    @property
    def modality(self) -> Modality:
        """The modality that this encoder takes."""

    @property
    def dimension(self) -> int:
        """The dimension of the vectors: that of the shared space."""

    @property
    def identity(self) -> dict[str, str]:
        """What decides the vectors: name, revision, and the checksums of weights and head."""

    def prepare(self, content: Content) -> Prepared:
        """Decode a content and make it ready for the network.

        Raises:
            ContentError: if the content is corrupt, empty, of another modality, or over a limit.
        """

    def forward(self, batch: Sequence[Prepared]) -> Floats:
        """Run the network. A batch gives what its items give alone, to 1e-4 in each coordinate.

        Returns:
            Unit vectors, float32 (n, dimension), in the order of the batch.
        """


class Prepares(Protocol):
    """What prepares contents: an encoder, or what stands before its head."""

    def prepare(self, content: Content) -> Prepared:
        """See `Encoder.prepare`."""


@runtime_checkable
class PreparesPassages(Protocol):
    """What an encoder has besides, if of a long content it reads the beginning only, or a blur of all."""

    def prepare_passages(self, content: Content, most: int) -> Passages:
        """Split a content that is longer than what is read as one, and prepare each passage.

        Args:
            content: the content.
            most: parts, at least 2.

        Returns:
            At most `most` parts: the passages in order, each no longer than what is read as one, and before them
            `WHOLE` where a blur of all is of use too; `WHOLE` alone of what is not longer.

        Raises:
            ContentError: as `Encoder.prepare` does.
        """


def prepare_passages(encoder: Prepares, content: Content, most: int) -> Passages:
    """Prepare a content, split into at most so many passages if it is long and the encoder can split it.

    Raises:
        ContentError: as `Encoder.prepare` does.
    """
    if most > 1 and isinstance(encoder, PreparesPassages):
        return encoder.prepare_passages(content, most)
    return {WHOLE: encoder.prepare(content)}
