"""Training of the learned query vector: every step of every history at once.

A history is cut into windows of `MAX_TOKENS`, each half over the one before, at another place each epoch. After each
token the vector is to find a positive item that follows. The newest step of some people is held out, and the epoch
that ranks it best is kept. AdamW with warm-up and cosine decay; the same seed gives the same weights on the same
machine; after every epoch the state is on disk, so a run that was killed goes on where it was.

What the vector may learn from can be limited (`targets`), so that a model above it can be trained on steps that the
vector has not seen: see `cross_taste`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from encoders.types import Floats
from engine.learn.network.processes import processes
from engine.learn.network.resume import load_state, save_state
from engine.learn.network.taste_losses import LossName, gbce, softmax
from engine.learn.network.taste_steps import (
    Bools,
    Person,
    Step,
    Window,
    examples,
    figures_of_ranks,
    newest_steps,
    people_of,
    ranks_of,
    steps_of,
    windows_of,
)
from engine.learn.network.train import Progress, Report, Stop, Stopped, best_epoch, rising_then_falling
from engine.learn.rows.point_in_time import PointInTimeFeatures
from engine.models.errors import TooLittleDataError
from engine.rerank.statistics import Rows
from engine.rerank.taste import TasteConfig, TasteModel, TwoTowers
from engine.rerank.taste_collate import gather, histories, to_device

MIN_STEPS = 50
_AT_ONCE = 64
"""Steps that are ranked together: all items' scores of each are held."""
_FITTED = 20_000
"""Contents are centred by at most about so many items."""


