"""A network of the catalogue: in ONNX Runtime on the CPU, in PyTorch elsewhere.

On a CPU ONNX Runtime is several times as fast as PyTorch. Both give the same features to 1e-3.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from encoders.errors import WeightsError
from encoders.networks.known import ModelSpec
from encoders.networks.weights import cached_onnx, exporter, open_session, resolve_device
from encoders.types import Floats

_Run = Callable[[dict[str, Any]], Sequence[Any]]


class Network:
    """Arrays in, arrays out. It is loaded for its first batch: who encodes nothing waits for no network.

    Args:
        spec: the network.
        weights: its file, or the folder of its files; see `find_weights`.
        cache: folder of translated networks.
        device: "auto", "cpu" or a torch device.
        threads: threads of ONNX Runtime, None for one per core.

    Raises:
        WeightsError: if the device that it names is not there.
    """

    def __init__(
        self, spec: ModelSpec, weights: Path, cache: Path, device: str = "cpu", threads: int | None = None
    ) -> None:
        self._spec, self._weights, self._cache, self._threads = spec, weights, cache, threads
        self._device = device if device == "auto" else resolve_device(device)
        self._loading = threading.Lock()
        self._run: _Run | None = None

    def __call__(self, **inputs: Any) -> list[Floats]:
        """The outputs of a batch, float32, in the network's order.

        Args:
            inputs: arrays by the names of the network's inputs, in their order.

        Raises:
            WeightsError: if it cannot be loaded, or the cache not be written.
        """
        with self._loading:
            if self._run is None:
                self._run = self._loaded()
        return [np.asarray(output, np.float32) for output in self._run(inputs)]

    def _loaded(self) -> _Run:
        try:
            return self._load()
        except WeightsError:
            raise
        except Exception as error:  # not the batch's: whoever leaves out bad contents would leave out all
            remedy = "set space.device to auto or cpu, or see that there is memory for it"
            raise WeightsError(f"network {self._spec.name} cannot be loaded ({error})", remedy) from error

    def _load(self) -> _Run:
        device = resolve_device(self._device)
        if device == "cpu":
            file = cached_onnx(self._spec, self._cache, exporter(self._spec, self._weights))
            session = open_session(file, self._threads)
            return lambda inputs: session.run(None, inputs)

        import torch

        from encoders.networks.torch import load_torch

        module = load_torch(self._spec.name, self._weights, device)

        def run(inputs: dict[str, Any]) -> Sequence[Any]:
            with torch.inference_mode():
                outputs = module(*(torch.from_numpy(array).to(device) for array in inputs.values()))
                several = outputs if isinstance(outputs, tuple) else (outputs,)
                return [output.float().cpu().numpy() for output in several]

        return run
