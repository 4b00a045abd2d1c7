"""Rules that an estimator built from a skops file must satisfy before its methods are called.

Compiled code trusts the estimator that calls it: a forest passes rows to its trees without checking their
numbers of features, and libsvm reads the sizes of all arrays from one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import numpy as np

from sparksig.errors import ModelNotTrustedError
from sparksig.models.flavors.skops_state import check_nodes, require

TREE = "sklearn.tree._tree.Tree"
PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"


def qualify(kind: type) -> str:
    """Return the qualified name of a type in the form that skops writes."""
    return f"{kind.__module__}.{kind.__qualname__}"


def is_a(part: Any, base: str) -> bool:
    """Return whether an object is an instance of scikit-learn's class of that name, without importing it."""
    return any(cls.__name__ == base and cls.__module__.startswith("sklearn.") for cls in type(part).__mro__)


def _count_features(estimator: Any) -> int:
    """Return the number of features that an estimator accepts. Without it, scikit-learn checks no input."""
    count = vars(estimator).get("n_features_in_")
    is_count = type(count) is int and count >= 1
    require(is_count, type(estimator).__name__, "n_features_in_ is not a positive integer")
    return int(count)


def _check_decision_tree(estimator: Any, _: frozenset[str]) -> None:
    name = type(estimator).__name__
    require(qualify(type(estimator.tree_)) == TREE, name, "its tree_ is not a tree")
    features = _count_features(estimator)
    require(estimator.tree_.n_features == features, name, "its tree is for another number of features")


def _list_trees(estimator: Any, members: Any) -> list[Any]:
    """Return the trees of an ensemble whose members are decision trees of scikit-learn."""
    name = type(estimator).__name__
    are_trees = all(is_a(member, "BaseDecisionTree") for member in members)
    require(are_trees, name, "a member is not a decision tree")
    trees = [vars(member).get("tree_") for member in members]
    require(all(qualify(type(tree)) == TREE for tree in trees), name, "a member has no tree")
    return trees


def _check_forest(estimator: Any, _: frozenset[str]) -> None:
    name, features = type(estimator).__name__, _count_features(estimator)
    require(isinstance(estimator.estimators_, list), name, "its members are not a list")
    for tree in _list_trees(estimator, estimator.estimators_):
        require(tree.n_features == features, name, "a tree is for another number of features")


def _check_isolation_forest(estimator: Any, _: frozenset[str]) -> None:
    name, features = type(estimator).__name__, _count_features(estimator)
    chosen = vars(estimator).get("estimators_features_")
    are_lists = isinstance(estimator.estimators_, list) and isinstance(chosen, list)
    require(are_lists, name, "its members are not a list")
    require(len(chosen) == len(estimator.estimators_), name, "a member has no features")
    uses_all = bool(vars(estimator).get("_max_features") == features)
    for tree, columns in zip(_list_trees(estimator, estimator.estimators_), chosen, strict=True):
        width = features if uses_all else len(_check_columns(columns, features, name))
        require(tree.n_features == width, name, "a tree is for another number of features")


def _check_columns(columns: Any, features: int, name: str) -> Any:
    is_array = type(columns) is np.ndarray and columns.ndim == 1 and columns.dtype.kind == "i"
    require(is_array and len(columns), name, "the features of a member are not indices")
    require(columns.min() >= 0 and columns.max() < features, name, "the index of a feature is out of range")
    return columns


def _check_gradient_boosting(estimator: Any, _: frozenset[str]) -> None:
    name, features = type(estimator).__name__, _count_features(estimator)
    members, columns = estimator.estimators_, vars(estimator).get("n_trees_per_iteration_")
    is_table = type(members) is np.ndarray and members.ndim == 2 and members.size > 0
    require(is_table, name, "its members are not a two-dimensional array")
    require(type(columns) is int and members.shape[1] == columns, name, "a wrong n_trees_per_iteration_")
    for tree in _list_trees(estimator, members.ravel().tolist()):
        require(tree.n_features == features, name, "a tree is for another number of features")
        require(tree.n_outputs == tree.max_n_classes == 1, name, "a tree has more than one value")


