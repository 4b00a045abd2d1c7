"""Matching of named columns with the features of a model whose inputs have no names.

A schema of one unnamed tensor, or of unnamed columns, accepts columns by position. An estimator that was
fitted to a frame knows the names of its features: the columns of a table are then matched by these names, in
any order, or refused. A model that was fitted to an array knows no names, so its columns are accepted by
position.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sparksig.errors import HINTS, Code, Finding, quote, suggest
from sparksig.schema import ColSpec, Schema, TensorSpec
from sparksig.types import AnyType, Map, Object, describe


def has_features(schema: Schema, features: Sequence[str] | None) -> bool:
    """Return whether columns for the schema are matched by feature names."""
    if not features or schema.has_input_names():
        return False
    spec = schema.inputs[0]
    if isinstance(spec, TensorSpec):
        return len(spec.shape) == 2 and spec.shape[1] in (-1, len(features))
    is_mapping = any(isinstance(spec.type, (Object, Map, AnyType)) for spec in schema)
    return len(schema) == len(features) and not is_mapping


def match_features(
    labels: Sequence[Any], schema: Schema, features: Sequence[str] | None, *, is_nested: bool = False
) -> tuple[list[int] | None, list[Finding]]:
    """Find the column of each feature.

    Args:
        labels: the names of a table's columns.
        schema: the model's inputs.
        features: the names of the model's features; None if they are unknown.
        is_nested: whether the first column contains lists or vectors. If it is the only column, each of its
            cells contains all features of a row.

    Returns:
        The positions of the columns, in the order of the features, and the findings. The positions are None
        if columns are accepted by position, because the features are unknown or the labels are numbers.

    Example:
        >>> import numpy as np
        >>> pair = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
        >>> match_features(["id", "power", "age"], pair, ["age", "power"])
        ([2, 1], [])
        >>> match_features(["Age", "power"], pair, ["age", "power"])[1][0].hint
        "did you mean 'Age'? Names are case sensitive"
        >>> match_features([0, 1], pair, ["age", "power"])
        (None, [])
    """
    if not has_features(schema, features) or _are_numbers(labels) or (is_nested and len(labels) == 1):
        return None, []
    assert features is not None
    counts = Counter(labels)
    texts = [label for label in counts if isinstance(label, str)]
    findings = []
    for feature, dtype in zip(features, _describe_features(schema, len(features))):
        count = counts[feature]
        if count > 1:
            findings.append(
                Finding(Code.DUPLICATE_NAME, quote(feature), "one column of that name", str(count))
            )
        elif not count:
            hint = suggest(feature, texts if len(findings) < HINTS else ())
            findings.append(Finding(Code.MISSING_COLUMN, quote(feature), dtype, "no such column", hint))
    positions = {label: index for index, label in enumerate(labels)}
    return ([] if findings else [positions[feature] for feature in features]), findings


def _are_numbers(labels: Sequence[Any]) -> bool:
    """Return whether labels are numbers instead of names; Arrow has the numbers 0 to n-1 as text."""
    return any(not isinstance(label, str) for label in labels) or list(labels) == [
        str(index) for index in range(len(labels))
    ]


def _describe_features(schema: Schema, count: int) -> list[str]:
    spec = schema.inputs[0]
    if isinstance(spec, TensorSpec):
        return [spec.type.name] * count
    return [describe(spec.type) for spec in schema if isinstance(spec, ColSpec)]


def find_misplaced_features(
    labels: Sequence[Any], schema: Schema, features: Sequence[str] | None
) -> list[Finding]:
    """Report listed columns that have the name of a feature, but not at the feature's position.

    Example:
        >>> import numpy as np
        >>> pair = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
        >>> print(*find_misplaced_features(["power", "age"], pair, ["age", "power"]), sep="; ")
        power: expected column 2, got column 1 (list the columns in the order of the features: age, power) [INVALID_VALUE]; age: expected column 1, got column 2 (list the columns in the order of the features: age, power) [INVALID_VALUE]
    """  # noqa: E501
    if not has_features(schema, features):
        return []
    assert features is not None
    positions = {feature: index for index, feature in enumerate(features)}
    hint = f"list the columns in the order of the features: {', '.join(map(quote, features))}"
    return [
        Finding(
            Code.INVALID_VALUE, quote(label), f"column {positions[label] + 1}", f"column {index + 1}", hint
        )
        for index, label in enumerate(labels)
        if positions.get(label, index) != index
    ]
