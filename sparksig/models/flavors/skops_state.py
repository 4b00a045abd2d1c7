"""Checks of the state that a skops file passes to compiled code, before the objects are built.

scikit-learn's compiled code follows the indices in its arrays without checking their range. A hostile file
could use them to crash the process, or to read memory outside of the arrays. This module checks single
objects; :mod:`sparksig.models.flavors.skops_objects` checks that the objects fit together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sparksig.errors import ModelDamagedError


def require(condition: object, name: str, problem: str) -> None:
    """Raise an error unless a condition is true."""
    if not condition:
        raise ModelDamagedError(f"the state of a {name} is damaged: {problem}")


def check_state(node: Any, name: str) -> None:
    """Check the state that a node of a skops file would pass to compiled code."""
    check_node = _NODE_CHECKS.get(type(node).__name__)
    check_attributes = _TYPE_CHECKS.get(name)
    if check_node is not None:
        check_node(node, name.rpartition(".")[2])
    elif check_attributes is not None:
        check_attributes(_construct(node, "attrs"), name.rpartition(".")[2])


def _construct(node: Any, child: str) -> Any:
    part = node.children[child]
    return None if part is None else part.construct()


def check_nodes(left: Any, right: Any, is_leaf: Any, name: str) -> int:
    """Check that the nodes of a decision tree form a single tree, whose root is the first node.

    Return its depth. The children of leaves are ignored.
    """
    count = len(left)
    parents = np.flatnonzero(~is_leaf)
    children = np.concatenate([left[parents], right[parents]]).astype(np.int64)
    in_range = children.size == 0 or (children.min() > 0 and children.max() < count)
    require(in_range, name, f"a child's index is out of the range of {count} nodes")
    require(np.all(children > np.tile(parents, 2)), name, "a child precedes its parent")
    has_one_parent = np.bincount(children, minlength=count)[1:] == 1
    require(np.all(has_one_parent), name, "a node does not have exactly one parent")
    level, depth = np.zeros(1, dtype=np.int64), 0
    while (level := level[~is_leaf[level]]).size:
        level = np.concatenate([left[level], right[level]]).astype(np.int64)
        depth += 1
    return depth


def _check_tree(node: Any, name: str) -> None:
    arguments, state = _construct(node, "args"), _construct(node, "attrs")
    is_triple = isinstance(arguments, tuple) and len(arguments) == 3
    require(is_triple, name, "it does not have three arguments")
    feature_count, class_counts, output_count = arguments
    are_counts = _is_count(feature_count) and _is_count(output_count)
    require(are_counts, name, "its sizes are not positive integers")
    require(_is_array(class_counts, 1, "iu"), name, "its counts of classes are not an array of integers")
    require(len(class_counts) == output_count, name, "it does not have a count of classes for each output")
    require(class_counts.min() >= 1, name, "a count of classes is below 1")
    require(isinstance(state, dict), name, "its state is not a dict")
    nodes, values, depth = state.get("nodes"), state.get("values"), state.get("max_depth")
    require(_is_array(nodes, 1, "V") and len(nodes) >= 1, name, "it has no array of nodes")
    require(set(_TREE_FIELDS) <= set(nodes.dtype.names or ()), name, "its nodes lack fields")
    are_indices = all(nodes.dtype[field].kind == "i" for field in _TREE_FIELDS)
    require(are_indices, name, "its nodes are not indices")
    node_count = state.get("node_count")
    require(_is_int(node_count) and node_count == len(nodes), name, "a wrong node_count")
    shape = (len(nodes), output_count, int(class_counts.max()))
    has_shape = _is_array(values, 3, "f") and values.shape == shape
    require(has_shape, name, f"its values do not have the shape {shape}")
    is_leaf = nodes["left_child"] == -1
    require(np.all(nodes["right_child"][is_leaf] == -1), name, "a leaf has a right child")
    actual_depth = check_nodes(nodes["left_child"], nodes["right_child"], is_leaf, name)
    require(_is_int(depth) and actual_depth <= depth <= len(nodes), name, "a wrong max_depth")
    features = nodes["feature"][~is_leaf]
    in_range = features.size == 0 or (features.min() >= 0 and features.max() < feature_count)
    require(in_range, name, f"a feature's index is out of the range of {feature_count} features")


_TREE_FIELDS = ("left_child", "right_child", "feature")


def _check_loss(node: Any, name: str) -> None:
    arguments = _construct(node, "args")
    is_pair = isinstance(arguments, tuple) and len(arguments) <= 2
    require(is_pair, name, "its arguments are not a tuple of at most two")
    are_numbers = all(_is_number(argument) or argument is None for argument in arguments)
    require(are_numbers, name, "an argument is not a number")
    require(not _construct(node, "attrs"), name, "it has a state, which losses do not have")


_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


def _check_bit_generator(node: Any, name: str, child: str, allowed: tuple[str, ...]) -> None:
    """Check the position in the buffer of random numbers, which compiled code uses as an index."""
    state = _construct(node, child)
    is_nested = isinstance(state, dict) and isinstance(state.get("state"), dict)
    require(is_nested, name, "its state is not a dict")
    kind = state.get("bit_generator")
    require(isinstance(kind, str) and kind in allowed, name, "an unknown bit generator")
    if kind == "MT19937":
        key, position = state["state"].get("key"), state["state"].get("pos")
        require(_is_array(key, 1, "u") and len(key) == 624, name, "its key does not have 624 integers")
        require(_is_int(position) and 0 <= position <= 624, name, "its position is out of range")
    if kind == "Philox":
        position = state.get("buffer_pos")
        require(_is_int(position) and 0 <= position <= 4, name, "its position is out of range")


def _check_metric(state: Any, name: str) -> None:
    require(isinstance(state, tuple) and len(state) == 3, name, "its state is not a tuple of three")
    power, vector, matrix = state
    require(_is_number(power) and power > 0, name, "its power is not a positive number")
    require(_is_array(vector, 1, "f8") and _is_array(matrix, 2, "f8"), name, "its arrays are not of float64")
    require(matrix.shape[0] == matrix.shape[1], name, "its matrix is not square")


def _check_neighbors_tree(state: Any, name: str) -> None:
    require(isinstance(state, tuple) and len(state) == 13, name, "its state is not a tuple of thirteen")
    data, indices, nodes, bounds, leaf_size, levels, node_count, *statistics, metric, weights = state
    numbers = [leaf_size, levels, node_count, *statistics]
    in_range = all(_is_int(number) and 0 <= number < 2**31 for number in numbers)
    require(in_range, name, "a number is out of range")
    require(_is_array(data, 2, "f8") and data.size, name, "its data is not an array of float64")
    samples, features = data.shape
    require(_is_array(indices, 1, "i8"), name, "its indices are not an array of int64")
    is_permutation = np.array_equal(np.sort(indices), np.arange(samples))
    require(is_permutation, name, "an index of a sample is out of range")
    require(leaf_size >= 1 and 1 <= levels <= 40, name, "its leaf_size or n_levels is out of range")
    require(node_count == 2**levels - 1, name, "its n_nodes does not match its n_levels")
    sides = 2 if name == "KDTree" else 1
    require(_is_array(bounds, 3, "f8"), name, "its bounds are not an array of float64")
    require(bounds.shape == (sides, node_count, features), name, "its bounds have a wrong shape")
    _check_ranges(nodes, int(node_count), samples, name)
    is_valid = weights is None or (_is_array(weights, 1, "f8") and len(weights) == samples)
    require(is_valid, name, "wrong sample weights")
    _check_dimensions(metric, features, name)


def _check_ranges(nodes: Any, count: int, samples: int, name: str) -> None:
    """Check that each node has the samples of its two children, and that the last level has only leaves."""
    require(_is_array(nodes, 1, "V") and len(nodes) == count, name, f"it does not have {count} nodes")
    require(nodes.dtype.names == _RANGE_FIELDS, name, "its nodes have other fields")
    start, end, is_leaf = nodes["idx_start"], nodes["idx_end"], nodes["is_leaf"]
    require(start[0] == 0 and end[0] == samples, name, "its root does not have all samples")
    in_range = (start >= 0) & (start <= end) & (end <= samples)
    require(np.all(in_range), name, "a range of samples is out of range")
    inner = np.arange(count // 2)
    left, right = 2 * inner + 1, 2 * inner + 2
    require(np.all(is_leaf[: count // 2] == 0), name, "a node above the last level is a leaf")
    require(np.all(is_leaf[count // 2 :] == 1), name, "a node of the last level is not a leaf")
    is_split = (start[left] == start[inner]) & (end[left] == start[right]) & (end[right] == end[inner])
    require(np.all(is_split), name, "the samples of a node differ from those of its children")


_RANGE_FIELDS = ("idx_start", "idx_end", "is_leaf", "radius")


def _check_dimensions(metric: Any, features: int, name: str) -> None:
    """Check that a distance is for vectors with as many features as the tree's data."""
    kind = f"{type(metric).__module__}.{type(metric).__name__}"
    require(kind in _METRICS, name, "its metric is not a known distance")
    _, vector, matrix = metric.__getstate__()
    fits = {
        "SEuclideanDistance64": len(vector) == features,
        "MinkowskiDistance64": len(vector) in (0, features),
        "MahalanobisDistance64": len(matrix) == features,
        "HaversineDistance64": features == 2,
    }
    require(fits.get(type(metric).__name__, True), name, "its metric is for vectors of another size")


