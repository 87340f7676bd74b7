"""Requests become a batch of tensors. Tokens are padded on the left, candidates on the right."""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import torch

from encoders.types import Floats, Rows
from engine.rerank.model import Batch
from engine.rerank.table import RankingInput, Table, gap_buckets


def collate(requests: Sequence[RankingInput], table: Table) -> Batch:
    """Pad requests to one length, and gather the rows of the table that they use.

    Args:
        requests: at least one.
        table: what their rows are rows of.
    """
    size = len(requests)
    most = max(max(len(one.tokens.rows) for one in requests), 1)
    wide = max(max(len(one.candidates) for one in requests), 1)
    token_rows, token_ids = np.zeros((size, most), np.int64), np.zeros((size, most), np.int64)
    kinds, gaps = np.zeros((size, most), np.int64), np.zeros((size, most), np.int64)
    values, tokens = np.zeros((size, most), np.float32), np.zeros((size, most), np.bool_)
    candidate_rows, candidate_ids = np.zeros((size, wide), np.int64), np.zeros((size, wide), np.int64)
    dense = np.zeros((size, wide, requests[0].dense.shape[1]), np.float32)
    candidates = np.zeros((size, wide), np.bool_)
    for row, one in enumerate(requests):
        done = len(one.tokens.rows)
        if done:
            token_rows[row, -done:] = one.tokens.rows
            token_ids[row, -done:] = table.identity[one.tokens.rows]
            kinds[row, -done:] = one.tokens.kinds
            gaps[row, -done:] = gap_buckets(one.tokens.gaps)
            values[row, -done:] = _scaled_values(one.tokens.values)
            tokens[row, -done:] = True
        shown = len(one.candidates)
        candidate_rows[row, :shown] = one.candidates
        candidate_ids[row, :shown] = one.ids
        dense[row, :shown] = one.dense
        candidates[row, :shown] = True
    positions = np.concatenate([token_rows.ravel(), candidate_rows.ravel()])
    used: Rows | slice = slice(None)
    if len(table.identity) > len(positions):  # a table of one request is used as a whole
        used, positions = np.unique(positions, return_inverse=True)
    vectors = np.stack([matrix[used] for matrix in table.vectors.values()], 1)  # (r, m, dimension)
    present = np.stack([mask[used] for mask in table.present.values()], 1)  # (r, m)
    return Batch(
        torch.from_numpy(vectors),
        torch.from_numpy(present),
        torch.from_numpy(positions[: token_rows.size].reshape(token_rows.shape)),
        torch.from_numpy(token_ids),
        torch.from_numpy(kinds),
        torch.from_numpy(gaps),
        torch.from_numpy(values),
        torch.from_numpy(tokens),
        torch.from_numpy(positions[token_rows.size :].reshape(candidate_rows.shape)),
        torch.from_numpy(candidate_ids),
        torch.from_numpy(dense),
        torch.from_numpy(candidates),
    )


def to_device(batch: Batch, device: str) -> Batch:
    """The batch on a device."""
    if device == "cpu":
        return batch
    return Batch(*(getattr(batch, one.name).to(device) for one in fields(batch)))


def _scaled_values(values: Floats) -> Floats:
    """(h,): values as the network reads them: stars as they are, prices and seconds beyond 10 by their logarithm."""
    plain = np.nan_to_num(values)
    return np.asarray(np.where(plain > 10, 10 + np.log(np.maximum(plain, 10) / 10), plain), np.float32)
