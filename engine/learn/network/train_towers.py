"""Training of the learned query vector: every step of every history at once.

A history is cut into windows of `MAX_TOKENS`, each half over the one before, at another place each epoch. After each
token the vector is to find a positive item that follows. The newest step of some people is held out, and the epoch
that ranks it best is kept. How it is run is in `trainer`, beside this.

What the vector may learn from can be limited (`targets`), so that a model above it can be trained on steps that the
vector has not seen: see `cross_fitted_towers`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from encoders.types import Bools, Floats, Rows
from engine.learn.network.tower_losses import softmax
from engine.learn.network.trainer import HERE, LoopSettings, Run, Task, run_epochs
from engine.learn.network.user_sequences import (
    Step,
    UserSequence,
    Window,
    examples,
    figures_of_ranks,
    newest_steps,
    ranks_of,
    sequences_of,
    steps_of,
    windows_of,
)
from engine.learn.rows.point_in_time import PointInTimeFeatures
from engine.models.errors import TooLittleDataError
from engine.rerank.tower_collate import gather, histories, to_device
from engine.rerank.two_towers import TwoTowerConfig, TwoTowerModel, TwoTowers

MIN_STEPS = 50
_AT_ONCE = 64
"""Steps that are ranked together: all items' scores of each are held."""
_FITTED = 20_000
"""Contents are centred by at most about so many items."""


