"""The loop that trains a network.

AdamW with warm-up and cosine decay, gradients cut at norm 1, early stopping on held-out figures. The same seed gives
the same weights on the same machine. After every epoch the state is on disk, so a run that was killed goes on where
it was.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from engine.learn.network.processes import processes
from engine.learn.network.resume import load_state, save_state
from engine.learn.pace import Tell

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

METRIC = "ndcg_at_10"
"""The held-out figure by which the best epoch is chosen."""
_TOLD_EVERY = 20
"""Steps between two reports within an epoch."""

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is."""

    share: float
    """0 to 1."""
    stage: str
    figures: dict[str, float]


Report = Callable[[Progress], None]
Stopped = Callable[[], bool]


def heard_by(tell: Tell) -> Report:
    """Reports without their figures."""
    return lambda one: tell(one.share, one.stage)


class Stop(Exception):  # noqa: N818
    """The training was cancelled."""


@dataclass(frozen=True, slots=True)
class Run:
    """Where a training, or a part of one, runs, who hears of it and who may stop it."""

    device: str = "cpu"
    """"cpu" or "cuda"."""
    folder: Path | None = None
    """Where its state is kept, from which an interrupted one goes on; None keeps nothing."""
    report: Report = lambda _: None
    """Is told of the progress."""
    stopped: Stopped = lambda: False
    """Says whether to stop."""

    def part(self, first: float, last: float) -> "Run":
        """The run of a part between two shares of the whole."""
        return replace(
            self,
            report=lambda one: self.report(Progress(first + (last - first) * one.share, one.stage, one.figures)),
        )

    def stage(self, name: str) -> Callable[[float], None]:
        """Report that a stage begins; takes the share of it that is done."""
        self.report(Progress(0.0, name, {}))
        return lambda share: self.report(Progress(share, name, {}))

    def go_on(self) -> None:
        """Nothing, unless it is to stop.

        Raises:
            Stop: then.
        """
        if self.stopped():
            raise Stop


HERE = Run()
"""On the CPU, unheard, to its end."""


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How long and how fast a network is trained."""

    epochs: int
    """The most passes over the data."""
    patience: int
    """Epochs without a better held-out figure before it stops."""
    batch: int
    """Of a step; of each process, where there are several."""
    learning_rate: float
    """The highest learning rate."""
    warm_up: float
    """The share of the steps in which the rate rises."""
    weight_decay: float


@dataclass(frozen=True, slots=True)
class Task(Generic[Batch]):
    """What is trained, on what, and how it is measured."""

    network: nn.Module
    """Its weights at the best epoch are kept."""
    trained: nn.Module
    """The network, with what only its training needs."""
    groups: list[dict[str, Any]]
    """The parameters, as AdamW takes them."""
    steps: int
    """Of an epoch."""
    batches: Callable[[np.random.Generator], Sequence[Batch]]
    """The batches of an epoch, one per step."""
    loss: Callable[[Batch, np.random.Generator], Tensor]
    figures: Callable[[float], dict[str, float]]
    """The figures of an epoch, from its mean loss; `METRIC` is of held-out data."""
    held_out: bool
    """Whether there is held-out data; without, all epochs are trained and the last is kept."""
    seed: int
    settings: dict[str, Any]
    config: dict[str, Any]
    """A run goes on only where both are as they were."""


def run_epochs(
    task: Task[Batch],
    settings: LoopSettings,
    run: Run,
    logs: "SummaryWriter | None" = None,
) -> tuple[dict[str, float], ...]:
    """Train the network of a task in place; it ends with the weights of its best epoch.

    Args:
        task: what is trained.
        settings: how long and how fast.
        run: where, who hears of it and who may stop it.
        logs: take the figures of every epoch; None keeps none.

    Returns:
        Per epoch its figures.

    Raises:
        Stop: if the run is stopped.
    """
    optimizer = torch.optim.AdamW(task.groups, settings.learning_rate)
    factor = rising_then_falling(task.steps * settings.epochs, settings.warm_up)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    first, best, history, best_weights = 0, -1.0, list[dict[str, float]](), _copied(task.network)
    if run.folder is not None and (state := load_state(run.folder, task.settings, task.config)) is not None:
        first, best, history, best_weights = state.epoch, state.best, state.history, state.best_weights
        task.trained.load_state_dict(state.weights)
        state.restore(optimizer, schedule)
    for epoch in range(first, settings.epochs):
        if task.held_out and history and epoch - best_epoch(history) >= settings.patience:
            break
        stage = f"epoch {epoch + 1} of {settings.epochs}"
        torch.manual_seed(task.seed * 1000 + epoch)
        random = np.random.default_rng((task.seed, epoch))
        total = 0.0
        task.trained.train()
        for step, batch in enumerate(task.batches(random)):
            run.go_on()
            loss = _step(task, batch, random, optimizer)
            schedule.step()
            total += loss
            if step % _TOLD_EVERY == 0:
                run.report(Progress((epoch + step / task.steps) / settings.epochs, stage, {"loss": loss}))
        figures = task.figures(total / task.steps)
        history.append(figures)
        if figures[METRIC] > best or not task.held_out:
            best, best_weights = figures[METRIC], _copied(task.network)
        run.report(Progress((epoch + 1) / settings.epochs, stage, figures))
        if logs is not None:
            for name, value in figures.items():
                logs.add_scalar(name, value, epoch)
        if run.folder is not None and processes().first:
            weights, about = task.trained.state_dict(), (task.settings, task.config)
            save_state(run.folder, epoch + 1, best, history, weights, best_weights, optimizer, schedule, *about)
    task.network.load_state_dict(best_weights)
    return tuple(history)


def _step(task: Task[Batch], batch: Batch, random: np.random.Generator, optimizer: torch.optim.Optimizer) -> float:
    loss = task.loss(batch, random)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(task.trained.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def _copied(network: nn.Module) -> dict[str, Tensor]:
    """The weights as they are now, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def rising_then_falling(steps: int, warm_up: float) -> Callable[[int], float]:
    """The learning rate's factor by step: a linear warm-up over a share of the steps, then half a cosine to 0."""
    rising = max(int(steps * warm_up), 1)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * min((step - rising) / max(steps - rising, 1), 1.0)))

    return factor


def best_epoch(history: Sequence[dict[str, float]]) -> int:
    """From 1; 0 before the first."""
    figures = [one[METRIC] for one in history]
    return figures.index(max(figures)) + 1 if figures else 0
