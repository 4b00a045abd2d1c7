"""Conversion of Spark ML vectors, which reach Python as structs, to lists in Arrow kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.engine.arrays import Mask, build_lists, get_null_mask, measure_lists
from sparksig.engine.findings import Location
from sparksig.errors import Code


def convert_vectors(array: pa.Array, location: Location, path: str) -> pa.Array:
    """Convert Spark ML vectors to lists of doubles; the zeros of sparse vectors are filled in."""
    kinds, sizes, indices, values = (array.flatten()[index] for index in range(4))
    sparse = pc.equal(kinds, 0).fill_null(False).to_numpy(zero_copy_only=False)
    counts = measure_lists(values)
    declared = sizes.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    lengths = np.where(sparse & ~get_null_mask(array), declared, counts)
    wrong = _find_malformed(array, kinds, indices, values, sparse, declared) & ~get_null_mask(array)
    if wrong.any():
        expected = "dense vectors, or sparse ones with one value for each of the increasing indices"
        location.report(wrong, Code.INVALID_VALUE, path, expected, "malformed vectors", "")
    elif int(lengths.sum()) >= 2**31:
        hint = "use smaller batches"
        location.report(lengths > 0, Code.OUT_OF_RANGE, path, "2^31 values in a batch", "more", hint)
    elif not sparse.any():
        return values if not array.null_count else build_lists(counts, values.flatten(), array)
    else:
        return _fill_zeros(array, lengths, counts, sparse, indices, values)
    return pa.nulls(len(array), pa.list_(pa.float64()))


def _find_malformed(
    array: pa.Array, kinds: pa.Array, indices: pa.Array, values: pa.Array, sparse: Mask, sizes: Any
) -> Mask:
    dense = pc.equal(kinds, 1).fill_null(False).to_numpy(zero_copy_only=False)
    wrong: Mask = (
        ~(sparse | dense) | get_null_mask(values) | (sparse & ((sizes < 0) | get_null_mask(indices)))
    )
    counts, index_counts = measure_lists(values), measure_lists(indices)
    wrong |= sparse & (counts != index_counts)
    owners = np.repeat(np.arange(len(array)), index_counts)
    flat = indices.flatten()
    positions = flat.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    outside = (positions < 0) | (positions >= sizes[owners])
    outside[1:] |= (owners[1:] == owners[:-1]) & (positions[1:] <= positions[:-1])
    wrong[owners[outside & sparse[owners]]] = True
    return wrong


def _fill_zeros(
    array: pa.Array, lengths: Any, counts: Any, sparse: Mask, indices: pa.Array, values: pa.Array
) -> pa.ListArray:
    starts = np.cumsum(lengths) - lengths
    inner = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    inner[np.repeat(sparse, counts)] = (
        indices.filter(pa.array(sparse)).flatten().to_numpy(zero_copy_only=False)
    )
    filled = np.zeros(int(lengths.sum()))
    filled[np.repeat(starts, counts) + inner] = values.flatten().to_numpy(zero_copy_only=False)
    return build_lists(lengths, pa.array(filled), array)
