"""Checks of an object built from a skops file, before any method of it is called: do its parts fit together?

Compiled code trusts the object that calls it: a forest hands rows to its trees without looking whether the
trees were made for as many features, and boosting adds predictions to columns that a hostile file did not
provide. Here every object is looked at together with the attribute that holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np

from sparksig.errors import ModelDamagedError, ModelNotTrustedError
from sparksig.models.flavors.skops_state import check_nodes, require
from sparksig.models.inert_types import INERT_TYPES

__all__ = ["check_objects", "isolate_arrays"]

_TREE = "sklearn.tree._tree.Tree"
_NEIGHBORS_TREES = frozenset(["sklearn.neighbors._kd_tree.KDTree", "sklearn.neighbors._ball_tree.BallTree"])
_PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"


def check_objects(model: Any, trusted: frozenset[str]) -> None:
    """Check every object that a model reaches.

    Args:
        model: the object built from a skops file.
        trusted: the types that the caller trusts; their rules do not apply.

    Raises:
        ModelDamagedError: a part does not fit, stands where it does not belong, or hides a method.
        ModelNotTrustedError: compiled code would depend on an object that cannot be checked.
    """
    parts = list(_walk_parts(model, trusted))
    for part in parts:
        if _qualify(type(part)) not in trusted:
            _check_part(part, trusted)
    for part in parts:  # the methods called here are those of objects that passed
        if _is_a(part, "BaseGradientBoosting") and _TREE not in trusted:
            _check_initial_predictions(part)


def isolate_arrays(model: Any, trusted: frozenset[str]) -> None:
    """Give native objects arrays of their own, which no other part of the model can write to.

    A file may use one array twice: as the indices of a neighbors tree, and as the output of a NumPy function
    that is applied to the rows of a prediction.

    Args:
        model: an object that :func:`check_objects` accepts.
        trusted: the types that the caller trusts; their objects stay as they are.
    """
    for part in _walk_parts(model, trusted):
        if _is_a(part, "BaseHistGradientBoosting") and _PREDICTOR not in trusted:
            for predictor in (one for several in vars(part).get("_predictors", ()) for one in several):
                vars(predictor).update(_copy_arrays(vars(predictor)))
        elif _qualify(type(part)) in _NEIGHBORS_TREES - trusted:
            state = dict(enumerate(part.__getstate__()))
            part.__setstate__(tuple({**state, **_copy_arrays(state)}.values()))


def _copy_arrays(state: Mapping[Any, Any]) -> dict[Any, Any]:
    return {name: value.copy() for name, value in state.items() if type(value) is np.ndarray}


def _walk_parts(model: Any, trusted: frozenset[str]) -> Iterator[Any]:
    """Every object that a model reaches, once; each attribute that holds it is checked.

    Raises:
        ModelDamagedError: an object stands where it does not belong.
    """
    reached: dict[int, Any] = {}  # keeps the objects alive, so that their ids stay their own
    left: list[tuple[Any, str]] = [(model, "")]
    while left:
        part, attribute = left.pop()
        _check_place(part, attribute, trusted)
        if id(part) not in reached:
            reached[id(part)] = part
            yield part
            left += _list_parts(part, attribute)


def _qualify(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_a(part: Any, base: str) -> bool:
    """Return whether it is an instance of scikit-learn's class of that name; nothing is imported."""
    return any(one.__name__ == base and one.__module__.startswith("sklearn.") for one in type(part).__mro__)


def _list_parts(part: Any, attribute: str) -> list[tuple[Any, str]]:
    """The objects in an object, each with the attribute that holds it; plain values are left out."""
    values: Iterable[Any] = ()
    if isinstance(part, Mapping):
        values = part.values()
    elif isinstance(part, (list, tuple, set, frozenset)):
        values = part
    elif isinstance(part, np.ndarray):
        values = part.ravel().tolist() if part.dtype == object else ()
    elif hasattr(part, "__dict__") and not isinstance(part, _WITHOUT_PARTS):
        return [(value, str(name)) for name, value in vars(part).items() if type(value) not in _PLAIN]
    return [(value, attribute) for value in values if type(value) not in _PLAIN]


_PLAIN = (str, bytes, int, float, bool, type(None))
_WITHOUT_PARTS = (type, FunctionType, BuiltinFunctionType, ModuleType)