def check_initial_predictions(estimator: Any) -> None:
    """Check that the initial predictions of boosting have a column for each tree of an iteration."""
    initial = vars(estimator).get("init_")
    if "estimators_" not in vars(estimator) or (isinstance(initial, str) and initial == "zero"):
        return
    name = type(estimator).__name__
    if qualify(type(initial)) not in _INITIAL:
        raise ModelNotTrustedError(
            f"a {name} whose init is a {type(initial).__name__}: compiled code adds to its predictions, "
            "whose shape cannot be checked. If you trust the origin of the model, pass "
            f"trusted_types=[{TREE!r}]"
        )
    for row_count in (2, 3):
        rows = np.zeros((row_count, estimator.n_features_in_), dtype=np.float32)
        is_table = estimator._raw_predict_init(rows).shape == (row_count, estimator.n_trees_per_iteration_)
        require(is_table, name, "its init predicts another number of columns")


_INITIAL = ("sklearn.dummy.DummyClassifier", "sklearn.dummy.DummyRegressor")


def _check_hist_gradient_boosting(estimator: Any, trusted: frozenset[str]) -> None:
    name, features = type(estimator).__name__, _count_features(estimator)
    if vars(estimator).get("_preprocessor") is not None and PREDICTOR not in trusted:
        raise ModelNotTrustedError(
            f"a {name} with columns of categories: compiled code trusts the columns that its preprocessor "
            f"returns. If you trust the origin of the model, pass trusted_types=[{PREDICTOR!r}]"
        )
    require(not vars(estimator).get("_in_fit"), name, "its _in_fit is set")
    mapper = vars(estimator).get("_bin_mapper")
    require(type(mapper).__name__ == "_BinMapper", name, "it has no bins")
    is_categorical = vars(mapper).get("is_categorical_")
    fits = type(is_categorical) is np.ndarray and is_categorical.shape == (features,)
    require(fits and is_categorical.dtype == np.uint8, name, "its bins are for another number of features")
    rounds = estimator._predictors
    are_lists = isinstance(rounds, list) and all(isinstance(predictors, list) for predictors in rounds)
    require(are_lists, name, "its predictors are not lists")
    for predictor in chain.from_iterable(rounds):
        require(qualify(type(predictor)) == PREDICTOR, name, "a predictor is of another type")
        _check_predictor(predictor, is_categorical)


def _check_predictor(predictor: Any, is_categorical: Any) -> None:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    name = type(predictor).__name__
    for array in ("nodes", "raw_left_cat_bitsets", "binned_left_cat_bitsets"):
        value = vars(predictor).get(array)
        require(type(value) is np.ndarray, name, f"its {array} is not an array")
    nodes = predictor.nodes
    require(nodes.dtype == PREDICTOR_RECORD_DTYPE and nodes.ndim == 1 and len(nodes), name, "it has no nodes")
    is_leaf = nodes["is_leaf"] != 0
    check_nodes(nodes["left"], nodes["right"], is_leaf, name)
    inner = nodes[~is_leaf]
    features = inner["feature_idx"]
    in_range = bool(np.all((features >= 0) & (features < len(is_categorical))))
    require(in_range, name, f"a feature's index is out of the range of {len(is_categorical)} features")
    splits = inner[inner["is_categorical"] != 0]
    require(np.all(is_categorical[splits["feature_idx"]] != 0), name, "it splits a number by categories")
    for array in (predictor.raw_left_cat_bitsets, predictor.binned_left_cat_bitsets):
        require(array.ndim == 2 and array.shape[1] == 8, name, "its bit sets have a wrong shape")
        require(np.all(splits["bitset_idx"] < len(array)), name, "a bit set's index is out of range")