_METRICS = [
    f"sklearn.metrics._dist_metrics.{kind}Distance64"
    for kind in (
        *("Euclidean", "Manhattan", "Chebyshev", "Minkowski", "SEuclidean"),
        *("Mahalanobis", "Hamming", "Canberra", "BrayCurtis", "Haversine"),
    )
]

_NODE_CHECKS: dict[str, Callable[[Any, str], None]] = {
    "TreeNode": _check_tree,
    "LossNode": _check_loss,
    "RandomStateNode": partial(_check_bit_generator, child="content", allowed=("MT19937",)),
    "RandomGeneratorNode": partial(_check_bit_generator, child="bit_generator_state", allowed=_GENERATORS),
}
_TYPE_CHECKS: dict[str, Callable[[Any, str], None]] = {
    "sklearn.neighbors._kd_tree.KDTree": _check_neighbors_tree,
    "sklearn.neighbors._ball_tree.BallTree": _check_neighbors_tree,
    **dict.fromkeys(_METRICS, _check_metric),
}


def _is_int(value: object) -> bool:
    return type(value) is int


def _is_count(value: object) -> bool:
    """Return whether a value is a positive integer of at most 31 bits."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 1 <= int(value) < 2**31


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _is_array(value: object, dimensions: int, dtype: str) -> bool:
    """Return whether a value is a plain array of a rank, and of a dtype ("f8") or of kinds ("iu")."""
    if type(value) is not np.ndarray or value.ndim != dimensions or not value.flags.c_contiguous:
        return False
    return (
        value.dtype.str[1:] == dtype if len(dtype) == 2 and dtype[1].isdigit() else value.dtype.kind in dtype
    )