@dataclass(frozen=True, slots=True)
class TwoTowerSettings(LoopSettings):
    """How the vector is trained; a step sees `batch` windows."""

    epochs: int = 12
    patience: int = 4
    batch: int = 16
    learning_rate: float = 4e-3
    warm_up: float = 0.05
    weight_decay: float = 0.05
    negatives: int = 4096
    """How many are drawn per batch; a catalogue that is no larger is compared whole."""
    held_out: int = 1000
    """The newest step of at most so many people is not trained on."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TrainedTowers:
    """What training gives."""

    model: TwoTowerModel
    """The best of the epochs."""
    history: tuple[dict[str, float], ...]
    """Per epoch the loss and the held-out figures."""


def train_towers(
    point_in_time: PointInTimeFeatures,
    config: TwoTowerConfig,
    settings: TwoTowerSettings,
    run: Run = HERE,
    *,
    targets: Bools | None = None,
) -> TrainedTowers:
    """Train the towers of user and item embeddings on histories.

    Args:
        point_in_time: the log over the item table.
        config: the towers.
        settings: how.
        run: where, who hears of it and who may stop it.
        targets: (n,) bool, over the log: the positive events that may be learned from; None allows all. What follows
            a person's last allowed event is not read at all; what comes before it is read as history.

    Raises:
        TooLittleDataError: if there are fewer than `MIN_STEPS` positive events to learn from.
        Stop: if the run is stopped.
    """
    learned, check = _parted(point_in_time, settings, targets)
    users = sequences_of(point_in_time, learned)
    network = _untrained(point_in_time, config, settings.seed).to(run.device)
    steps = max(len(windows_of(users, np.random.default_rng(settings.seed))) // settings.batch, 1)
    negatives = _Negatives(point_in_time, learned, settings.negatives)

    def batches(random: np.random.Generator) -> list[list[Window]]:
        windows = windows_of(users, random)
        order = np.resize(random.permutation(len(windows)), steps * min(settings.batch, len(windows)))
        return [[windows[position] for position in positions.tolist()] for positions in np.array_split(order, steps)]

    def figures(loss: float) -> dict[str, float]:
        found = {"loss": loss, **measure_towers(TwoTowerModel(network), point_in_time, check)}
        network.to(run.device)
        return found

    history = run_epochs(
        Task(
            network,
            network,
            _groups(network, settings.weight_decay),
            steps,
            batches,
            lambda windows, random: _loss(network, point_in_time, users, windows, negatives, random, run.device),
            figures,
            held_out=bool(check),
            seed=settings.seed,
            settings=asdict(settings),
            config=asdict(config),
        ),
        settings,
        run,
    )
    return TrainedTowers(TwoTowerModel(network), history)


def _parted(
    point_in_time: PointInTimeFeatures, settings: TwoTowerSettings, targets: Bools | None
) -> tuple[Bools, list[Step]]:
    """The positive events that are learned from, (n,), and the steps that are held out."""
    allowed = point_in_time.positive if targets is None else point_in_time.positive & targets
    held = newest_steps(point_in_time, allowed, settings.held_out, settings.seed)
    if (many := int(allowed.sum()) - len(held)) < MIN_STEPS:
        raise TooLittleDataError(
            f"there are {many} positive events to learn the user embedding from",
            f"collect at least {MIN_STEPS} beside the held-out",
        )
    learned = allowed.copy()
    learned[held] = False
    return learned, steps_of(point_in_time, held)


def _untrained(point_in_time: PointInTimeFeatures, config: TwoTowerConfig, seed: int) -> TwoTowers:
    """Towers at the start, centred by the catalogue's contents."""
    torch.manual_seed(seed)
    network = TwoTowers(config)
    some = np.arange(0, point_in_time.size, max(point_in_time.size // _FITTED, 1))
    for tower in (network.contents, network.item_contents):
        tower.fit(*gather(point_in_time.table, some))
    return network


def measure_towers(
    model: TwoTowerModel, point_in_time: PointInTimeFeatures, steps: Sequence[Step]
) -> dict[str, float]:
    """NDCG@10 and recall@50 and @100 of the items of steps among all items that the person had not acted on."""
    matrix = model.item_embeddings(point_in_time.table, np.arange(point_in_time.size))  # (m, t)
    users = model.user_embeddings([one.tokens for one in steps], point_in_time.table)  # (s, t)
    parts = range(0, len(steps), _AT_ONCE)
    ranks = [ranks_of(users[at : at + _AT_ONCE] @ matrix.T, steps[at : at + _AT_ONCE]) for at in parts]
    return figures_of_ranks(np.concatenate([np.zeros(0, np.intp), *ranks]))


class _Negatives:
    """Draws what the positives are compared with, from the items that are a positive somewhere.

    Of the others it is not known whether people would pass them by, or have not met them. As negatives they would
    teach that what is like a new item is never wanted.
    """

    def __init__(self, point_in_time: PointInTimeFeatures, allowed: Bools, most: int) -> None:
        counts = np.bincount(point_in_time.item[allowed], minlength=point_in_time.size)
        self._items = np.flatnonzero(counts)
        size = len(self._items)
        self._all, self._count = size <= most, most
        self._q = (np.full(size, 1 / size) + counts[self._items] / counts.sum()) / 2
        self._sums = np.cumsum(self._q)

    def draw(self, random: np.random.Generator) -> tuple[Rows, Floats | None]:
        """(k,) items; and the log of how often each is expected, None where they are all items."""
        if self._all:
            return self._items, None
        positions = np.searchsorted(self._sums, random.random(self._count) * self._sums[-1], side="right")
        expected = np.log(self._count * self._q[positions]).astype(np.float32)
        return self._items[positions], expected


def _groups(network: TwoTowers, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; ids, biases and scales do not: an id that is rare would fade."""
    matrices = [p for name, p in network.named_parameters() if p.dim() == 2 and "identity" not in name]
    others = [p for name, p in network.named_parameters() if p.dim() != 2 or "identity" in name]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _loss(
    network: TwoTowers,
    point_in_time: PointInTimeFeatures,
    users: Sequence[UserSequence],
    windows: Sequence[Window],
    negatives: _Negatives,
    random: np.random.Generator,
    device: str,
) -> Tensor:
    """The loss of some windows."""
    table = point_in_time.table
    tokens, which, position, wanted = examples(point_in_time, users, windows)
    drawn, log_expected = negatives.draw(random)
    used, columns = np.unique(np.concatenate([wanted, drawn]), return_inverse=True)
    vectors, present = gather(table, used)
    ids = torch.from_numpy(table.identity[used])
    items = network.item_embeddings(vectors.to(device), present.to(device), ids.to(device))  # (u, t)
    positions = network.user_embeddings(to_device(histories(tokens, table), device))  # (b, 1 + h, t)
    user = positions[torch.from_numpy(which), torch.from_numpy(position)] / network.temperature  # (n, t)
    yes, no = (torch.from_numpy(part).to(device) for part in np.split(columns, [len(wanted)]))
    positive = (user * F.embedding(yes, items)).sum(1)  # (n,)
    others = user @ F.embedding(no, items).T  # (n, k)
    hits = yes[:, None] == no[None]  # (n, k)
    expected = None if log_expected is None else torch.from_numpy(log_expected).to(device)
    return softmax(positive, others, hits, expected)
