"""Differentially private training of the reranker: DP-SGD, in which a person is the unit.

Each step takes each person with the same probability (Poisson sampling), cuts the gradient of all their rows together
to a norm, adds Gaussian noise to the sum, and steps (Abadi et al., Deep Learning with Differential Privacy, CCS 2016;
by persons as in McMahan et al., ICLR 2018). Opacus cuts, adds the noise and accounts for it (Rényi, Mironov 2017).
What comes out would be about as probable if any one person had never been there: that is (ε, δ).

So that nothing else of the people is in it: no rows are held out, for where they are cut depends on everybody; the
last step's weights are kept, not the best; nothing is calibrated; means and deviations of features come from made-up
people; the noise is not of the training's seed, which the card tells. So it cannot be repeated exactly.
"""

from __future__ import annotations

import math
import secrets
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from encoders.types import Rows
from engine.learn.network.processes import processes
from engine.learn.network.train import (
    Trained,
    TrainSettings,
    check_enough,
    loss_of,
    network_for,
    thinned,
)
from engine.learn.network.trainer import HERE, Progress, Run
from engine.learn.rows.dataset import Example
from engine.models.card import Privacy
from engine.models.errors import TrainingError
from engine.rerank.model import ModelConfig
from engine.rerank.table import Table

if TYPE_CHECKING:
    from opacus.optimizers import DPOptimizer

_TOLD_EVERY = 10
_ACCOUNTANT = "rdp"
_ORDERS = [*range(2, 65), 80, 96, 128, 192, 256]
"""Of the Rényi divergence: each gives a bound, and the lowest counts. Whole ones take a fraction of the time."""


@dataclass(frozen=True, slots=True)
class PrivateSettings:
    """How private, and what that is bought with."""

    epsilon: float = 8.0
    """The most that the training may spend."""
    delta: float = 1e-5
    """How probably it may tell more; below one in the number of people."""
    max_grad_norm: float = 1.0
    """To which a person's gradient is cut."""
    people: int = 128
    """People of a step, on average."""
    epochs: int = 30
    """How often a training sees each person, on average."""
    rows: int = 8
    """Of a person, which a step sees, drawn anew."""


