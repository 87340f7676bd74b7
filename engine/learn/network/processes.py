"""The processes that torchrun starts: each takes its part of every step's rows. Without torchrun there is one."""

import os
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among its kind."""

    rank: int
    count: int

    @property
    def first(self) -> bool:
        """Whether it is the one that reads the store, judges and writes."""
        return self.rank == 0

    def agreed(self, value: Value) -> Value:
        """What the first process calls it with; the others wait for that."""
        said = [value]
        if self.count > 1:
            distributed.broadcast_object_list(said, src=0)
        return said[0]


def processes() -> Processes:
    """Join the processes that torchrun started, if it did."""
    if not distributed.is_torchelastic_launched():
        return Processes(0, 1)
    if not distributed.is_initialized():
        if torch.cuda.is_available():  # from here on, "cuda" is the GPU of this process
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    return Processes(distributed.get_rank(), distributed.get_world_size())


def part() -> None:
    """Leave the others; nothing is waited for."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
