"""What rows take once they are Python's values, found before they are.

A few kilobytes of Arrow may stand for gigabytes: many rows may share one value (dictionaries, views, runs), lists of
views may lie within each other, and lists of nulls have no bytes at all.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from encoders.types import Doubles, Rows

_VALUE = 64.0
"""Bytes of one value of Python's, about."""

MAX_VALUES = 1 << 24
"""Within the values of a batch's column, where each may take another number of bytes."""

Known = dict[tuple[int, ...], Doubles]
"""What was found already, by where it lies: slices of a batch share what they refer to."""


def is_small(batch: pa.RecordBatch, most: int) -> bool:
    """Whether rows surely take no more than so many bytes as Python's values; quick, and False where that is not so.

    It is sure for types whose values have bytes of their own, one at least, as each of them takes `_VALUE` then.
    """
    if not all(_has_bytes(kind) for kind in batch.schema.types):
        return False
    return bool(_VALUE * (batch.nbytes + batch.num_rows * batch.num_columns) <= most)


def _has_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = kind.value_type
        return not pa.types.is_boolean(inner) and not pa.types.is_null(inner) and _is_plain(inner)
    return _is_plain(kind)


def _is_plain(kind: pa.DataType) -> bool:
    return any(is_one(kind) for is_one in (*_BYTES, pa.types.is_primitive, pa.types.is_decimal, pa.types.is_null))


def row_costs(batch: pa.RecordBatch, known: Known) -> Doubles:
    """Bytes that each row takes as Python's values, about, (rows,).

    Args:
        batch: rows.
        known: filled with what later slices of the same batch share.
    """
    total = np.zeros(batch.num_rows)
    for column in batch.columns:
        total += _costs(column, known)
    return total


def _costs(array: pa.Array, known: Known) -> Doubles:
    """What each value takes."""
    same = _same(array.type)
    costs = np.full(len(array), _VALUE if same is None else same)
    if same is None:
        costs += _held(array, known)
    return costs


def _same(kind: pa.DataType) -> float | None:
    """What each value of a type takes, if that is the same for all."""
    if isinstance(kind, pa.BaseExtensionType):
        return _same(kind.storage_type)
    if pa.types.is_fixed_size_binary(kind):
        return _VALUE + float(kind.byte_width)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _same(kind.value_type)
    if pa.types.is_struct(kind) or pa.types.is_fixed_size_list(kind):
        inner = [_same(kind.field(number).type) for number in range(kind.num_fields)]
        times = kind.list_size if pa.types.is_fixed_size_list(kind) else 1
        return None if None in inner else _VALUE + times * sum(one for one in inner if one is not None)
    return None if any(is_one(kind) for is_one in (*_BYTES, *_VIEWS, *_LISTS, pa.types.is_union)) else _VALUE


def _held(array: pa.Array, known: Known) -> Any:
    """What each value takes with all that it holds, over the value itself."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _costs(array.storage, known)
    if any(is_one(kind) for is_one in _VIEWS):
        views = np.frombuffer(array.buffers()[1], np.int32).reshape(-1, 4)  # each begins with its length
        return np.maximum(views[array.offset : array.offset + len(array), 0], 0)
    if any(is_one(kind) for is_one in _BYTES):
        return _numbers(pc.binary_length(array))
    if pa.types.is_struct(kind):
        return sum((_costs(array.field(number), known) for number in range(kind.num_fields)), np.zeros(len(array)))
    if pa.types.is_dictionary(kind):
        inner = np.append(_shared(array.dictionary, known), 0.0)
        return inner[np.clip(_numbers(array.indices).astype(np.intp), 0, len(inner) - 1)]
    if pa.types.is_run_end_encoded(kind):
        places = array.offset + np.arange(len(array))
        return _shared(array.values, known)[np.searchsorted(np.asarray(array.run_ends), places, side="right")]
    if pa.types.is_union(kind):
        return sum(_shared(array.field(number), known).max(initial=0.0) for number in range(kind.num_fields))
    begin, end = _spans(array)
    same = _same(array.values.type)
    if same is not None:
        return (end - begin) * same
    before = np.concatenate([[0.0], np.cumsum(_shared(array.values, known))])
    begin, end = (np.clip(one, 0, len(before) - 1) for one in (begin, end))
    return before[end] - before[begin]


def _spans(lists: pa.Array) -> tuple[Rows, Rows]:
    """Where each list begins and ends among the values of all."""
    if pa.types.is_fixed_size_list(lists.type):
        begin = (lists.offset + np.arange(len(lists))) * lists.type.list_size
        return begin, begin + lists.type.list_size
    offsets = np.asarray(lists.offsets).astype(np.intp)
    if pa.types.is_list_view(lists.type) or pa.types.is_large_list_view(lists.type):
        return offsets, offsets + np.asarray(lists.sizes)
    return offsets[:-1], offsets[1:]


def _shared(array: pa.Array, known: Known) -> Doubles:
    """The costs of what others refer to, found once."""
    if len(array) > MAX_VALUES:
        raise ValueError(
            f"a batch has {len(array)} values in one column, the limit is {MAX_VALUES}; make smaller batches"
        )
    place = (*(0 if one is None else one.address for one in array.buffers()), array.offset, len(array))
    if place not in known:
        known[place] = _costs(array, known)
    return known[place]


def _numbers(array: pa.Array) -> Doubles:
    """Numbers with 0 for null."""
    return np.asarray(pc.fill_null(array, 0), np.float64)


_Is = Callable[[pa.DataType], bool]
_BYTES: tuple[_Is, ...] = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
)
_VIEWS: tuple[_Is, ...] = (pa.types.is_string_view, pa.types.is_binary_view)
_LISTS: tuple[_Is, ...] = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
    pa.types.is_fixed_size_list,
    pa.types.is_map,
)
