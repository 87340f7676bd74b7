"""Training of the reranker, on rows of which the youngest are held out; bfloat16 on a GPU.

How it is run is in `trainer`, beside this. Under torchrun the rows are spread over the processes.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from engine.learn.dcg import discounts
from engine.learn.network.losses import PositionBias, listwise, outcomes
from engine.learn.network.processes import processes
from engine.learn.network.trainer import HERE, LoopSettings, Run, Task, run_epochs
from engine.learn.rows.dataset import Example
from engine.learn.settings import LearnSettings
from engine.models.errors import TooLittleDataError
from engine.rerank.collate import collate, to_device
from engine.rerank.model import CrossAttentionReranker, ModelConfig
from engine.rerank.table import Table

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_DEFAULT = LearnSettings()
MIN_ROWS = 50
UNKNOWN = 1e9
"""The deviation of a feature that training never saw change."""


@dataclass(frozen=True, slots=True)
class TrainSettings(LoopSettings):
    """How the network is trained; a step sees `batch` rows."""

    epochs: int = _DEFAULT.epochs
    patience: int = 2
    batch: int = _DEFAULT.batch
    learning_rate: float = _DEFAULT.learning_rate
    warm_up: float = 0.1
    weight_decay: float = 0.05
    candidates: int = 96
    """Candidates of a row that a step sees, drawn anew in every epoch; the positive ones are always among them."""
    calibration: float = 0.1
    """The weight of the outcomes' cross-entropy beside the listwise loss."""
    held_out: float = 0.1
    """The share of rows, the youngest, that training does not see."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives."""

    model: CrossAttentionReranker
    """The best of the epochs, on the CPU."""
    history: tuple[dict[str, float], ...]
    """Per epoch the losses and the held-out figures."""


def train(
    examples: Sequence[Example],
    table: Table,
    config: ModelConfig,
    settings: TrainSettings,
    run: Run = HERE,
) -> Trained:
    """Train the reranker's network on rows.

    Args:
        examples: the rows, of which the youngest are held out.
        table: what they are rows of.
        config: the network.
        settings: how.
        run: where, who hears of it and who may stop it; its folder has logs for TensorBoard too.

    Raises:
        TooLittleDataError: if there are fewer than `MIN_ROWS` rows to learn from.
        Stop: if the run is stopped.
    """
    learn, check = held_out(examples, settings.held_out)
    check_enough(learn)
    torch.manual_seed(settings.seed)
    mine = processes()
    model, both = network_for(config, learn, run.device)
    loss = DistributedDataParallel(_Loss(both, settings)) if mine.count > 1 else _Loss(both, settings)
    at_once = settings.batch * mine.count

    def step_loss(rows: np.ndarray, random: np.random.Generator) -> Tensor:
        chosen = [thinned(learn[row], settings.candidates, random) for row in rows.tolist()]
        found: Tensor = loss(chosen[mine.rank :: mine.count], table, run.device)
        return found

    history = run_epochs(
        Task(
            model,
            both,
            [{"params": list(both.parameters()), "weight_decay": settings.weight_decay}],
            max(math.ceil(len(learn) / at_once), 1),
            lambda random: _batches(len(learn), at_once, random),
            step_loss,
            lambda loss: mine.agreed({"loss": loss, **measure(model, check, table, run.device)}),
            held_out=True,
            seed=settings.seed,
            settings={**asdict(settings), "processes": mine.count},
            config=asdict(config),
        ),
        settings,
        run,
        logs=_writer(run.folder) if mine.first else None,
    )
    return Trained(model.to("cpu").eval(), history)


def network_for(
    config: ModelConfig, rows: Sequence[Example], device: str
) -> tuple[CrossAttentionReranker, nn.ModuleDict]:
    """The network; and with it, as `model`, what only its training needs.

    Args:
        config: the network.
        rows: of which the dense features get their means and deviations.
        device: where to.
    """
    model = CrossAttentionReranker(config)
    _standardise(model, rows)
    return model, nn.ModuleDict({"model": model, "position": PositionBias()}).to(device)


def _batches(count: int, size: int, random: np.random.Generator) -> list[np.ndarray]:
    """Rows in batches, in a random order; the last is filled up from the beginning: every process needs rows."""
    number = max(math.ceil(count / size), 1)
    return np.split(np.resize(random.permutation(count), number * size), number)


def thinned(example: Example, most: int, random: np.random.Generator) -> Example:
    """A row with at most so many candidates: its positives, what was shown, and others drawn at random."""
    if len(example.positive) <= most:
        return example
    must = example.positive | (example.positions > 0)
    kept, others = np.flatnonzero(must), np.flatnonzero(~must)
    rows = np.concatenate([kept, random.choice(others, min(max(most - len(kept), 0), len(others)), replace=False)])
    request = example.request
    return replace(
        example,
        request=replace(
            request, candidates=request.candidates[rows], ids=request.ids[rows], dense=request.dense[rows]
        ),
        positive=example.positive[rows],
        negative=example.negative[rows],
        positions=example.positions[rows],
    )


