"""The full network of a version as ONNX, for other runtimes.

The graph takes what `engine.rerank.collate` makes of requests, each tensor of a `Batch` under its own name, with any
number of requests, tokens, candidates and rows from 1 on, and gives `logits` (b, c, outcomes). What the numbers mean
(the features and kinds of events of the version in their order, the outcomes, their calibration and worth) is in its
metadata.
"""

import json
import logging
import warnings
from dataclasses import asdict, fields
from io import BytesIO

import torch
from torch import Tensor, nn

from engine.rerank.model import OUTCOMES, Batch, CrossAttentionReranker
from engine.rerank.version import Version

OPSET = 20
INPUTS = tuple(one.name for one in fields(Batch))
OUTPUT = "logits"

_AXES = {
    "vectors": ("rows",),
    "present": ("rows",),
    **dict.fromkeys(("token_rows", "token_ids", "kinds", "gaps", "values", "tokens"), ("requests", "history")),
    **dict.fromkeys(("candidate_rows", "candidate_ids", "dense", "candidates"), ("requests", "shown")),
}
"""The sizes that vary, from the first."""


def export_network(version: Version) -> bytes:
    """The graph of a version's full network, with its weights in it."""
    import onnx  # slow to import

    logging.getLogger("onnxscript.optimizer").setLevel(logging.ERROR)  # of operators that it leaves
    dimensions = {
        name: torch.export.Dim(name, min=1, max=1 << 20) for name in ("rows", "requests", "history", "shown")
    }
    shapes = {name: {place: dimensions[axis] for place, axis in enumerate(_AXES[name])} for name in INPUTS}
    graph = _Named(version.network).eval()
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its one operator for a whole layer has no form in ONNX
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that several tensors share the name of an axis
            program = torch.onnx.export(
                graph,
                tuple(_example(version.network).values()),
                input_names=list(INPUTS),
                output_names=[OUTPUT],
                opset_version=OPSET,
                dynamic_shapes=(tuple(shapes.values()),),
                dynamo=True,
                verbose=False,
            )
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(
        model,
        {
            "features": json.dumps(version.features),
            "event_kinds": json.dumps(version.token_kinds.names),
            "outcomes": json.dumps(OUTCOMES),
            "calibration": json.dumps(version.calibration),
            "utility": json.dumps(asdict(version.utility)),
        },
    )
    raw = BytesIO()
    onnx.save(model, raw)
    return raw.getvalue()


class _Named(nn.Module):
    """The network with the tensors of a batch as arguments of their own."""

    def __init__(self, network: CrossAttentionReranker) -> None:
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> Tensor:
        """(b, c, outcomes): logits; see `Batch` for what goes in."""
        logits: Tensor = self.network(Batch(*tensors))
        return logits


def _example(network: CrossAttentionReranker) -> dict[str, Tensor]:
    """A batch of every shape but its own sizes."""
    config = network.config
    rows, requests, history, shown = 5, 2, 3, 4
    whole = torch.zeros(requests, history, dtype=torch.int64)
    candidates = torch.zeros(requests, shown, dtype=torch.int64)
    return {
        "vectors": torch.randn(rows, len(config.modalities), config.dimension),
        "present": torch.ones(rows, len(config.modalities), dtype=torch.bool),
        "token_rows": whole,
        "token_ids": whole.clone(),
        "kinds": whole.clone(),
        "gaps": whole.clone(),
        "values": torch.zeros(requests, history),
        "tokens": torch.ones(requests, history, dtype=torch.bool),
        "candidate_rows": candidates,
        "candidate_ids": candidates.clone(),
        "dense": torch.zeros(requests, shown, config.dense),
        "candidates": torch.ones(requests, shown, dtype=torch.bool),
    }
