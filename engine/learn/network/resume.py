"""The state of a training run on disk, replaced whole after every epoch: kill -9 loses at most one epoch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.core.files import sync

_STATE = "state.safetensors"


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run was."""

    epoch: int
    """Epochs that are done."""
    best: float
    history: list[dict[str, float]]
    weights: dict[str, Tensor]
    best_weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    """`<parameter>.<part>` of AdamW's state."""
    steps: int

    def restore(self, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LambdaLR) -> None:
        """Put the optimizer and its schedule where they were."""
        whole = optimizer.state_dict()
        whole["state"] = {}
        for name, value in self.optimizer.items():
            parameter, part = name.split(".")
            whole["state"].setdefault(int(parameter), {})[part] = value
        optimizer.load_state_dict(whole)
        rates = [rate(self.steps) for rate in schedule.lr_lambdas]
        schedule.last_epoch = self.steps
        for group, base, rate in zip(optimizer.param_groups, schedule.base_lrs, rates, strict=True):
            group["lr"] = base * rate


def save_state(
    folder: Path,
    epoch: int,
    best: float,
    history: list[dict[str, float]],
    weights: Mapping[str, Tensor],
    best_weights: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    settings: dict[str, Any],
    config: dict[str, Any],
) -> None:
    """Write the state, and put it in place of the last one at once."""
    tensors = {f"weights/{name}": value.detach().cpu().contiguous() for name, value in weights.items()}
    tensors |= {f"best/{name}": value.detach().cpu().contiguous() for name, value in best_weights.items()}
    for parameter, parts in optimizer.state_dict()["state"].items():
        for part, value in parts.items():
            tensors[f"optimizer/{parameter}.{part}"] = torch.as_tensor(value).detach().cpu().contiguous()
    about = {
        "epoch": epoch,
        "best": best,
        "history": history,
        "steps": schedule.last_epoch,
        "settings": settings,
        "config": config,
    }
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{_STATE}.part"
    save_file({name: value.clone() for name, value in tensors.items()}, part, {"about": json.dumps(about)})
    sync(part)
    part.replace(folder / _STATE)


def newest_history(runs: Path) -> tuple[list[dict[str, float]], float]:
    """Per epoch the figures of the run that wrote its state last, and when it did, seconds since 1970.

    Args:
        runs: the folder of the folders of runs.

    Returns:
        No epochs and 0 where there is no run.
    """
    states = [(path.stat().st_mtime, path) for path in runs.glob(f"*/{_STATE}")]
    if not states:
        return [], 0.0
    written, path = max(states)
    with safe_open(path, "np") as file:
        return json.loads(file.metadata()["about"])["history"], written


def load_state(folder: Path, settings: dict[str, Any], config: dict[str, Any]) -> RunState | None:
    """The state of a run with the same settings and network; None if there is none."""
    path = folder / _STATE
    if not path.is_file():
        return None
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["about"])
    if [about["settings"], about["config"]] != json.loads(json.dumps([settings, config])):
        return None
    tensors = load_file(path)

    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    return RunState(
        about["epoch"],
        about["best"],
        about["history"],
        under("weights/"),
        under("best/"),
        under("optimizer/"),
        about["steps"],
    )