class _Loss(nn.Module):
    """The forward pass and its loss in one module, which is what several processes need."""

    def __init__(self, both: nn.ModuleDict, settings: TrainSettings) -> None:
        super().__init__()
        self.both, self.calibration = both, settings.calibration

    def forward(self, rows: Sequence[Example], table: Table, device: str) -> Tensor:
        """The loss of some rows."""
        return loss_of(self.both, rows, table, device, self.calibration)


def loss_of(both: nn.ModuleDict, rows: Sequence[Example], table: Table, device: str, calibration: float) -> Tensor:
    """The loss of some rows.

    Args:
        both: as `network_for` makes it.
        rows: at least one.
        table: what they are rows of.
        device: where to.
        calibration: the weight of the outcomes' cross-entropy beside the listwise loss.
    """
    batch = to_device(collate([one.request for one in rows], table), device)
    positive, negative, judged, positions = (
        torch.from_numpy(column).to(device) for column in _labels(rows, batch.candidates.shape[1])
    )
    with torch.autocast(device, torch.bfloat16, enabled=device != "cpu"):
        logits = both["model"](batch)
    logits = logits.float()
    seen = logits[..., 0] + both["position"](positions)  # (b, c)
    with_bias = torch.stack([seen, logits[..., 1]], -1)
    ranking = listwise(seen, positive, judged)
    certain = outcomes(with_bias, positive, negative, judged, positions > 0)
    return ranking + calibration * certain


def _labels(rows: Sequence[Example], wide: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(b, c) each: positive, negative, judged, positions."""
    positive, negative, judged = (np.zeros((len(rows), wide), np.bool_) for _ in range(3))
    positions = np.zeros((len(rows), wide), np.int64)
    for position, one in enumerate(rows):
        shown = len(one.positive)
        positive[position, :shown], negative[position, :shown] = one.positive, one.negative
        judged[position, :shown] = one.judged
        positions[position, :shown] = one.positions
    return positive, negative, judged, positions


def check_enough(learn: Sequence[Example]) -> None:
    """Refuse too few rows to learn from.

    Raises:
        TooLittleDataError: if there are fewer than `MIN_ROWS`.
    """
    if len(learn) < MIN_ROWS:
        raise TooLittleDataError(
            f"{len(learn)} training rows are too few, {MIN_ROWS} are needed", "wait for more events"
        )


def held_out(examples: Sequence[Example], share: float) -> tuple[list[Example], list[Example]]:
    """The older rows, and the youngest."""
    order = sorted(examples, key=lambda one: one.label_time)
    cut = len(order) - max(int(len(order) * share), 1)
    return order[:cut], order[cut:]


@torch.no_grad()
def logits_of(
    model: CrossAttentionReranker, examples: Sequence[Example], table: Table, device: str = "cpu", batch: int = 128
) -> list[np.ndarray]:
    """Per row (c, outcomes): the logits."""
    model.eval()
    found: list[np.ndarray] = []
    for start in range(0, len(examples), batch):
        rows = examples[start : start + batch]
        logits = model(to_device(collate([one.request for one in rows], table), device)).float().cpu().numpy()
        found += [logits[position, : len(one.positive)] for position, one in enumerate(rows)]
    return found


def measure(
    model: CrossAttentionReranker, examples: Sequence[Example], table: Table, device: str = "cpu"
) -> dict[str, float]:
    """The held-out figures of a network."""
    return {"ndcg_at_10": ndcg(examples, logits_of(model, examples, table, device))}


def ndcg(examples: Sequence[Example], logits: Sequence[np.ndarray]) -> float:
    """The mean of `row_ndcg`; 0 where no row has a positive."""
    gains = row_ndcg(examples, logits)
    return float(np.nanmean(gains)) if np.isfinite(gains).any() else 0.0


def row_ndcg(examples: Sequence[Example], logits: Sequence[np.ndarray]) -> np.ndarray:
    """(r,): NDCG@10 of a row's positives among its candidates that are judged; NaN for a row without one.

    Args:
        examples: r rows.
        logits: of each row (c, outcomes).
    """
    gains, discount = np.full(len(examples), np.nan), discounts(10)
    for row, (one, found) in enumerate(zip(examples, logits, strict=True)):
        if one.positive.any():
            order = np.argsort(-np.where(one.judged, found[:, 0], -np.inf), kind="stable")
            ranks = np.flatnonzero(one.positive[order][:10])
            gains[row] = discount[ranks].sum() / discount[: int(one.positive.sum())].sum()
    return gains


def _standardise(model: CrossAttentionReranker, examples: Sequence[Example]) -> None:
    """Set the mean and deviation of the dense features. One that is the same in all rows is to say nothing later."""
    some = examples[:: max(len(examples) // 2000, 1)]
    dense = np.concatenate([one.request.dense for one in some]).astype(np.float64)
    model.dense_mean.copy_(torch.from_numpy(dense.mean(axis=0)))
    deviation = dense.std(axis=0)
    model.dense_scale.copy_(torch.from_numpy(np.where(deviation > 1e-6, np.maximum(deviation, 1e-3), UNKNOWN)))


def _writer(folder: Path | None) -> "SummaryWriter | None":
    """Logs for TensorBoard; it is imported only where they are kept, for it takes a second to load."""
    if folder is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / "logs"))
