"""The full network as an ONNX graph.

The graph takes what `engine.rerank.collate` makes of requests, each tensor of a `Batch` under its own name, with any
number of requests, tokens, candidates and rows from 1 on, and gives `logits` (b, c, outcomes).
"""

import logging
import warnings
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from engine.rerank.model import Batch, CrossAttentionReranker
from engine.rerank.table import GAPS

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


def graph_of(network: CrossAttentionReranker) -> Any:
    """The graph of a network, with its weights in it: an `onnx.ModelProto`. It takes seconds."""
    logging.getLogger("onnxscript.optimizer").setLevel(logging.ERROR)  # of operators that it leaves
    dimensions = {
        name: torch.export.Dim(name, min=1, max=1 << 20) for name in ("rows", "requests", "history", "shown")
    }
    shapes = {name: {place: dimensions[axis] for place, axis in enumerate(_AXES[name])} for name in INPUTS}
    graph, batch = _Named(network).eval(), example(network)
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its one operator for a whole layer has no form in ONNX
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that several tensors share the name of an axis
            program = torch.onnx.export(
                graph,
                tuple(getattr(batch, name) for name in INPUTS),
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
    return program.model_proto


class _Named(nn.Module):
    """The network with the tensors of a batch as arguments of their own."""

    def __init__(self, network: CrossAttentionReranker) -> None:
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> Tensor:
        """(b, c, outcomes): logits; see `Batch` for what goes in."""
        logits: Tensor = self.network(Batch(*tensors))
        return logits


def example(network: CrossAttentionReranker, rows: int = 5, history: int = 3, shown: int = 4) -> Batch:
    """A made-up batch of two requests, the same each time.

    Args:
        network: that it is for.
        rows: items.
        history: tokens of the first request; the second has one less.
        shown: candidates of the first request; the second has one less.
    """
    config, random = network.config, torch.Generator().manual_seed(0)

    def drawn(below: int, *shape: int) -> Tensor:
        return torch.randint(below, shape, generator=random)

    tokens, candidates = torch.ones(2, history, dtype=torch.bool), torch.ones(2, shown, dtype=torch.bool)
    tokens[1, 0] = candidates[1, -1] = False
    return Batch(
        torch.randn(rows, len(config.modalities), config.dimension, generator=random),
        drawn(2, rows, len(config.modalities)) > 0,
        drawn(rows, 2, history),
        drawn(config.items + 1, 2, history),
        drawn(config.kinds + 1, 2, history),
        drawn(GAPS, 2, history),
        torch.rand(2, history, generator=random),
        tokens,
        drawn(rows, 2, shown),
        drawn(config.items + 1, 2, shown),
        torch.randn(2, shown, config.dense, generator=random),
        candidates,
    )
