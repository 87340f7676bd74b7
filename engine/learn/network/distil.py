"""The small network learns from the full one: not what people did, but what the full network says of it.

The losses are those of the full network (losses.py, beside this) with its probabilities in the place of labels
(Hinton et al., Distilling the Knowledge in a Neural Network, 2015; for rankings Tang & Wang, KDD 2018): the softmax
over a request's candidates, and the probability of each outcome. So its logits are on the full network's scale, and
what calibrates those fits these.
"""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from encoders.types import Floats
from engine.learn.network.train import logits_of, ndcg
from engine.learn.network.trainer import HERE, Progress, Run, rising_then_falling
from engine.learn.rows.dataset import Example
from engine.rerank.model import OUTCOMES, CrossAttentionReranker
from engine.rerank.small import SmallNetwork
from engine.rerank.table import Table

_CUT = 8.0
"""Standardised features are cut here: a stray value would spoil the steps of 8 bits."""
_PART = 512
"""Rows that the full network is asked of at once."""


@dataclass(frozen=True, slots=True)
class DistilSettings:
    """How the small network is made."""

    width: int = 128
    """Of its two hidden layers."""
    rows: int = 10_000
    """At most so many rows, drawn at random, are learned from."""
    epochs: int = 8
    batch: int = 64
    learning_rate: float = 3e-3
    """The highest learning rate."""
    warm_up: float = 0.1
    """The share of the steps in which the rate rises."""
    weight_decay: float = 0.01
    outcomes: float = 0.05
    """The weight of the outcomes' loss beside the listwise one."""
    rounding: float = 0.005
    """The most NDCG@10 on held-out rows that 8 bits may cost; where they cost more, the weights stay float32."""


@dataclass(frozen=True, slots=True)
class SmallFigures:
    """What became of the small network. NDCG@10 is of held-out rows, which neither network was trained on."""

    precision: str
    """Of the weights that serve: "int8" or "float32"."""
    rows: int
    """The held-out ones."""
    full: float
    """NDCG@10 of the full network."""
    float32: float
    """Of the small one as it was trained."""
    int8: float
    """Of the small one with weights of 8 bits."""


class Student(nn.Module):
    """Two hidden layers beside a linear path, from features that are standardised as the full network's are."""

    def __init__(self, mean: Tensor, scale: Tensor, width: int) -> None:
        super().__init__()
        self.mean, self.scale = nn.Buffer(mean.clone()), nn.Buffer(scale.clone())
        self.deep = nn.Sequential(
            nn.Linear(len(mean), width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, len(OUTCOMES)),
        )
        self.wide = nn.Linear(len(mean), len(OUTCOMES))

    def forward(self, dense: Tensor) -> Tensor:
        """(…, f) → (…, outcomes): logits."""
        x = ((dense - self.mean) / self.scale).clamp(-_CUT, _CUT)
        logits: Tensor = self.deep(x) + self.wide(x)
        return logits


def distil(
    full: CrossAttentionReranker,
    learn: Sequence[Example],
    check: Sequence[Example],
    table: Table,
    settings: DistilSettings,
    run: Run = HERE,
    *,
    seed: int = 0,
) -> tuple[SmallNetwork, SmallFigures]:
    """Make the small network of a full one.

    Args:
        full: the network that is learned from.
        learn: rows to learn from; what followed is not looked at.
        check: the rows that decide between 8 bits and 32.
        table: what the rows are rows of.
        settings: how.
        run: where the full network runs, who hears of it and who may stop it; nothing is kept.
        seed: makes it repeatable.

    Raises:
        Stop: if the run is stopped.
    """
    random = np.random.default_rng(seed)
    chosen = np.sort(random.permutation(len(learn))[: settings.rows])
    rows = [learn[row] for row in chosen.tolist()]
    told: list[Floats] = []
    full.to(run.device)
    for start in range(0, len(rows), _PART):
        run.go_on()
        run.report(Progress(0.25 * start / len(rows), "asking the full network", {}))
        told += logits_of(full, rows[start : start + _PART], table, run.device)
    full.to("cpu")
    torch.manual_seed(seed)
    student = Student(full.dense_mean, full.dense_scale, settings.width)
    _learn(student, [one.request.dense for one in rows], told, settings, random, run)
    run.report(Progress(0.9, "measuring the small network", {}))
    exact = export(student)
    graphs = {"float32": exact, "int8": quantised(exact)}
    networks = {name: SmallNetwork(graph, student.mean.numel()) for name, graph in graphs.items()}
    found = {name: ndcg(check, small_logits(network, check)) for name, network in networks.items()}
    precision = "int8" if found["float32"] - found["int8"] <= settings.rounding else "float32"
    best = ndcg(check, logits_of(full, check, table))
    return networks[precision], SmallFigures(precision, len(check), best, found["float32"], found["int8"])