def _check_place(part: Any, attribute: str, trusted: frozenset[str]) -> None:
    """Check that an object stands in an attribute where it belongs."""
    name = _qualify(type(part))
    entry = INERT_TYPES.get(name)
    if entry is None or not entry.attributes or name in trusted:
        return
    where = f"in the attribute {attribute!r}" if attribute else "by itself"
    require(attribute in entry.attributes, type(part).__name__, f"it stands {where}, where none belongs")


def _check_part(part: Any, trusted: frozenset[str]) -> None:
    name = type(part).__name__
    if hasattr(part, "check_format") and hasattr(part, "indptr"):
        try:
            part.check_format(full_check=True)
        except ValueError as error:
            raise ModelDamagedError(f"the state of a {name} is damaged: {error}") from error
    if not type(part).__module__.startswith("sklearn.") or not hasattr(part, "__dict__"):
        return
    for attribute, value in vars(part).items():
        hides_method = callable(getattr(type(part), str(attribute), None))
        require(not hides_method, name, f"its attribute {attribute!r} hides a method")
        if attribute in _METHOD_NAMES:
            names = value if isinstance(value, (list, tuple)) else [value]
            is_known = all(one is None or (isinstance(one, str) and one in _METHODS) for one in names)
            require(is_known, name, f"its {attribute} names no prediction method")
    for base, rule in _RULES.items():
        if _is_a(part, base):
            rule(part, trusted)


_METHOD_NAMES = ("stack_method", "stack_method_", "chain_method", "chain_method_", "response_method")
_METHODS = ("auto", "predict", "predict_proba", "predict_log_proba", "decision_function", "transform")
"""The methods that an estimator may call on another by a name from its state."""


def _count_features(estimator: Any) -> int:
    """The number of features that an estimator accepts; without it, scikit-learn checks nothing."""
    count = vars(estimator).get("n_features_in_")
    require(type(count) is int and count >= 1, type(estimator).__name__, "n_features_in_ is no count")
    return int(count)


def _check_decision_tree(estimator: Any, trusted: frozenset[str]) -> None:
    if "tree_" not in vars(estimator) or _TREE in trusted:
        return
    name = type(estimator).__name__
    require(_qualify(type(estimator.tree_)) == _TREE, name, "its tree_ is no tree")
    features = _count_features(estimator)
    require(estimator.tree_.n_features == features, name, "its tree is for another number of features")


def _list_trees(estimator: Any, members: Any) -> list[Any]:
    """The trees of an ensemble, each in a decision tree of scikit-learn."""
    name = type(estimator).__name__
    require(all(_is_a(one, "BaseDecisionTree") for one in members), name, "a member is no decision tree")
    trees = [vars(member).get("tree_") for member in members]
    require(all(_qualify(type(tree)) == _TREE for tree in trees), name, "a member has no tree")
    return trees


def _check_forest(estimator: Any, trusted: frozenset[str]) -> None:
    if "estimators_" not in vars(estimator) or _TREE in trusted:
        return
    name, features = type(estimator).__name__, _count_features(estimator)
    require(isinstance(estimator.estimators_, list), name, "its members are no list")
    for tree in _list_trees(estimator, estimator.estimators_):
        require(tree.n_features == features, name, "a tree is for another number of features")


def _check_isolation_forest(estimator: Any, trusted: frozenset[str]) -> None:
    if "estimators_" not in vars(estimator) or _TREE in trusted:
        return
    name, features = type(estimator).__name__, _count_features(estimator)
    chosen = vars(estimator).get("estimators_features_")
    require(
        isinstance(estimator.estimators_, list) and isinstance(chosen, list), name, "its members are no list"
    )
    require(len(chosen) == len(estimator.estimators_), name, "not every member has its features")
    uses_all = bool(vars(estimator).get("_max_features") == features)
    for tree, columns in zip(_list_trees(estimator, estimator.estimators_), chosen, strict=True):
        width = features if uses_all else len(_check_columns(columns, features, name))
        require(tree.n_features == width, name, "a tree is for another number of features")


