"""The small tier's network: an ONNX file that reads a candidate's dense features and nothing else.

The features hold how a candidate stands among the others already, so each is scored for itself. The network is
distilled from the full one in engine/learn/network/distil.py.
"""

from pathlib import Path

import numpy as np

from encoders.networks.weights import open_session
from encoders.types import Floats
from engine.rerank.model import OUTCOMES

SMALL = "small.onnx"
"""The file in a version's folder."""


class SmallNetwork:
    """A small network on one thread of the CPU. Any number of threads use it at once.

    Args:
        graph: the ONNX file: an input (n, f) float32, an output (n, outcomes) float32.
        features: f, as the version's features are.

    Raises:
        ValueError: if it is something else.
    """

    def __init__(self, graph: bytes, features: int) -> None:
        self.graph = graph
        try:
            self._session = open_session(graph, threads=1)
            (read,), (written,) = self._session.get_inputs(), self._session.get_outputs()
            found = read.type, read.shape[-1], written.type, written.shape[-1]
        except Exception as error:  # noqa: BLE001 (ONNX Runtime's errors have no parent of their own)
            raise ValueError(f"{SMALL} is not a network that can be run: {error}") from None
        if found != ("tensor(float)", features, "tensor(float)", len(OUTCOMES)):
            raise ValueError(f"{SMALL} maps {found[:2]} to {found[2:]}, not {features} features to {OUTCOMES}")
        self._read = read.name

    def logits(self, dense: Floats) -> Floats:
        """(n, outcomes) float32: logits that the full network's calibration fits too.

        Args:
            dense: (n, f), the features of its version, in their order.
        """
        (found,) = self._session.run(None, {self._read: np.ascontiguousarray(dense, np.float32)})
        return np.asarray(found, np.float32)


def load_small(folder: Path, features: int) -> SmallNetwork | None:
    """The small network of the version in a folder; None if it has none, as versions of before have.

    Raises:
        ValueError: if the file is no such network.
    """
    path = folder / SMALL
    return SmallNetwork(path.read_bytes(), features) if path.is_file() else None