@dataclass(frozen=True, slots=True)
class TasteSettings:
    """How the vector is trained."""

    loss: LossName = "softmax"
    ahead: int = 1
    """The positive is drawn from so many steps; 1 takes the next."""
    negatives: int = 4096
    """How many are drawn per batch; a catalogue that is no larger is compared whole, but by gBCE."""
    epochs: int = 12
    patience: int = 4
    """Epochs without a better held-out figure before it stops."""
    batch: int = 16
    """Windows."""
    learning_rate: float = 4e-3
    """The highest learning rate."""
    warm_up: float = 0.05
    """The share of the steps in which the rate rises."""
    weight_decay: float = 0.05
    held_out: int = 1000
    """The newest step of at most so many people is not trained on."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TasteTrained:
    """What training gives."""

    model: TasteModel
    """The best of the epochs."""
    history: tuple[dict[str, float], ...]
    """Per epoch the loss and the held-out figures."""


def train_taste(
    point_in_time: PointInTimeFeatures,
    config: TasteConfig,
    settings: TasteSettings,
    *,
    targets: Bools | None = None,
    device: str = "cpu",
    folder: Path | None = None,
    report: Report = lambda _: None,
    stopped: Stopped = lambda: False,
) -> TasteTrained:
    """Train.

    Args:
        point_in_time: the log over the item table.
        config: the towers.
        settings: how.
        targets: (n,) bool, over the log: the positive events that may be learned from; None allows all. What follows
            a person's last allowed event is not read at all; what comes before it is read as history.
        device: "cpu" or "cuda".
        folder: where the state of the run is kept; None keeps nothing.
        report: is told of the progress.
        stopped: says whether to stop.

    Raises:
        TooLittleDataError: if there are fewer than `MIN_STEPS` positive events to learn from.
        Stop: if `stopped` says so.
    """
    allowed = point_in_time.positive if targets is None else point_in_time.positive & targets
    held = newest_steps(point_in_time, allowed, settings.held_out, settings.seed)
    if (many := int(allowed.sum()) - len(held)) < MIN_STEPS:
        raise TooLittleDataError(
            f"there are {many} positive events to learn the taste vector from",
            f"collect at least {MIN_STEPS} beside the held-out",
        )
    check = steps_of(point_in_time, held)
    learned = allowed.copy()
    learned[held] = False
    people = people_of(point_in_time, learned)
    torch.manual_seed(settings.seed)
    network = TwoTowers(config)
    some = np.arange(0, point_in_time.size, max(point_in_time.size // _FITTED, 1))
    for tower in (network.contents, network.item_contents):
        tower.fit(*gather(point_in_time.table, some))
    both = _Both(network).to(device)
    optimizer = torch.optim.AdamW(_groups(both, settings.weight_decay), lr=settings.learning_rate)
    steps = max(len(windows_of(people, np.random.default_rng(settings.seed))) // settings.batch, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, rising_then_falling(steps * settings.epochs, settings.warm_up)
    )
    negatives = _Negatives(point_in_time, learned, settings)

    first, best, history = 0, -1.0, list[dict[str, float]]()
    best_state = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
    state = None if folder is None else load_state(folder, asdict(settings), asdict(config))
    if state is not None:
        first, best, history, best_state = state.epoch, state.best, list(state.history), state.best_weights
        both.load_state_dict(state.weights)
        state.restore(optimizer, schedule)
    for epoch in range(first, settings.epochs):
        if check and history and epoch - best_epoch(history) >= settings.patience:
            break
        torch.manual_seed(settings.seed * 1000 + epoch)
        random = np.random.default_rng((settings.seed, epoch))
        windows = windows_of(people, random)
        order = np.resize(random.permutation(len(windows)), steps * min(settings.batch, len(windows)))
        total = 0.0
        network.train()
        for step, places in enumerate(np.array_split(order, steps)):
            if stopped():
                raise Stop
            batch = [windows[place] for place in places.tolist()]
            loss = _loss(both, point_in_time, people, batch, negatives, settings, random, device)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(both.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
            if step % 20 == 0:
                done = (epoch + step / steps) / settings.epochs
                report(Progress(done, f"epoch {epoch + 1} of {settings.epochs}", {"loss": loss.item()}))
        figures = {"loss": total / steps, **measure_taste(TasteModel(network), point_in_time, check)}
        network.to(device)
        history.append(figures)
        if figures["ndcg_at_10"] > best or not check:
            best = figures["ndcg_at_10"]
            best_state = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        report(Progress((epoch + 1) / settings.epochs, f"epoch {epoch + 1} of {settings.epochs}", figures))
        if folder is not None and processes().first:
            weights, about = both.state_dict(), (asdict(settings), asdict(config))
            save_state(folder, epoch + 1, best, history, weights, best_state, optimizer, schedule, *about)
    network.load_state_dict(best_state)
    return TasteTrained(TasteModel(network), tuple(history))


def measure_taste(model: TasteModel, point_in_time: PointInTimeFeatures, steps: Sequence[Step]) -> dict[str, float]:
    """NDCG@10 and recall@50 and @100 of the items of steps among all items that the person had not acted on."""
    matrix = model.items(point_in_time.table, np.arange(point_in_time.size))  # (m, t)
    people = model.people([one.tokens for one in steps], point_in_time.table)  # (s, t)
    parts = range(0, len(steps), _AT_ONCE)
    ranks = [ranks_of(people[at : at + _AT_ONCE] @ matrix.T, steps[at : at + _AT_ONCE]) for at in parts]
    return figures_of_ranks(np.concatenate([np.zeros(0, np.intp), *ranks]))


class _Both(nn.Module):
    """The towers, and what only their training needs."""

    def __init__(self, network: TwoTowers) -> None:
        super().__init__()
        self.network = network
        # What all logits of gBCE share: dot products of unit vectors cannot say that almost all items are wrong.
        self.offset = nn.Parameter(torch.tensor(-5.0))


class _Negatives:
    """Draws what the positives are compared with, from the items that are a positive somewhere.

    Of the others it is not known whether people would pass them by, or have not met them. As negatives they would
    teach that what is like a new item is never wanted.
    """

    def __init__(self, point_in_time: PointInTimeFeatures, allowed: Bools, settings: TasteSettings) -> None:
        counts = np.bincount(point_in_time.item[allowed], minlength=point_in_time.size)
        self._items = np.flatnonzero(counts)
        self.size = len(self._items)
        self._all = settings.loss == "softmax" and self.size <= settings.negatives
        self._count = min(settings.negatives, self.size)
        even, popular = np.full(self.size, 1 / self.size), counts[self._items] / counts.sum()
        self._q = even if settings.loss == "gbce" else (even + popular) / 2
        self._sums = np.cumsum(self._q)

    def draw(self, random: np.random.Generator) -> tuple[Rows, Floats | None]:
        """(k,) items; and the log of how often each is expected, None where they are all items."""
        if self._all:
            return self._items, None
        places = np.searchsorted(self._sums, random.random(self._count) * self._sums[-1], side="right")
        expected = np.log(self._count * self._q[places]).astype(np.float32)
        return self._items[places], expected


def _groups(both: _Both, weight_decay: float) -> list[dict[str, object]]:
    """Matrices decay; ids, biases and scales do not: an id that is rare would fade."""
    matrices = [p for name, p in both.named_parameters() if p.dim() == 2 and "identity" not in name]
    others = [p for name, p in both.named_parameters() if p.dim() != 2 or "identity" in name]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _loss(
    both: _Both,
    point_in_time: PointInTimeFeatures,
    people: Sequence[Person],
    windows: Sequence[Window],
    negatives: _Negatives,
    settings: TasteSettings,
    random: np.random.Generator,
    device: str,
) -> Tensor:
    """The loss of some windows."""
    network, table = both.network, point_in_time.table
    tokens, which, position, wanted = examples(point_in_time, people, windows, settings.ahead, random)
    drawn, log_expected = negatives.draw(random)
    used, columns = np.unique(np.concatenate([wanted, drawn]), return_inverse=True)
    vectors, present = gather(table, used)
    ids = torch.from_numpy(table.identity[used])
    items = network.items(vectors.to(device), present.to(device), ids.to(device))  # (u, t)
    positions = network.people(to_device(histories(tokens, table), device))  # (b, 1 + h, t)
    taste = positions[torch.from_numpy(which), torch.from_numpy(position)] / network.temperature  # (n, t)
    yes, no = (torch.from_numpy(part).to(device) for part in np.split(columns, [len(wanted)]))
    positive = (taste * F.embedding(yes, items)).sum(1)  # (n,)
    others = taste @ F.embedding(no, items).T  # (n, k)
    hits = yes[:, None] == no[None]  # (n, k)
    if settings.loss == "gbce":
        return gbce(positive + both.offset, others + both.offset, hits, negatives.size)
    expected = None if log_expected is None else torch.from_numpy(log_expected).to(device)
    return softmax(positive, others, hits, expected)
