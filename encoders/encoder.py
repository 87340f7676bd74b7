"""The protocol of an encoder."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from encoders.types import Content, Floats, Modality, Prepared


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