def small_logits(network: SmallNetwork, examples: Sequence[Example]) -> list[Floats]:
    """Per row (c, outcomes): the logits."""
    return [network.logits(one.request.dense) for one in examples]


def _learn(
    student: Student,
    dense: Sequence[np.ndarray],
    told: Sequence[Floats],
    settings: DistilSettings,
    random: np.random.Generator,
    run: Run,
) -> None:
    """Train it in place.

    Args:
        student: the network.
        dense: per row (c, f).
        told: per row (c, outcomes), the full network's logits.
        settings: how.
        random: draws the order.
        run: who hears of it and who may stop it.
    """
    steps = math.ceil(len(dense) / settings.batch) * settings.epochs
    optimizer = torch.optim.AdamW(student.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rising_then_falling(steps, settings.warm_up))
    order = np.concatenate([random.permutation(len(dense)) for _ in range(settings.epochs)])
    for step, some in enumerate(np.array_split(order, steps)):
        run.go_on()
        features, wanted, there = (
            pad_sequence(list(columns), batch_first=True)
            for columns in zip(*(_tensors(dense[row], told[row]) for row in some.tolist()), strict=True)
        )
        loss = distilled(student(features.float()), wanted, there, settings.outcomes)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 20 == 0:
            run.report(Progress(0.25 + 0.65 * step / steps, "training the small network", {"loss": loss.item()}))


def _tensors(dense: np.ndarray, told: Floats) -> tuple[Tensor, Tensor, Tensor]:
    """A row's features (c, f), the full network's logits (c, outcomes), and that there are its candidates (c,)."""
    return torch.from_numpy(dense), torch.from_numpy(told), torch.ones(len(dense), dtype=torch.bool)


def distilled(logits: Tensor, wanted: Tensor, there: Tensor, outcomes: float) -> Tensor:
    """How far logits are from what the full network says; at least, not zero, where they are the same.

    Args:
        logits: (b, c, outcomes), of the small network.
        wanted: (b, c, outcomes), of the full network.
        there: (b, c) bool: which candidates there are.
        outcomes: the weight of the outcomes' loss, the sum over a request's candidates.
    """
    ours, theirs = (one[..., 0].masked_fill(~there, -1e4) for one in (logits, wanted))  # (b, c)
    ranking = -(theirs.softmax(1) * ours.log_softmax(1)).sum(1).mean()
    certain = F.binary_cross_entropy_with_logits(logits, wanted.sigmoid(), reduction="none")  # (b, c, outcomes)
    return ranking + outcomes * certain.masked_fill(~there[..., None], 0.0).sum((1, 2)).mean()


_GRAPH = """small (float[n, {features}] dense) => (float[n, {outcomes}] logits) {{
    centred = Sub (dense, mean)
    scaled = Div (centred, scale)
    x = Clip (scaled, low, high)
    first = Gemm <transB = 1> (x, deep_0_weight, deep_0_bias)
    first_on = Relu (first)
    second = Gemm <transB = 1> (first_on, deep_2_weight, deep_2_bias)
    second_on = Relu (second)
    deep = Gemm <transB = 1> (second_on, deep_4_weight, deep_4_bias)
    wide = Gemm <transB = 1> (x, wide_weight, wide_bias)
    logits = Add (deep, wide)
}}"""
"""`Student.forward` in ONNX's notation. PyTorch's exporter takes seconds, and writes this machine's paths into it."""
_OPSET, _IR = 17, 8


def export(student: Student) -> bytes:
    """The network as an ONNX file, float32; any number of candidates."""
    from onnx import helper, numpy_helper, parser  # slow to import

    graph = parser.parse_graph(_GRAPH.format(features=student.mean.numel(), outcomes=len(OUTCOMES)))
    tensors = {name.replace(".", "_"): value.numpy() for name, value in student.state_dict().items()}
    tensors |= {"low": np.float32(-_CUT), "high": np.float32(_CUT)}
    graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items())
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    return bytes(model.SerializeToString())


def quantised(graph: bytes) -> bytes:
    """An ONNX file with weights of 8 bits, a scale for each column; activations are rounded as they come.

    Weights use 7 of the 8 bits: on a CPU without VNNI sums of two products would overflow (ONNX Runtime's guide to
    quantization, "reduce_range").
    """
    from onnx import load_from_string  # slow to import
    from onnxruntime.quantization import QuantType, quant_pre_process, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        exact, rounded = Path(folder) / "exact.onnx", Path(folder) / "rounded.onnx"
        quant_pre_process(load_from_string(graph), exact, skip_optimization=True, skip_symbolic_shape=True)
        quantize_dynamic(exact, rounded, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
        return rounded.read_bytes()
