"""Checks of the state that a skops file gives to compiled code, before the objects are built.

scikit-learn's compiled code follows the indices in its arrays without checking their range. A hostile file
could crash the process with them, or read memory outside the arrays. Each check here looks at one object by
itself; :mod:`sparksig.models.flavors.skops_objects` checks how the objects fit together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sparksig.errors import ModelDamagedError

__all__ = ["check_nodes", "check_state", "require"]


def require(condition: object, name: str, problem: str) -> None:
    """Raise unless ``condition`` holds.

    Raises:
        ModelDamagedError: it does not; the message names the type and the problem.
    """
    if not condition:
        raise ModelDamagedError(f"the state of a {name} is damaged: {problem}")


def check_state(node: Any, name: str) -> None:
    """Check the state that a node of a skops file would give to compiled code.

    Args:
        node: a node of the tree that skops builds; the nodes in it were checked before.
        name: the qualified name of its type.

    Raises:
        ModelDamagedError: the state is not one that the library itself writes.
    """
    check = _BY_NODE.get(type(node).__name__)
    if check is not None:
        check(node, name.rpartition(".")[2])
    elif (by_name := _BY_NAME.get(name)) is not None:
        by_name(_construct(node, "attrs"), name.rpartition(".")[2])


def _construct(node: Any, child: str) -> Any:
    part = node.children[child]
    return None if part is None else part.construct()


def check_nodes(left: Any, right: Any, is_leaf: Any, name: str) -> int:
    """Check that the nodes of a decision tree form one tree, whose root is the first node.

    Args:
        left: the index of each node's left child.
        right: the index of each node's right child.
        is_leaf: which nodes are leaves; their children do not count.
        name: the type's name, for messages.

    Returns:
        The depth of the tree.

    Raises:
        ModelDamagedError: a child is out of range, lies before its parent, or has two parents or none.
    """
    count = len(left)
    parents = np.flatnonzero(~is_leaf)
    children = np.concatenate([left[parents], right[parents]]).astype(np.int64)
    in_range = children.size == 0 or (children.min() > 0 and children.max() < count)
    require(in_range, name, f"a child's index is out of the range of {count} nodes")
    require(np.all(children > np.tile(parents, 2)), name, "a child lies before its parent")
    require(np.all(np.bincount(children, minlength=count)[1:] == 1), name, "a node has two parents, or none")
    level, depth = np.zeros(1, dtype=np.int64), 0
    while (level := level[~is_leaf[level]]).size:
        level = np.concatenate([left[level], right[level]]).astype(np.int64)
        depth += 1
    return depth


def _check_tree(node: Any, name: str) -> None:
    arguments, state = _construct(node, "args"), _construct(node, "attrs")
    require(isinstance(arguments, tuple) and len(arguments) == 3, name, "it takes three arguments")
    feature_count, class_counts, output_count = arguments
    require(_is_count(feature_count) and _is_count(output_count), name, "its sizes are not counts")
    require(_is_array(class_counts, 1, "iu"), name, "the counts of classes are no array of integers")
    require(len(class_counts) == output_count, name, "there is not one count of classes for each output")
    require(class_counts.min() >= 1, name, "a count of classes is below 1")
    require(isinstance(state, dict), name, "its state is no dict")
    nodes, values, depth = state.get("nodes"), state.get("values"), state.get("max_depth")
    require(_is_array(nodes, 1, "V") and len(nodes) >= 1, name, "it has no array of nodes")
    require(set(_TREE_FIELDS) <= set(nodes.dtype.names or ()), name, "its nodes lack fields")
    require(all(_is_integral(nodes.dtype[field]) for field in _TREE_FIELDS), name, "its nodes are no indices")
    require(
        _is_int(state.get("node_count")) and state["node_count"] == len(nodes), name, "a wrong node_count"
    )
    shape = (len(nodes), output_count, int(class_counts.max()))
    require(_is_array(values, 3, "f") and values.shape == shape, name, f"its values are not of shape {shape}")
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
    require(isinstance(arguments, tuple) and len(arguments) <= 2, name, "its arguments are no tuple")
    require(all(_is_number(one) or one is None for one in arguments), name, "an argument is no number")
    require(not _construct(node, "attrs"), name, "it has a state, which losses do not have")


def _check_random_state(node: Any, name: str) -> None:
    _check_bit_generator(_construct(node, "content"), name, ("MT19937",))


def _check_generator(node: Any, name: str) -> None:
    _check_bit_generator(_construct(node, "bit_generator_state"), name, _BIT_GENERATORS)


_BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


def _check_bit_generator(state: Any, name: str, known: tuple[str, ...]) -> None:
    """Check what compiled code uses as an index: the position in the buffer of random numbers."""
    require(isinstance(state, dict) and isinstance(state.get("state"), dict), name, "its state is no dict")
    kind = state.get("bit_generator")
    require(isinstance(kind, str) and kind in known, name, "an unknown bit generator")
    if kind == "MT19937":
        key, position = state["state"].get("key"), state["state"].get("pos")
        require(_is_array(key, 1, "u") and len(key) == 624, name, "its key is not of 624 integers")
        require(_is_int(position) and 0 <= position <= 624, name, "its position is out of range")
    if kind == "Philox":
        position = state.get("buffer_pos")
        require(_is_int(position) and 0 <= position <= 4, name, "its position is out of range")


def _check_metric(state: Any, name: str) -> None:
    require(isinstance(state, tuple) and len(state) == 3, name, "its state is no tuple of three")
    power, vector, matrix = state
    require(_is_number(power) and power > 0, name, "its power is no positive number")
    require(_is_array(vector, 1, "f8") and _is_array(matrix, 2, "f8"), name, "its arrays are not of float64")
    require(matrix.shape[0] == matrix.shape[1], name, "its matrix is not square")


def _check_neighbors_tree(state: Any, name: str) -> None:
    require(isinstance(state, tuple) and len(state) == 13, name, "its state is no tuple of thirteen")
    data, indices, nodes, bounds, leaf_size, levels, node_count, *statistics, metric, weights = state
    numbers = [leaf_size, levels, node_count, *statistics]
    require(all(_is_int(one) and 0 <= one < 2**31 for one in numbers), name, "a number is out of range")
    require(_is_array(data, 2, "f8") and data.size, name, "its data are no array of float64")
    samples, features = data.shape
    require(_is_array(indices, 1, "i8"), name, "its indices are no array of int64")
    require(
        np.array_equal(np.sort(indices), np.arange(samples)), name, "an index of a sample is out of range"
    )
    require(leaf_size >= 1 and 1 <= levels <= 40, name, "its leaf_size or n_levels is out of range")
    require(node_count == 2**levels - 1, name, "its n_nodes does not belong to its n_levels")
    sides = 2 if name == "KDTree" else 1
    require(_is_array(bounds, 3, "f8"), name, "its bounds are no array of float64")
    require(bounds.shape == (sides, node_count, features), name, "its bounds are of a wrong shape")
    _check_ranges(nodes, int(node_count), samples, name)
    no_weights = weights is None
    require(
        no_weights or (_is_array(weights, 1, "f8") and len(weights) == samples), name, "wrong sample weights"
    )
    _check_metric_of(metric, features, name)


def _check_ranges(nodes: Any, count: int, samples: int, name: str) -> None:
    """Check that each node's samples are those of its two children, and that the last level are leaves."""
    require(_is_array(nodes, 1, "V") and len(nodes) == count, name, f"it has not {count} nodes")
    require(nodes.dtype.names == _RANGE_FIELDS, name, "its nodes have other fields")
    start, end, is_leaf = nodes["idx_start"], nodes["idx_end"], nodes["is_leaf"]
    require(start[0] == 0 and end[0] == samples, name, "its root is not of all samples")
    require(
        np.all((start >= 0) & (start <= end) & (end <= samples)), name, "a range of samples is out of range"
    )
    inner = np.arange(count // 2)
    left, right = 2 * inner + 1, 2 * inner + 2
    require(np.all(is_leaf[: count // 2] == 0), name, "a node above the last level is a leaf")
    require(np.all(is_leaf[count // 2 :] == 1), name, "a node of the last level is no leaf")
    is_split = (start[left] == start[inner]) & (end[left] == start[right]) & (end[right] == end[inner])
    require(np.all(is_split), name, "the samples of a node are not those of its children")


_RANGE_FIELDS = ("idx_start", "idx_end", "is_leaf", "radius")


def _check_metric_of(metric: Any, features: int, name: str) -> None:
    """Check that a distance was made for vectors of as many features as the tree's data."""
    kind = f"{type(metric).__module__}.{type(metric).__name__}"
    require(kind in _METRICS, name, "its metric is no known distance")
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

_BY_NODE: dict[str, Callable[[Any, str], None]] = {
    "TreeNode": _check_tree,
    "LossNode": _check_loss,
    "RandomStateNode": _check_random_state,
    "RandomGeneratorNode": _check_generator,
}
_BY_NAME: dict[str, Callable[[Any, str], None]] = {
    "sklearn.neighbors._kd_tree.KDTree": _check_neighbors_tree,
    "sklearn.neighbors._ball_tree.BallTree": _check_neighbors_tree,
    **dict.fromkeys(_METRICS, _check_metric),
}


def _is_int(value: object) -> bool:
    return type(value) is int


def _is_count(value: object) -> bool:
    """Return whether it is an integer from 1 to a size that fits into memory many times."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 1 <= int(value) < 2**31


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _is_integral(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "i"


def _is_array(value: object, dimensions: int, dtype: str) -> bool:
    """Return whether it is a plain array of these dimensions, of one of the kinds, or of the dtype given."""
    if type(value) is not np.ndarray or value.ndim != dimensions or not value.flags.c_contiguous:
        return False
    return (
        value.dtype.str[1:] == dtype if len(dtype) == 2 and dtype[1].isdigit() else value.dtype.kind in dtype
    )
