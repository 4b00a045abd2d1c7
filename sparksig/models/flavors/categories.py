"""Columns of pandas categories: rebuilt from the categories that a booster keeps.

A signature declares such a column by the type of its categories, as text or integers. A booster that was
trained on categories expects them back, with their codes in the order of training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sparksig.errors import Code, Finding, UnsupportedError, step
from sparksig.schema import ColSpec, Schema
from sparksig.types import DataType, Type, describe

__all__ = ["assign_categories", "has_other_columns", "is_number", "refuse_columns", "restore_categories"]

_NUMBERS = (DataType.boolean, DataType.integer, DataType.long, DataType.float, DataType.double)


def is_number(dtype: Type) -> bool:
    """Return whether a booster accepts a column of this type as it is."""
    return dtype in _NUMBERS


def has_other_columns(inputs: Schema | None) -> bool:
    """Return whether a schema declares columns that a booster accepts as categories only."""
    return inputs is not None and any(
        isinstance(spec, ColSpec) and not is_number(spec.type) for spec in inputs
    )


def restore_categories(model_input: Any, categories: Mapping[Any, pd.CategoricalDtype]) -> Any:
    """Convert columns of a frame to the categories of training; a value that is none of them is missing.

    Args:
        model_input: a frame; anything else is returned as it is.
        categories: from the label of a column to its categories.

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
            # looked up as objects: exact for every integer; a cast would warn of other values
            values = pd.Index(frame[label].astype(object).tolist(), dtype=object)
            codes = dtype.categories.astype(object).get_indexer(values)
            frame[label] = pd.Categorical.from_codes(codes, dtype=dtype)
    return frame


def refuse_columns(columns: Sequence[tuple[object, ColSpec]], what: str) -> None:
    """Refuse the columns that a booster does not accept.

    Args:
        columns: their names and specifications.
        what: the library, at the beginning of the message.

    Raises:
        UnsupportedError: there are such columns; a finding for each.
    """
    if not columns:
        return
    hint = "encode the column as numbers in the model, for example in a Pipeline or a PythonModel"
    findings = [
        Finding(
            Code.UNSUPPORTED_TYPE,
            step(name),
            "a number, or a category of training that the booster keeps",
            describe(spec.type),
            hint,
        )
        for name, spec in columns
    ]
    message = f"{what} cannot predict for the columns that the signature declares"
    raise UnsupportedError.of(message, findings)


# --- LightGBM keeps lists of categories, without the names of their columns ------------------------------


def assign_categories(
    lists: Sequence[Sequence[Any]], schema: Schema, infos: Sequence[str]
) -> dict[int, list[Any]] | None:
    """Find the column of each list of categories, in their common order.

    Args:
        lists: the categories, in the order of the columns of training.
        schema: the columns that the signature declares, in the order of the features.
        infos: for each feature the values it had in training, as LightGBM writes them: ``-1:0:1`` of a
            category, ``[0:59]`` of a number, ``none`` of a feature that no tree uses.

    Returns:
        From the positions of columns to their categories; None where more than one assignment is possible, or
        none is.

    Example:
        >>> schema = Schema([ColSpec("long", "rooms"), ColSpec("string", "fuel"), ColSpec("long", "floor")])
        >>> assign_categories([["gas", "oil"], [1, 2]], schema, ["[1:9]", "0:1", "-1:0:1"])
        {1: ['gas', 'oil'], 2: [1, 2]}
    """
    # for the first columns and the first lists: the least cost of an assignment, how many have it, and one
    best: dict[int, tuple[int, int, tuple[int, ...]]] = {0: (0, 1, ())}
    for position, (spec, info) in enumerate(zip(schema, infos)):
        assert isinstance(spec, ColSpec)
        following: dict[int, tuple[int, int, tuple[int, ...]]] = {}
        for used, (cost, ways, chosen) in best.items():
            if is_number(spec.type):
                _add_way(following, used, (cost, ways, chosen))
            if used < len(lists) and (more := _assignment_cost(lists[used], spec.type, info)) is not None:
                _add_way(following, used + 1, (cost + more, ways, (*chosen, position)))
        best = following
    _, ways, chosen = best.get(len(lists), (0, 0, ()))
    if ways != 1 or len(schema) != len(infos):
        return None
    return {position: list(values) for position, values in zip(chosen, lists)}


def _add_way(
    ways: dict[int, tuple[int, int, tuple[int, ...]]], used: int, new: tuple[int, int, tuple[int, ...]]
) -> None:
    """Keep the cheaper of two partial assignments, and count those that cost the same."""
    old = ways.get(used)
    if old is None or new[0] < old[0]:
        ways[used] = new
    elif new[0] == old[0]:
        ways[used] = (old[0], old[1] + new[1], old[2])


def _assignment_cost(values: Sequence[Any], dtype: Type, info: str) -> int | None:
    """How unlikely it is that a column has these categories; None where it cannot have them."""
    if not isinstance(dtype, DataType) or not all(_is_of_type(value, dtype) for value in values):
        return None
    if info == "none":  # constant in training
        return 1
    try:
        if info.startswith("["):  # the codes of an ordered category are numbers
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
