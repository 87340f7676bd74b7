"""The full network in ONNX Runtime: what PyTorch gives, in half the time, and on the caller's thread alone.

The weights in safetensors are what a version is. Its ONNX form is made of them once, when the version is written, and
lies beside them under the card's checksums. Whoever loads it compares the two on made-up requests; where they differ,
or there is none, PyTorch answers.
"""

from pathlib import Path

import numpy as np
import structlog
import torch

from encoders.networks.weights import open_session
from encoders.types import Floats
from engine.rerank.graph import INPUTS, OUTPUT, example, graph_of
from engine.rerank.model import Batch, CrossAttentionReranker

COMPILED = "network.onnx"
"""The file in a version's folder."""
TOLERANCE = 1e-3
"""How far logits may differ, absolutely and relatively; rounding alone is a hundredth of it."""


class CompiledNetwork:
    """The full network on one thread of the CPU. Any number of threads use it at once.

    Args:
        graph: the ONNX file, see `engine.rerank.graph`.
        network: whose form it is.

    Raises:
        Exception: of any kind, if it cannot be run.
        ValueError: if it gives other numbers than the network.
    """

    def __init__(self, graph: bytes, network: CrossAttentionReranker) -> None:
        self.graph = graph
        self._session = open_session(graph, threads=1)
        batch = example(network, rows=50, history=20, shown=30)
        with torch.inference_mode():
            wanted = network(batch).numpy()
        found = self.logits(batch)
        if not np.allclose(found, wanted, rtol=TOLERANCE, atol=TOLERANCE):
            raise ValueError(
                f"{COMPILED} gives logits that are {np.abs(found - wanted).max():.3g} from the network's"
            )

    def logits(self, batch: Batch) -> Floats:
        """(b, c, outcomes) float32."""
        (found,) = self._session.run([OUTPUT], {name: getattr(batch, name).numpy() for name in INPUTS})
        return np.asarray(found, np.float32)


def compile_network(network: CrossAttentionReranker) -> CompiledNetwork | None:
    """A network's ONNX form; None, which is logged, if it has none that gives the same."""
    try:
        return CompiledNetwork(graph_of(network).SerializeToString(), network)
    except Exception as error:  # noqa: BLE001 (whatever it is, PyTorch answers)
        structlog.get_logger("triveni.rerank").warning("network not compiled", exc_info=error)
        return None


def load_compiled(folder: Path, network: CrossAttentionReranker) -> CompiledNetwork | None:
    """The ONNX form of the network in a version's folder; None if it has none, as versions of before have.

    One that does not run, or gives other numbers, is left out, which is logged.
    """
    path = folder / COMPILED
    if not path.is_file():
        return None
    try:
        return CompiledNetwork(path.read_bytes(), network)
    except Exception as error:  # noqa: BLE001 (whatever it is, PyTorch answers)
        structlog.get_logger("triveni.rerank").error("compiled network left out", path=str(path), exc_info=error)
        return None