def _check_columns(columns: Any, features: int, name: str) -> Any:
    is_array = type(columns) is np.ndarray and columns.ndim == 1 and columns.dtype.kind == "i"
    require(is_array and len(columns), name, "the features of a member are no indices")
    require(columns.min() >= 0 and columns.max() < features, name, "the index of a feature is out of range")
    return columns


def _check_gradient_boosting(estimator: Any, trusted: frozenset[str]) -> None:
    if "estimators_" not in vars(estimator) or _TREE in trusted:
        return
    name, features = type(estimator).__name__, _count_features(estimator)
    members, columns = estimator.estimators_, vars(estimator).get("n_trees_per_iteration_")
    is_table = type(members) is np.ndarray and members.ndim == 2 and members.size > 0
    require(is_table, name, "its members are no table")
    require(type(columns) is int and members.shape[1] == columns, name, "a wrong n_trees_per_iteration_")
    for tree in _list_trees(estimator, members.ravel().tolist()):
        require(tree.n_features == features, name, "a tree is for another number of features")
        require(tree.n_outputs == tree.max_n_classes == 1, name, "a tree of more than one value")


def _check_initial_predictions(estimator: Any) -> None:
    """Check that the predictions that boosting starts from have a column for each tree of a round."""
    initial = vars(estimator).get("init_")
    if "estimators_" not in vars(estimator) or (isinstance(initial, str) and initial == "zero"):
        return
    name = type(estimator).__name__
    if _qualify(type(initial)) not in _INITIAL:
        raise ModelNotTrustedError(
            f"a {name} whose init is a {type(initial).__name__}: compiled code adds to its predictions, "
            "whose shape cannot be checked. If you trust where the model comes from, pass "
            f"trusted_types=[{_TREE!r}]"
        )
    for rows in (2, 3):
        start = estimator._raw_predict_init(np.zeros((rows, estimator.n_features_in_), dtype=np.float32))
        is_table = start.shape == (rows, estimator.n_trees_per_iteration_)
        require(is_table, name, "its init predicts another number of columns")


_INITIAL = ("sklearn.dummy.DummyClassifier", "sklearn.dummy.DummyRegressor")


def _check_hist_gradient_boosting(estimator: Any, trusted: frozenset[str]) -> None:
    if "_predictors" not in vars(estimator) or _PREDICTOR in trusted:
        return
    name, features = type(estimator).__name__, _count_features(estimator)
    if vars(estimator).get("_preprocessor") is not None:
        raise ModelNotTrustedError(
            f"a {name} with columns of categories: compiled code trusts the columns that its preprocessor "
            f"makes. If you trust where the model comes from, pass trusted_types=[{_PREDICTOR!r}]"
        )
    require(not vars(estimator).get("_in_fit"), name, "it says that it is being fitted")
    mapper = vars(estimator).get("_bin_mapper")
    require(type(mapper).__name__ == "_BinMapper", name, "it has no bins")
    is_categorical = vars(mapper).get("is_categorical_")
    fits = type(is_categorical) is np.ndarray and is_categorical.shape == (features,)
    require(fits and is_categorical.dtype == np.uint8, name, "its bins are for another number of features")
    rounds = estimator._predictors
    is_table = isinstance(rounds, list) and all(isinstance(one, list) for one in rounds)
    require(is_table, name, "its predictors are no lists")
    for predictor in (one for several in rounds for one in several):
        require(_qualify(type(predictor)) == _PREDICTOR, name, "a predictor is none")
        _check_predictor(predictor, is_categorical)


def _check_predictor(predictor: Any, is_categorical: Any) -> None:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    name = type(predictor).__name__
    for array in ("nodes", "raw_left_cat_bitsets", "binned_left_cat_bitsets"):
        value = vars(predictor).get(array)
        require(type(value) is np.ndarray, name, f"its {array} are no array")
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
        require(array.ndim == 2 and array.shape[1] == 8, name, "its bit sets are of a wrong shape")
        require(np.all(splits["bitset_idx"] < len(array)), name, "a bit set's index is out of range")


_RULES: Mapping[str, Callable[[Any, frozenset[str]], None]] = {
    "BaseDecisionTree": _check_decision_tree,
    "BaseForest": _check_forest,
    "IsolationForest": _check_isolation_forest,
    "BaseGradientBoosting": _check_gradient_boosting,
    "BaseHistGradientBoosting": _check_hist_gradient_boosting,
}