def train_privately(
    examples: Sequence[Example],
    made_up: Sequence[Example],
    table: Table,
    config: ModelConfig,
    settings: TrainSettings,
    private: PrivateSettings,
    run: Run = HERE,
) -> tuple[Trained, Privacy]:
    """Train the reranker's network on rows of people, none of whom it tells of much.

    Args:
        examples: the rows.
        made_up: rows of nobody, for means and deviations of features.
        table: what they are rows of.
        config: the network.
        settings: how; its epochs, batch, patience and held-out share do not count.
        private: how private.
        run: where, who hears of it and who may stop it. Its folder is not used: it does not go on after a kill.

    Returns:
        The network after the last epoch, and what was spent.

    Raises:
        TrainingError: if nothing that is private can be learned from so few people, or several processes train.
        TooLittleDataError: if there are too few rows.
        Stop: if the run is stopped.
    """
    if processes().count > 1:
        raise TrainingError("private training runs in one process", "start it without torchrun")
    from opacus.accountants import RDPAccountant

    check_enough(examples)
    of_people = _by_people(examples)
    rate = min(private.people / len(of_people), 1.0)
    steps = max(math.ceil(private.epochs / rate), 1)
    noise = _noise_multiplier(private, len(of_people), rate, steps)
    torch.manual_seed(settings.seed)
    model, both = network_for(config, made_up, run.device)
    optimizer = _optimizer(both, settings, private, noise, max(round(rate * len(of_people)), 1), run.device)
    accountant, random = RDPAccountant(), np.random.default_rng(secrets.randbits(128))
    gradient = partial(_gradient, both, table, settings, private, run.device, random)
    both.train()
    with _one_thread():
        for step in range(steps):
            run.go_on()
            chosen = np.flatnonzero(random.random(len(of_people)) < rate)
            _step(both, optimizer, [gradient(examples, of_people[one]) for one in chosen.tolist()])
            accountant.step(noise_multiplier=noise, sample_rate=rate)
            if step % _TOLD_EVERY == 0:
                run.report(Progress(step / steps, f"private step {step + 1} of {steps}", {}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spent = float(accountant.get_epsilon(private.delta, alphas=_ORDERS))
    run.report(Progress(1.0, f"private step {steps} of {steps}", {}))
    privacy = Privacy(
        unit="person",
        epsilon=spent,
        delta=private.delta,
        accountant=_ACCOUNTANT,
        noise_multiplier=noise,
        max_grad_norm=private.max_grad_norm,
        sample_rate=rate,
        steps=steps,
        people=len(of_people),
    )
    return Trained(model.to("cpu").eval(), ()), privacy


def _optimizer(
    both: torch.nn.ModuleDict,
    settings: TrainSettings,
    private: PrivateSettings,
    noise: float,
    people: int,
    device: str,
) -> DPOptimizer:
    """Cuts gradients, and adds noise that is not of the training's seed; `people` are those of a step, on average."""
    from opacus.optimizers import DPOptimizer

    return DPOptimizer(
        torch.optim.AdamW(both.parameters(), settings.learning_rate, weight_decay=settings.weight_decay),
        noise_multiplier=noise,
        max_grad_norm=private.max_grad_norm,
        expected_batch_size=people,
        loss_reduction="mean",
        generator=torch.Generator(device).manual_seed(secrets.randbits(63)),
    )


def _step(both: torch.nn.ModuleDict, optimizer: DPOptimizer, gradients: Sequence[Sequence[Tensor]]) -> None:
    """One step, by the gradient of each person who was chosen; without any there is only noise."""
    for number, weights in enumerate(both.parameters()):
        mine = [each[number] for each in gradients]
        weights.grad_sample = torch.stack(mine) if mine else weights.new_zeros(0, *weights.shape)  # type: ignore[attr-defined]
    optimizer.step()
    optimizer.zero_grad()


@contextmanager
def _one_thread() -> Iterator[None]:
    """The rows of one person are too few to be shared by threads, which then wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _by_people(rows: Sequence[Example]) -> list[Rows]:
    """Of each person who has any, the rows."""
    users = np.array([one.user for one in rows], np.intp)
    order = np.argsort(users, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(users[order])) + 1)


def _noise_multiplier(private: PrivateSettings, people: int, rate: float, steps: int) -> float:
    """The noise, in units of the norm to which gradients are cut, with which the training spends `epsilon`."""
    from opacus.accountants.utils import get_noise_multiplier

    if private.delta >= 1 / people:
        raise TrainingError(
            f"learn.private_delta is {private.delta:g}, there are {people} people: it protects nobody",
            f"lower it below {1 / people:.1e}",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return float(
                get_noise_multiplier(
                    target_epsilon=private.epsilon,
                    target_delta=private.delta,
                    sample_rate=rate,
                    steps=steps,
                    accountant=_ACCOUNTANT,
                    alphas=_ORDERS,
                )
            )
        except ValueError:
            raise TrainingError(
                f"no noise keeps {people} people to an epsilon of {private.epsilon:g} for {steps} steps",
                "raise learn.private_epsilon, or lower learn.private_epochs",
            ) from None


def _gradient(
    both: torch.nn.ModuleDict,
    table: Table,
    settings: TrainSettings,
    private: PrivateSettings,
    device: str,
    random: np.random.Generator,
    examples: Sequence[Example],
    own: Rows,
) -> list[Tensor]:
    """The gradient of the mean loss of a person's rows."""
    rows = random.choice(own, private.rows, replace=False) if len(own) > private.rows else own
    chosen = [thinned(examples[row], settings.candidates, random) for row in rows.tolist()]
    loss = loss_of(both, chosen, table, device, settings.calibration)
    found = torch.autograd.grad(loss, list(both.parameters()), allow_unused=True, materialize_grads=True)
    return [one.detach() for one in found]