def _check_support_vectors(estimator: Any, trusted: frozenset[str]) -> None:
    """Check the arrays that libsvm reads, which takes the sizes of the others from the counts in one."""
    state, name = vars(estimator), type(estimator).__name__
    require("_impl" not in state, name, "it names another algorithm")
    support, counts = state.get("support_"), state.get("_n_support")
    are_indices = _is_vector(support, "i") and _is_vector(counts, "i")
    require(are_indices, name, "its support is not an array of indices")
    total, classes = len(support), len(counts)
    if estimator._impl in ("c_svc", "nu_svc"):
        require(np.all(counts >= 0) and counts.sum() == total, name, "its counts of vectors are wrong")
    else:
        require(classes == 2, name, "its counts of vectors are wrong")
    pairs = classes * (classes - 1) // 2
    coefficients = state.get("_dual_coef_")
    stored: Any = coefficients if type(coefficients) is np.ndarray else getattr(coefficients, "data", None)
    has_shape = getattr(coefficients, "shape", None) == (classes - 1, total)
    is_full = has_shape and np.size(stored) == (classes - 1) * total  # a sparse matrix must be full too
    require(is_full, name, "its coefficients have a wrong shape")
    intercept, slopes = state.get("_intercept_"), [state.get(key) for key in ("_probA", "_probB")]
    fits = _is_vector(intercept, "f") and len(intercept) == pairs
    require(fits, name, "its intercepts have a wrong size")
    fits = all(_is_vector(slope, "f") and len(slope) in (0, pairs) for slope in slopes)
    require(fits, name, "its probabilities have a wrong size")
    shape = state.get("shape_fit_")
    is_shape = isinstance(shape, tuple) and len(shape) == 2 and type(shape[0]) is int
    require(is_shape, name, "a wrong shape_fit_")
    require(np.all((support >= 0) & (support < shape[0])), name, "an index of its support is out of range")
    _check_kernel(estimator, total, trusted)


def _check_kernel(estimator: Any, total: int, trusted: frozenset[str]) -> None:
    name, kernel = type(estimator).__name__, vars(estimator).get("kernel")
    if isinstance(kernel, str):
        vectors, shape = vars(estimator)["support_vectors_"], (total, _count_features(estimator))
        fits = kernel == "precomputed" or getattr(vectors, "shape", None) == shape
        require(fits, name, "its support vectors have a wrong shape")
        return
    function = f"{getattr(kernel, '__module__', '')}.{getattr(kernel, '__name__', type(kernel).__name__)}"
    require(function in trusted, name, f"its kernel {function} is not in trusted_types")


def _is_vector(value: Any, kinds: str) -> bool:
    return type(value) is np.ndarray and value.ndim == 1 and value.dtype.kind in kinds


def _check_clusters(estimator: Any, _: frozenset[str]) -> None:
    centers = vars(estimator).get("cluster_centers_")
    if centers is None:
        return
    name, features = type(estimator).__name__, _count_features(estimator)
    is_table = type(centers) is np.ndarray and centers.ndim == 2 and len(centers)
    require(is_table and centers.shape[1] == features, name, "its centers have a wrong shape")
    threads = vars(estimator).get("_n_threads")
    require(type(threads) is int and 1 <= threads <= 4096, name, "its number of threads is out of range")


def _check_fitted_rows(estimator: Any, _: frozenset[str]) -> None:
    """Check the rows and the labels of a nearest neighbors search."""
    rows, labels = vars(estimator).get("_fit_X"), vars(estimator).get("_y")
    if rows is None:
        return
    name, features = type(estimator).__name__, _count_features(estimator)
    shape: Any = getattr(rows, "shape", ())
    require(len(shape) == 2 and shape[1] == features, name, "its rows are for another number of features")
    if not is_a(estimator, "ClassifierMixin") or getattr(labels, "ndim", 1) > 1:
        return
    classes = vars(estimator).get("classes_")
    are_labels = _is_vector(labels, "iu") and len(labels) == shape[0] and type(classes) is np.ndarray
    require(are_labels, name, "it does not have one label for each row")
    in_range = bool(np.all((labels >= 0) & (labels < len(classes))))
    require(in_range, name, "a label is out of the range of its classes")


def check_estimator(part: Any, trusted: frozenset[str]) -> None:
    """Apply the rules of the base classes of a fitted estimator."""
    for base, (attribute, check) in _RULES.items():
        if is_a(part, base) and attribute in vars(part):
            check(part, trusted)


_RULES: Mapping[str, tuple[str, Callable[[Any, frozenset[str]], None]]] = {
    "BaseDecisionTree": ("tree_", _check_decision_tree),
    "BaseForest": ("estimators_", _check_forest),
    "IsolationForest": ("estimators_", _check_isolation_forest),
    "BaseGradientBoosting": ("estimators_", _check_gradient_boosting),
    "BaseHistGradientBoosting": ("_predictors", _check_hist_gradient_boosting),
    "BaseLibSVM": ("support_vectors_", _check_support_vectors),
    "_BaseKMeans": ("cluster_centers_", _check_clusters),
    "NeighborsBase": ("_fit_X", _check_fitted_rows),
}
"""By the name of a base class in scikit-learn: an attribute that fitting sets, and the rule."""
