"""Columns of pandas categories, restored from the categories that a booster stores.

A signature declares such a column by the type of its categories, as text or integers. A booster that was
trained on categories expects the same categories, with their codes in the order of training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from sparksig.errors import Code, Finding, UnsupportedError, quote
from sparksig.schema import ColSpec, Schema
from sparksig.types import DataType, Type, describe

_NUMBERS = (DataType.boolean, DataType.integer, DataType.long, DataType.float, DataType.double)


def is_number(dtype: Type) -> bool:
    """Return whether a booster accepts a column of this type without categories."""
    return dtype in _NUMBERS


def has_other_columns(inputs: Schema | None) -> bool:
    """Return whether a schema declares columns that a booster accepts only as categories."""
    return inputs is not None and any(
        isinstance(spec, ColSpec) and not is_number(spec.type) for spec in inputs
    )


def restore_categories(model_input: Any, categories: Mapping[Any, pd.CategoricalDtype]) -> Any:
    """Convert columns of a frame to the categories of training. Other values become missing values.

    Example:
        >>> fuel = pd.CategoricalDtype(["gas", "oil"])
        >>> restored = restore_categories(pd.DataFrame({"fuel": ["oil", "coal"]}), {"fuel": fuel})
        >>> restored["fuel"].cat.codes.tolist()
        [1, -1]
    """
    if not categories or not isinstance(model_input, pd.DataFrame):
        return model_input
    frame = model_input.copy(deep=False)
    for label, dtype in categories.items():
        if label in frame and frame[label].dtype != dtype:
            # objects compare exactly with every integer, and a cast would warn about other values
            values = pd.Index(frame[label].astype(object).tolist(), dtype=object)
            codes = dtype.categories.astype(object).get_indexer(values)
            frame[label] = pd.Categorical.from_codes(codes, dtype=dtype)
    return frame


def check_columns(
    columns: Sequence[tuple[object, ColSpec]],
    categories: Mapping[Any, object],
    library: str,
    lost: Sequence[str] = (),
) -> None:
    """Refuse columns that are not numbers, unless a booster stores their categories.

    Args:
        columns: the columns that the signature declares, with their labels.
        categories: the stored categories by label.
        library: the library of the booster, for messages.
        lost: the labels of columns of any type whose categories the booster does not store.
    """
    refused = [
        (label, spec)
        for label, spec in columns
        if label not in categories and (not is_number(spec.type) or label in lost)
    ]
    if refused:
        raise build_column_error(refused, library)


def build_column_error(columns: Sequence[tuple[object, ColSpec]], library: str) -> UnsupportedError:
    """Build the error about columns that a booster does not accept."""
    hint = "encode the column as numbers in the model, for example in a Pipeline or a PythonModel"
    expected = "a number, or a category of training that the booster stores"
    findings = [
        Finding(Code.UNSUPPORTED_TYPE, quote(name), expected, describe(spec.type), hint)
        for name, spec in columns
    ]
    message = f"{library} cannot predict for the columns that the signature declares"
    return UnsupportedError.of(message, findings)


# --- LightGBM stores lists of categories, without the names of their columns ------------------------------


def assign_categories(
    lists: Sequence[Sequence[Any]], schema: Schema, infos: Sequence[str]
) -> dict[int, list[Any]] | None:
    """Find the column of each list of categories, in their common order.

    Args:
        lists: the categories, in the order of the columns of training.
        schema: the columns that the signature declares, in the order of the features.
        infos: the values of each feature in training, in LightGBM's notation: ``-1:0:1`` for a category,
            ``[0:59]`` for a number, ``none`` for a feature that no tree uses.

    Returns:
        The categories by the positions of the columns; None if no assignment is possible, or several are.

    Example:
        >>> schema = Schema([ColSpec("long", "rooms"), ColSpec("string", "fuel"), ColSpec("long", "floor")])
        >>> assign_categories([["gas", "oil"], [1, 2]], schema, ["[1:9]", "0:1", "-1:0:1"])
        {1: ['gas', 'oil'], 2: [1, 2]}
    """
    # the best assignments of the first lists to the columns so far, by the number of assigned lists
    best = {0: _Assignment(0, 1, ())}
    for position, (spec, info) in enumerate(zip(schema, infos)):
        assert isinstance(spec, ColSpec)
        extended: dict[int, _Assignment] = {}
        for used, assignment in best.items():
            if is_number(spec.type):
                _add_assignment(extended, used, assignment)
            cost = None if used == len(lists) else _estimate_cost(lists[used], spec.type, info)
            if cost is not None:
                positions = (*assignment.positions, position)
                longer = _Assignment(assignment.cost + cost, assignment.ways, positions)
                _add_assignment(extended, used + 1, longer)
        best = extended
    complete = best.get(len(lists))
    if complete is None or complete.ways != 1 or len(schema) != len(infos):
        return None
    return {position: list(values) for position, values in zip(complete.positions, lists)}


class _Assignment(NamedTuple):
    """The best assignments of some lists of categories to columns."""

    cost: int
    ways: int  # the number of assignments with this cost
    positions: tuple[int, ...]  # of the columns, in one such assignment


def _add_assignment(assignments: dict[int, _Assignment], used: int, new: _Assignment) -> None:
    """Keep the cheaper of two assignments of the same lists, and add up the ways of equal cost."""
    old = assignments.get(used)
    if old is None or new.cost < old.cost:
        assignments[used] = new
    elif new.cost == old.cost:
        assignments[used] = old._replace(ways=old.ways + new.ways)


def _estimate_cost(values: Sequence[Any], dtype: Type, info: str) -> int | None:
    """Return 0 if categories probably belong to a column, 1 if less probably, None if they cannot."""
    if not isinstance(dtype, DataType) or not all(_is_of_type(value, dtype) for value in values):
        return None
    if info == "none":  # constant in training
        return 1
    try:
        if info.startswith("["):  # LightGBM treats the codes of an ordered category as numbers
            codes = [float(bound) for bound in info.strip("[]").split(":")]
        else:
            codes = [float(code) for code in info.split(":")]
    except ValueError:
        return None
    if not all(code == -1 or (0 <= code < len(values) and code == int(code)) for code in codes):
        return None
    return int(info.startswith("["))


def _is_of_type(value: Any, dtype: DataType) -> bool:
    kinds: dict[DataType, type | tuple[type, ...]] = {
        DataType.string: str,
        DataType.boolean: bool,
        DataType.integer: int,
        DataType.long: int,
        DataType.float: (int, float),
        DataType.double: (int, float),
    }
    expected = kinds.get(dtype, ())
    return isinstance(value, expected) and (dtype is DataType.boolean or not isinstance(value, bool))
