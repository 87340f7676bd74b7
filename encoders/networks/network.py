"""A network of the catalogue, ready to run: in ONNX Runtime on the CPU, in PyTorch elsewhere.

On a CPU ONNX Runtime is several times as fast as PyTorch. Both give the same features to 1e-3.
"""

from pathlib import Path
from typing import Any

import numpy as np

from encoders.networks.known import ModelSpec
from encoders.networks.weights import cached_onnx, exporter, open_session, resolve_device
from encoders.types import Floats


class Network:
    """Arrays in, arrays out.

    Args:
        spec: the network.
        weights: its file, or the folder of its files; see `find_weights`.
        cache: folder of translated networks.
        device: "auto", "cpu" or a torch device.
        threads: threads of ONNX Runtime, None for one per core.

    Raises:
        WeightsError: if the device is not there, or the cache cannot be written.
    """

    def __init__(
        self, spec: ModelSpec, weights: Path, cache: Path, device: str = "cpu", threads: int | None = None
    ) -> None:
        self._device = resolve_device(device)
        self._session: Any = None
        if self._device == "cpu":
            self._session = open_session(cached_onnx(spec, cache, exporter(spec, weights)), threads)
        else:
            from encoders.networks.torch import load_torch

            self._module = load_torch(spec.name, weights, self._device)

    def __call__(self, **inputs: Any) -> list[Floats]:
        """The outputs of a batch, float32, in the network's order.

        Args:
            inputs: arrays by the names of the network's inputs, in their order.
        """
        if self._session is not None:
            return [np.asarray(output, np.float32) for output in self._session.run(None, inputs)]
        import torch

        with torch.inference_mode():
            outputs = self._module(*(torch.from_numpy(array).to(self._device) for array in inputs.values()))
            several = outputs if isinstance(outputs, tuple) else (outputs,)
            return [output.float().cpu().numpy() for output in several]
