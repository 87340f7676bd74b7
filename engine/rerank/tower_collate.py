"""Histories become tensors for the two towers of `engine.rerank.two_towers`.

Shapes: b histories, h tokens, n items, r rows of the table that the batch uses, m modalities.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from encoders.types import Rows
from engine.rerank.table import Table, Tokens, gap_buckets


@dataclass(frozen=True, slots=True)
class Histories:
    """Histories as tensors, padded on the right."""

    vectors: Tensor
    """(r, m, dimension) float32."""
    present: Tensor
    """(r, m) bool."""
    rows: Tensor
    """(b, h) int64, into the r rows."""
    ids: Tensor
    """(b, h) int64, 0 for an item without an id."""
    kinds: Tensor
    """(b, h) int64."""
    waits: Tensor
    """(b, h) int64: buckets of the time from a token until the next, or from the last until the request."""
    values: Tensor
    """(b, h, 2) float32: log(1 + value), and whether there is one."""
    lengths: Tensor
    """(b,) int64: how many tokens there are."""


def histories(users: Sequence[Tokens], table: Table) -> Histories:
    """Pad histories to one length, and gather the rows of the table that they use.

    Args:
        users: at least one; each at most `MAX_TOKENS` tokens.
        table: what their rows are rows of.
    """
    shape = len(users), max(len(one.rows) for one in users)
    rows, ids, kinds, waits = (np.zeros(shape, np.int64) for _ in range(4))
    values = np.zeros((*shape, 2), np.float32)
    lengths = np.array([len(one.rows) for one in users], np.int64)
    for position, (one, length) in enumerate(zip(users, lengths.tolist(), strict=True)):
        rows[position, :length], kinds[position, :length] = one.rows, one.kinds
        ids[position, :length] = table.identity[one.rows]
        waits[position, :length] = gap_buckets(one.gaps - np.append(one.gaps[1:], 0.0))
        there = np.isfinite(one.values)
        values[position, :length, 0] = np.log1p(np.maximum(np.where(there, one.values, 0), 0))
        values[position, :length, 1] = there
    used, positions = np.unique(rows, return_inverse=True)
    vectors, present = gather(table, used)
    return Histories(
        vectors,
        present,
        torch.from_numpy(positions.reshape(shape)),
        *(torch.from_numpy(column) for column in (ids, kinds, waits, values, lengths)),
    )


def gather(table: Table, rows: Rows) -> tuple[Tensor, Tensor]:
    """(n, m, dimension), (n, m): vectors at rows of the table, and whether they are there."""
    vectors = np.stack([matrix[rows] for matrix in table.vectors.values()], 1)
    present = np.stack([mask[rows] for mask in table.present.values()], 1)
    return torch.from_numpy(vectors), torch.from_numpy(present)


def to_device(batch: Histories, device: str) -> Histories:
    """The batch on a device."""
    if device == "cpu":
        return batch
    return Histories(*(getattr(batch, one.name).to(device) for one in fields(batch)))
