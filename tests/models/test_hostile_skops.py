"""Hostile skops files: none executes code, none crashes the process; each ends with an error of sparksig.

The files are those of real models with one change each. Another process loads them and predicts with what it
loaded, because a missing check would end that process, or let it hang.
"""

from __future__ import annotations

import io
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier

import sparksig
from sparksig import ModelDamagedError, ModelNotTrustedError
from sparksig.models.flavors.interface import LoadOptions
from sparksig.models.flavors.skops_file import find_untrusted_types
from sparksig.models.inert_types import INERT_TYPES
from sparksig.models.loading import load_directory
from sparksig.models.trust import Trust
from tests.models.helpers import unsealed
from tests.models.hostile_skops import (
    SkopsArchive,
    attributes,
    dict_node,
    json_node,
    list_node,
    named_node,
    run_predictions,
    tuple_node,
    type_node,
)

ROWS = 60
RANDOM = np.random.default_rng(5)
DATA = pd.DataFrame(RANDOM.random((ROWS, 3)), columns=["a", "b", "c"])
CLASSES, THREE = np.arange(ROWS) % 2, np.arange(ROWS) % 3
BIG = 10**7
PLAIN = LinearRegression().fit(DATA, THREE)


def _search():
    return GridSearchCV(DecisionTreeClassifier(max_depth=3), {"max_depth": [2, 3]}, cv=2)


def _ball(metric, **params):
    return KNeighborsClassifier(
        algorithm="ball_tree", leaf_size=4, metric=metric, metric_params=params or None
    )


MODELS = {
    "tree": lambda: DecisionTreeClassifier(max_depth=3).fit(DATA, THREE),
    "tree-with-random-state": lambda: DecisionTreeClassifier(
        max_depth=3, random_state=np.random.RandomState(0)
    ).fit(DATA, THREE),
    "forest": lambda: RandomForestClassifier(2, max_depth=3).fit(DATA, THREE),
    "search": lambda: _search().fit(DATA, THREE),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=2).fit(DATA, THREE),
    "isolation": lambda: IsolationForest(n_estimators=2, max_features=2).fit(DATA),
    "histogram": lambda: HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=3).fit(DATA, CLASSES),
    "neighbors": lambda: KNeighborsClassifier(leaf_size=4).fit(DATA, THREE),
    "ball": lambda: _ball("minkowski").fit(DATA, THREE),
    "ball-seuclidean": lambda: _ball("seuclidean", V=np.ones(3)).fit(DATA, THREE),
    "ball-mahalanobis": lambda: _ball("mahalanobis", VI=np.eye(3)).fit(DATA, THREE),
    "brute": lambda: KNeighborsClassifier(algorithm="brute").fit(DATA, THREE),
    "sparse": lambda: KNeighborsClassifier().fit(scipy.sparse.csr_matrix(DATA.to_numpy()), THREE),
    "svc": lambda: SVC().fit(DATA, THREE),
    "svr": lambda: SVR().fit(DATA, THREE),
    "clusters": lambda: KMeans(2, n_init=1).fit(DATA),
    "stacking": lambda: StackingClassifier([("t", DecisionTreeClassifier())], cv=2).fit(DATA, CLASSES),
    "linear": lambda: PLAIN,
}


# --- changes of a file ----------------------------------------------------------------------------------


def in_tree(**fields):
    """Put values into the first node of the first tree."""

    def change(archive):
        def assign(nodes):
            for field, value in fields.items():
                nodes[field][0] = value

        archive.change_array(archive.node("Tree")["content"]["content"]["nodes"], assign)

    return change


def of_tree(part, make):
    """Replace a part of the first tree's state."""

    def change(archive):
        content = archive.node("Tree")["content"]["content"]
        content[part] = make(archive, content[part])

    return change


def argument_of_tree(index, make):
    def change(archive):
        for node in archive.nodes("Tree"):
            if "__reduce__" in node:
                node["__reduce__"]["args"]["content"][index] = make(archive)

    return change


def in_class(name, attribute, make):
    """Replace an attribute of all objects of a class; ``make`` gets the archive and the old node."""

    def change(archive):
        for node in archive.nodes(name):
            content = attributes(node)
            content[attribute] = make(archive, content.get(attribute))
            node["content"]["key_types"]["content"] = [type_node() for _ in content]

    return change


def without(name, attribute):
    def change(archive):
        node = archive.node(name)
        del attributes(node)[attribute]
        node["content"]["key_types"]["content"].pop()

    return change


def array_in(name, attribute, edit):
    """Edit the array in an attribute of the first object of a class."""

    def change(archive):
        archive.change_array(attributes(archive.node(name))[attribute], edit)

    return change


def in_predictor(attribute, edit):
    return array_in("TreePredictor", attribute, edit)


def in_neighbors(name, index, make):
    """Replace a part of the state of a neighbors tree."""

    def change(archive):
        parts = archive.node(name)["content"]["content"]
        parts[index] = make(archive, parts[index])

    return change


def array_of_neighbors(name, index, edit):
    def change(archive):
        archive.change_array(archive.node(name)["content"]["content"][index], edit)

    return change


def constant(value):
    return lambda archive, node=None: json_node(value)


def an_array(array):
    return lambda archive, node=None: archive.array_node(np.asarray(array))


def a_function(function=np.exp):
    """A node of a NumPy function that skops trusts; its name is that of the installed version."""
    [node] = SkopsArchive(FunctionTransformer(function)).nodes(function.__name__)
    return lambda archive, old=None: dict(node)


def objects(archive, node=None):
    """An array of objects in the place of numbers."""
    return {
        "__class__": "ndarray",
        "__module__": "numpy",
        "__loader__": "NdArrayNode",
        "type": "json",
        "content": [json_node(1)],
        "shape": tuple_node([json_node(1)]),
    }


def put(index, value):
    def edit(array):
        array[index] = value

    return edit


def put_field(field, index, value):
    def edit(array):
        array[field][index] = value

    return edit


def put_into_split(field, value):
    """Put a value into the first inner node of a predictor of histogram boosting."""

    def edit(nodes):
        nodes[field][np.flatnonzero(nodes["is_leaf"] == 0)[0]] = value

    return edit


def shorten(array):
    return array[:-1]


def split_by_a_missing_bit_set(archive):
    """Call all features categories, and let a node ask for a bit set that the file does not have."""
    array_in("_BinMapper", "is_categorical_", put(slice(None), 1))(archive)
    in_predictor("nodes", put_into_split("is_categorical", 1))(archive)


def hostile_indices(archive):
    node = archive.nodes("csr_matrix")[0]
    matrix = scipy.sparse.load_npz(io.BytesIO(archive.files[node["file"]]))
    matrix.indices[0] = BIG
    buffer = io.BytesIO()
    scipy.sparse.save_npz(buffer, matrix)
    archive.files[node["file"]] = buffer.getvalue()


def tree_in_the_place_of_an_estimator(archive):
    content = attributes(archive.schema)
    content["best_estimator_"] = archive.nodes("Tree")[0]


def predictor_in_the_place_of_an_estimator(archive):
    content = attributes(archive.schema)
    content["classes_"] = archive.nodes("TreePredictor")[0]


def metric_elsewhere(archive):
    attributes(archive.schema)["metric_params"] = archive.nodes("SEuclideanDistance64")[0]


def a_smaller_forest_than_its_trees(archive):
    attributes(archive.schema)["n_features_in_"] = json_node(2)


def fewer_initial_columns(archive):
    dummy = attributes(archive.node("DummyClassifier"))
    for name in ("class_prior_", "classes_"):
        archive.change_array(dummy[name], lambda array: array[:2])
    dummy["n_classes_"] = json_node(2)


def itself(archive):
    content = attributes(archive.schema)
    archive.schema["__id__"] = 77
    content["extra_"] = {"__id__": 77, **named_node("builtins.list", "ListNode", content=[])}


def by_its_id(archive):
    attributes(archive.schema)["intercept_"] = {**named_node("x.x", "CachedNode"), "__id__": 78}


TREE = "the state of a Tree is damaged: "
PREDICTOR = "the state of a TreePredictor is damaged: "
KD = "the state of a KDTree is damaged: "
BALL = "the state of a BallTree is damaged: "

CASES = {
    # trees
    "left-child-out-of-range": (
        "tree",
        in_tree(left_child=BIG),
        TREE + "a child's index is out of the range",
    ),
    "right-child-out-of-range": (
        "tree",
        in_tree(right_child=BIG),
        TREE + "a child's index is out of the range",
    ),
    "child-is-negative": ("tree", in_tree(left_child=-7), TREE + "a child's index is out of the range"),
    "right-child-is-missing": ("tree", in_tree(right_child=-1), TREE + "a child's index is out of the range"),
    "child-is-the-root": ("tree", in_tree(left_child=0), TREE + "a child's index is out of the range"),
    "leaf-with-a-child": ("tree", in_tree(left_child=-1), TREE + "a leaf has a right child"),
    "children-are-one": (
        "tree",
        in_tree(left_child=2, right_child=2),
        TREE + "a node does not have exactly one parent",
    ),
    "children-before-parents": (
        "tree",
        of_tree(
            "nodes",
            lambda archive, node: archive.array_node(_swap_first_levels(archive.array(node))),
        ),
        TREE + "a child precedes its parent",
    ),
    "feature-out-of-range": (
        "tree",
        in_tree(feature=BIG),
        TREE + "a feature's index is out of the range of 3",
    ),
    "feature-is-negative": ("tree", in_tree(feature=-5), TREE + "a feature's index is out of the range of 3"),
    "more-nodes-than-there-are": ("tree", of_tree("node_count", constant(BIG)), TREE + "a wrong node_count"),
    "fewer-nodes-than-there-are": ("tree", of_tree("node_count", constant(1)), TREE + "a wrong node_count"),
    "nodes-are-text": ("tree", of_tree("nodes", constant("x")), TREE + "it has no array of nodes"),
    "nodes-are-objects": ("tree", of_tree("nodes", objects), TREE + "it has no array of nodes"),
    "nodes-are-a-function": ("tree", of_tree("nodes", a_function()), TREE + "it has no array of nodes"),
    "nodes-are-numbers": ("tree", of_tree("nodes", an_array(np.zeros(9))), TREE + "it has no array of nodes"),
    "nodes-of-other-fields": (
        "tree",
        of_tree("nodes", an_array(np.zeros(9, dtype=[("x", "i8")]))),
        TREE + "its nodes lack fields",
    ),
    "no-nodes": (
        "tree",
        of_tree("nodes", lambda archive, node: archive.array_node(archive.array(node)[:0])),
        TREE + "it has no array of nodes",
    ),
    "values-too-short": (
        "tree",
        of_tree("values", lambda archive, node: archive.array_node(archive.array(node)[:-1])),
        TREE + "its values do not have the shape",
    ),
    "values-are-integers": (
        "tree",
        of_tree("values", lambda archive, node: archive.array_node(archive.array(node).astype(int))),
        TREE + "its values do not have the shape",
    ),
    "depth-too-small": ("tree", of_tree("max_depth", constant(0)), TREE + "a wrong max_depth"),
    "depth-too-large": ("tree", of_tree("max_depth", constant(2**62)), TREE + "a wrong max_depth"),
    "outputs-too-many": (
        "tree",
        argument_of_tree(2, constant(10**9)),
        TREE + "it does not have a count of classes",
    ),
    "outputs-beyond-memory": (
        "tree",
        argument_of_tree(2, constant(2**62)),
        TREE + "its sizes are not positive integers",
    ),
    "outputs-are-negative": (
        "tree",
        argument_of_tree(2, constant(-1)),
        TREE + "its sizes are not positive integers",
    ),
    "no-counts-of-classes": (
        "tree",
        argument_of_tree(1, an_array(np.zeros(0, dtype=np.int64))),
        TREE + "it does not have a count of classes",
    ),
    "classes-beyond-memory": (
        "tree",
        argument_of_tree(1, an_array(np.array([2**60]))),
        TREE + "its values do not have the shape",
    ),
    "classes-are-negative": (
        "tree",
        argument_of_tree(1, an_array([-1])),
        TREE + "a count of classes is below 1",
    ),
    "tree-of-more-features": (
        "tree",
        argument_of_tree(0, constant(50)),
        "its tree is for another number of features",
    ),
    "estimator-without-features": (
        "tree",
        without("DecisionTreeClassifier", "n_features_in_"),
        "is not a positive integer",
    ),
    "estimator-of-more-features": (
        "tree",
        in_class("DecisionTreeClassifier", "n_features_in_", constant(9)),
        "its tree is for another number of features",
    ),
    "tree-is-a-function": (
        "tree",
        in_class("DecisionTreeClassifier", "tree_", a_function()),
        "its tree_ is not a tree",
    ),
    "tree-is-an-estimator": (
        "search",
        tree_in_the_place_of_an_estimator,
        "it is not allowed in the attribute 'best_estimator_'",
    ),
    "method-is-hidden": (
        "tree",
        in_class("DecisionTreeClassifier", "_validate_X_predict", a_function(np.maximum)),
        "its attribute '_validate_X_predict' hides a method",
    ),
    "position-of-a-random-state": (
        "tree-with-random-state",
        lambda archive: archive.node("RandomState")["content"]["content"]["state"]["content"].update(
            pos=json_node(BIG)
        ),
        "the state of a RandomState is damaged: its position is out of range",
    ),
    "key-of-a-random-state": (
        "tree-with-random-state",
        lambda archive: archive.node("RandomState")["content"]["content"]["state"]["content"].update(
            key=archive.array_node(np.zeros(3, dtype=np.uint32))
        ),
        "the state of a RandomState is damaged: its key does not have 624 integers",
    ),
    # ensembles
    "forest-of-fewer-features": (
        "forest",
        a_smaller_forest_than_its_trees,
        "a RandomForestClassifier is damaged: a tree is for another number of features",
    ),
    "member-is-no-tree": (
        "forest",
        in_class("RandomForestClassifier", "estimators_", lambda archive, node: list_node([json_node("x")])),
        "a member is not a decision tree",
    ),
    "members-are-no-list": (
        "forest",
        in_class("RandomForestClassifier", "estimators_", a_function()),
        "its members are not a list",
    ),
    "boosting-of-fewer-columns": (
        "boosting",
        fewer_initial_columns,
        "its init predicts another number of columns",
    ),
    "boosting-of-one-column": (
        "boosting",
        in_class("GradientBoostingClassifier", "n_trees_per_iteration_", constant(1)),
        "a wrong n_trees_per_iteration_",
    ),
    "boosting-from-a-function": (
        "boosting",
        in_class("GradientBoostingClassifier", "init_", a_function()),
        "ModelNotTrustedError: .* whose init is a ufunc",
    ),
    "isolation-feature-out-of-range": (
        "isolation",
        lambda archive: archive.change_array(
            attributes(archive.node("IsolationForest"))["estimators_features_"]["content"][0], put(0, BIG)
        ),
        "the index of a feature is out of range",
    ),
    "isolation-of-fewer-features": (
        "isolation",
        lambda archive: archive.change_array(
            attributes(archive.node("IsolationForest"))["estimators_features_"]["content"][0], shorten
        ),
        "a tree is for another number of features",
    ),
    # histogram boosting
    "predictor-child-out-of-range": (
        "histogram",
        in_predictor("nodes", put_into_split("left", BIG)),
        PREDICTOR + "a child's index is out of the range",
    ),
    "predictor-is-a-circle": (
        "histogram",
        in_predictor("nodes", put_into_split("left", 0)),
        PREDICTOR + "a child's index is out of the range",
    ),
    "predictor-feature-out-of-range": (
        "histogram",
        in_predictor("nodes", put_into_split("feature_idx", BIG)),
        PREDICTOR + "a feature's index is out of the range of 3",
    ),
    "predictor-feature-is-negative": (
        "histogram",
        in_predictor("nodes", put_into_split("feature_idx", -9)),
        PREDICTOR + "a feature's index is out of the range of 3",
    ),
    "predictor-splits-numbers-by-categories": (
        "histogram",
        in_predictor("nodes", put_into_split("is_categorical", 1)),
        PREDICTOR + "it splits a number by categories",
    ),
    "predictor-without-leaves": (
        "histogram",
        in_predictor("nodes", put_field("is_leaf", slice(None), 0)),
        PREDICTOR,
    ),
    "predictor-bit-set-out-of-range": (
        "histogram",
        split_by_a_missing_bit_set,
        PREDICTOR + "a bit set's index is out of range",
    ),
    "predictor-bit-sets-too-narrow": (
        "histogram",
        in_predictor("raw_left_cat_bitsets", lambda array: np.ascontiguousarray(array[:, :2])),
        PREDICTOR + "its bit sets have a wrong shape",
    ),
    "predictor-nodes-are-a-function": (
        "histogram",
        in_class("TreePredictor", "nodes", a_function()),
        "cannot be read|damaged",
    ),
    "predictor-nodes-are-objects": (
        "histogram",
        in_class("TreePredictor", "nodes", objects),
        "cannot be read|damaged",
    ),
    "predictor-elsewhere": (
        "histogram",
        predictor_in_the_place_of_an_estimator,
        "it is not allowed in the attribute 'classes_'",
    ),
    "bins-of-fewer-features": (
        "histogram",
        array_in("_BinMapper", "is_categorical_", shorten),
        "its bins are for another number of features",
    ),
    "says-that-it-is-being-fitted": (
        "histogram",
        in_class("HistGradientBoostingClassifier", "_in_fit", constant(True)),
        "its _in_fit is set",
    ),
    # neighbors trees, and distances
    "sample-out-of-range": (
        "neighbors",
        array_of_neighbors("KDTree", 1, put(0, BIG)),
        KD + "an index of a sample",
    ),
    "sample-is-negative": (
        "neighbors",
        array_of_neighbors("KDTree", 1, put(0, -BIG)),
        KD + "an index of a sample",
    ),
    "sample-twice": (
        "neighbors",
        array_of_neighbors("KDTree", 1, put(slice(0, 2), 1)),
        KD + "an index of a sample",
    ),
    "too-few-samples": ("neighbors", array_of_neighbors("KDTree", 1, shorten), KD + "an index of a sample"),
    "range-ends-late": (
        "neighbors",
        array_of_neighbors("KDTree", 2, put_field("idx_end", 3, BIG)),
        KD + "a range of samples is out of range",
    ),
    "range-starts-early": (
        "neighbors",
        array_of_neighbors("KDTree", 2, put_field("idx_start", 3, -BIG)),
        KD + "a range of samples is out of range",
    ),
    "ranges-overlap": (
        "neighbors",
        array_of_neighbors("KDTree", 2, put_field("idx_start", 4, 0)),
        KD + "the samples of a node differ from those of its children",
    ),
    "root-is-a-leaf": (
        "neighbors",
        array_of_neighbors("KDTree", 2, put_field("is_leaf", 0, 1)),
        KD + "a node above the last level is a leaf",
    ),
    "no-leaves": (
        "neighbors",
        array_of_neighbors("KDTree", 2, put_field("is_leaf", slice(None), 0)),
        KD + "a node of the last level is not a leaf",
    ),
    "more-levels": ("neighbors", in_neighbors("KDTree", 5, constant(39)), KD + "its n_nodes does not match"),
    "levels-beyond-memory": (
        "neighbors",
        in_neighbors("KDTree", 5, constant(10**6)),
        KD + "its leaf_size or n_levels",
    ),
    "more-nodes-in-the-tree": (
        "neighbors",
        in_neighbors("KDTree", 6, constant(BIG)),
        KD + "its n_nodes does not match",
    ),
    "number-beyond-64-bits": (
        "neighbors",
        in_neighbors("KDTree", 7, constant(2**70)),
        KD + "a number is out of range",
    ),
    "bounds-too-short": (
        "neighbors",
        array_of_neighbors("KDTree", 3, lambda array: np.ascontiguousarray(array[:1])),
        KD + "its bounds have a wrong shape",
    ),
    "data-are-objects": ("neighbors", in_neighbors("KDTree", 0, objects), KD + "its data is not an array"),
    "data-of-fewer-features": (
        "neighbors",
        array_of_neighbors("KDTree", 0, lambda array: np.ascontiguousarray(array[:, :1])),
        KD + "its bounds have a wrong shape",
    ),
    "no-metric": (
        "neighbors",
        in_neighbors("KDTree", 11, constant(None)),
        KD + "its metric is not a known distance",
    ),
    "metric-is-a-function": (
        "neighbors",
        in_neighbors("KDTree", 11, a_function()),
        KD + "its metric is not a known distance",
    ),
    "weights-too-short": (
        "neighbors",
        in_neighbors("KDTree", 12, an_array(np.ones(2))),
        KD + "wrong sample weights",
    ),
    "state-too-short": (
        "neighbors",
        lambda archive: archive.node("KDTree")["content"]["content"].pop(),
        KD + "its state is not a tuple of thirteen",
    ),
    "state-is-a-dict": (
        "neighbors",
        lambda archive: archive.node("KDTree").update(content=dict_node({"data": json_node(1)})),
        KD + "its state is not a tuple of thirteen",
    ),
    "ball-sample-out-of-range": (
        "ball",
        array_of_neighbors("BallTree", 1, put(0, BIG)),
        BALL + "an index of a sample",
    ),
    "ball-ranges-overlap": (
        "ball",
        array_of_neighbors("BallTree", 2, put_field("idx_start", 4, 0)),
        BALL + "the samples of a node differ from those of its children",
    ),
    "metric-vector-too-short": (
        "ball-seuclidean",
        lambda archive: archive.change_array(
            archive.node("SEuclideanDistance64")["content"]["content"][1], shorten
        ),
        BALL + "its metric is for vectors of another size",
    ),
    "metric-matrix-too-small": (
        "ball-mahalanobis",
        lambda archive: archive.change_array(
            archive.node("MahalanobisDistance64")["content"]["content"][2], lambda array: np.eye(1)
        ),
        BALL + "its metric is for vectors of another size",
    ),
    "metric-matrix-is-not-square": (
        "ball-mahalanobis",
        lambda archive: archive.change_array(
            archive.node("MahalanobisDistance64")["content"]["content"][2], lambda array: np.ones((3, 1))
        ),
        "the state of a MahalanobisDistance64 is damaged: its matrix is not square",
    ),
    "metric-elsewhere": (
        "ball-seuclidean",
        metric_elsewhere,
        "it is not allowed in the attribute 'metric_params'",
    ),
    "label-out-of-range": (
        "brute",
        array_in("KNeighborsClassifier", "_y", put(0, BIG)),
        "a label is out of the range",
    ),
    "sparse-index-out-of-range": ("sparse", hostile_indices, "the state of a csr_matrix is damaged"),
    # estimators that skops trusts
    "coefficients-too-short": (
        "svc",
        array_in("SVC", "_dual_coef_", lambda array: array[:1]),
        "its coefficients have a wrong shape",
    ),
    "support-too-long": (
        "svr",
        array_in("SVR", "support_", lambda array: np.concatenate([array, array])),
        "its coefficients have a wrong shape",
    ),
    "support-out-of-range": (
        "svc",
        array_in("SVC", "support_", put(0, BIG)),
        "an index of its support is out of range",
    ),
    "counts-of-vectors": (
        "svc",
        array_in("SVC", "_n_support", put(0, BIG)),
        "its counts of vectors are wrong",
    ),
    "kernel-is-a-function": (
        "svc",
        in_class("SVC", "kernel", a_function(np.add)),
        "its kernel .* is not in trusted_types",
    ),
    "centers-of-fewer-features": (
        "clusters",
        array_in("KMeans", "cluster_centers_", lambda array: np.ascontiguousarray(array[:, :1])),
        "its centers have a wrong shape",
    ),
    "threads-without-end": ("clusters", in_class("KMeans", "_n_threads", constant(BIG)), "number of threads"),
    "method-that-fits": (
        "stacking",
        in_class("StackingClassifier", "stack_method_", lambda archive, node: list_node([json_node("fit")])),
        "its stack_method_ is not a prediction method",
    ),
    # the file itself
    "object-that-contains-itself": ("linear", itself, "contains itself"),
    "object-by-its-id": ("linear", by_its_id, "refers to an (unknown )?object"),
}


def _swap_first_levels(nodes):
    """A tree whose second and third level changed places, so that a child precedes its parent."""
    nodes = nodes.copy()
    inner = np.flatnonzero(nodes["left_child"] != -1)
    parent, child = inner[0], inner[-1]
    grandchild = nodes["left_child"][child]
    nodes["left_child"][parent], nodes["left_child"][child] = grandchild, nodes["left_child"][parent]
    return nodes


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """The outcome of each hostile file."""
    home = tmp_path_factory.mktemp("hostile")
    DATA.head(5).to_json(home / "data.json", orient="split")
    fitted = {name: make() for name, make in MODELS.items()}
    template = home / "template"
    sparksig.save_model(template, fitted["linear"])
    directories = {}
    for name, (model, change, _) in CASES.items():
        archive = SkopsArchive(fitted[model])
        change(archive)
        directories[name] = shutil.copytree(template, home / name)
        (unsealed(directories[name]) / "model.skops").write_bytes(archive.to_bytes())
    for name in INERT_TYPES:
        for label, content in _junk(name).items():
            directories[f"{name} {label}"] = file = home / f"{name} {label}.skops"
            file.write_bytes(content)
    actual = run_predictions(directories.values(), home / "data.json")
    return {name: actual[str(path)] for name, path in directories.items()}


@pytest.mark.parametrize("name", CASES)
def test_hostile_state_is_refused_and_the_process_lives(outcomes, name):
    outcome, text = outcomes[name], CASES[name][2]
    assert re.match("ModelDamagedError: |ModelNotTrustedError: ", outcome), outcome
    assert re.search(text, outcome), outcome


# --- every type of the list -----------------------------------------------------------------------------


def _junk(name):
    """Files that hold an inert type, in the way that the list allows, with a state that makes no sense."""
    loader = INERT_TYPES[name].nodes[0]
    states = {
        "text": json_node("x"),
        "functions": dict_node({"nodes": a_function()(None), "data": json_node(None)}),
        "tuple": tuple_node([json_node(None)] * 13),
    }
    return {
        label: _holding(named_node(name, loader, **_as_content(loader, name, state)))
        for label, state in states.items()
    }


def _as_content(loader, name, state):
    """The keys that a kind of node needs, with a state in the place of each."""
    if loader in ("TypeNode", "FunctionNode"):
        return {}
    if loader == "TreeNode":
        return {"content": state, "__reduce__": {"args": state}}
    if loader == "DictNode":
        return {"content": {"x": state}, "key_types": list_node([type_node()])}
    if loader == "TupleNode":
        return {"content": [state]}
    if loader == "SparseMatrixNode":
        return {"type": "scipy", "file": "schema.json"}
    return {"content": state}


def _holding(node):
    """A file of a linear regression that holds a node in an attribute."""
    archive = SkopsArchive(PLAIN)
    attributes(archive.schema)["extra_"] = node
    archive.schema["content"]["key_types"]["content"].append(type_node())
    return archive.to_bytes()


@pytest.mark.parametrize("name", INERT_TYPES)
def test_senseless_state_of_an_inert_type_does_no_harm(outcomes, name):
    for label in _junk(name):
        outcome = outcomes[f"{name} {label}"]
        assert re.match(r"works$|\w+(Error|Exception|Warning): ", outcome), (label, outcome)


LOADERS = (
    "ObjectNode",
    "ConstructorFromReduceNode",
    "TypeNode",
    "FunctionNode",
    "ListNode",
    "SetNode",
    "TupleNode",
)


@pytest.mark.parametrize("name", INERT_TYPES)
def test_an_inert_type_that_is_used_otherwise_needs_permission(name):
    for loader in set(LOADERS) - set(INERT_TYPES[name].nodes):
        content = (
            [json_node(1)] if loader in ("ListNode", "SetNode", "TupleNode") else tuple_node([json_node(1)])
        )
        inspected = find_untrusted_types(io.BytesIO(_holding(named_node(name, loader, content=content))))
        assert inspected.untrusted == (name,), loader
        with pytest.raises(ModelNotTrustedError):
            inspected.build()


# --- code -----------------------------------------------------------------------------------------------


def _partial(archive, canary):
    return {
        **named_node("functools.partial", "PartialNode"),
        "content": {
            "func": named_node("os.makedirs", "FunctionNode"),
            "args": tuple_node([json_node(str(canary))]),
            "kwds": dict_node({}),
            "namespace": json_node(None),
        },
    }


def _distribution(archive, canary):
    code = f"import os; os.makedirs({str(canary)!r})"
    state = {"_parse_arg_template": json_node(code), "shapes": json_node(None), "_stats": json_node(None)}
    return named_node("scipy.stats._continuous_distns.uniform_gen", "ObjectNode", content=dict_node(state))


def _scorer(archive, canary):
    """A scorer that writes the rows of a prediction to a file, if a transformer may call it."""
    state = {
        "_sklearn_version": json_node(sklearn.__version__),
        "_score_func": named_node("sklearn.metrics._classification.accuracy_score", "FunctionNode"),
        "_sign": json_node(1),
        "_kwargs": dict_node({}),
        "_response_method": json_node("to_csv"),
    }
    scorer = named_node("sklearn.metrics._scorer._Scorer", "ObjectNode", content=dict_node(state))
    arguments = dict_node({"X": json_node(str(canary)), "y_true": json_node([0])})
    content = {
        "_sklearn_version": json_node(sklearn.__version__),
        "func": scorer,
        "kw_args": arguments,
        "validate": json_node(False),
    }
    return named_node(
        "sklearn.preprocessing._function_transformer.FunctionTransformer",
        "ObjectNode",
        content=dict_node(content),
    )


def _called(name):
    def make(archive, canary):
        return named_node(name, "ConstructorFromReduceNode", content=tuple_node([json_node(str(canary))]))

    return make


def _method(archive, canary):
    owner = attributes(archive.schema)["coef_"]
    return {
        **named_node("numpy.ndarray", "MethodNode"),
        "content": {"func": "tofile", "obj": json.loads(json.dumps(owner))},
    }


CODE = {
    "function": (lambda archive, canary: named_node("os.makedirs", "FunctionNode"), r"os\.makedirs"),
    "evaluation": (lambda archive, canary: named_node("builtins.eval", "FunctionNode"), r"builtins\.eval"),
    "call": (_called("os.makedirs"), r"os\.makedirs"),
    "call-of-a-listed-function": (
        _called("sklearn.metrics._classification.accuracy_score"),
        "accuracy_score",
    ),
    "call-of-a-listed-class": (_called("sklearn.tree._tree.Tree"), r"_tree\.Tree"),
    "partial": (_partial, r"functools\.partial"),
    "operator": (
        lambda archive, canary: named_node(
            "operator.methodcaller", "OperatorFuncNode", attrs=tuple_node([json_node("fit")])
        ),
        r"operator\.methodcaller",
    ),
    "bound-method": (_method, r"numpy\.ndarray\.tofile"),
    "distribution": (_distribution, r"uniform_gen \(distributions of scipy\.stats run exec"),
    "scorer": (_scorer, "it is not allowed in the attribute 'func'"),
    "loss-of-another-module": (
        lambda archive, canary: named_node(
            "antigravity.Loss", "LossNode", content=dict_node({}), __reduce__={"args": tuple_node([])}
        ),
        r"antigravity\.Loss",
    ),
}


@pytest.mark.parametrize("name", CODE)
def test_code_in_a_skops_file_is_refused_and_not_run(tmp_path, monkeypatch, name):
    make, text = CODE[name]
    (tmp_path / "antigravity.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    model = make_pipeline(FunctionTransformer(), LinearRegression()).fit(DATA, THREE)
    archive = SkopsArchive(model[-1])
    canary = tmp_path / "canary"
    attributes(archive.schema)["extra_"] = make(archive, canary)
    archive.schema["content"]["key_types"]["content"].append(type_node())
    sparksig.save_model(tmp_path / "m", model)
    (unsealed(tmp_path / "m") / "model.skops").write_bytes(archive.to_bytes())
    with pytest.raises((ModelNotTrustedError, ModelDamagedError), match=text):
        sparksig.load_model(tmp_path / "m").predict(DATA)
    assert not canary.exists()


def test_an_array_that_a_function_may_write_to_is_not_that_of_a_tree():
    """One array as the indices of a neighbors tree, and as the output of a function on the rows."""
    model = make_pipeline(
        FunctionTransformer(np.add, kw_args={"out": np.zeros(1)}), KNeighborsClassifier(leaf_size=4)
    )
    model[-1].fit(DATA, THREE)
    archive = SkopsArchive(model)
    shared = archive.node("KDTree")["content"]["content"][1]
    arguments = attributes(archive.node("FunctionTransformer"))["kw_args"]
    arguments["content"]["out"] = shared
    loaded = find_untrusted_types(io.BytesIO(archive.to_bytes())).build()
    indices = loaded[-1]._tree.get_arrays()[1]
    assert not np.shares_memory(loaded[0].kw_args["out"], indices)
    assert sorted(indices) == list(range(ROWS))


@pytest.mark.parametrize("trusted", [(), ("sklearn.tree._tree.Tree",)], ids=["inert", "named"])
def test_state_of_an_unpinned_tree_is_checked(tmp_path, trusted):
    archive = SkopsArchive(MODELS["tree"]())
    of_tree("max_depth", constant(0))(archive)
    sparksig.save_model(tmp_path / "m", MODELS["tree"](), sparksig.infer_signature(DATA))
    (tmp_path / "m" / "model.skops").write_bytes(archive.to_bytes())
    (tmp_path / "m" / "SHA256SUMS").unlink()
    with pytest.raises(ModelDamagedError, match="a wrong max_depth"):
        sparksig.load_model(tmp_path / "m", trusted_types=trusted)


def test_state_of_a_tree_is_not_checked_where_the_caller_pins_it(tmp_path):
    """Other libraries build trees that scikit-learn's rules do not fit; a pinned digest accepts them."""
    archive = SkopsArchive(MODELS["tree"]())
    of_tree("max_depth", constant(0))(archive)
    sparksig.save_model(tmp_path / "m", MODELS["tree"](), sparksig.infer_signature(DATA))
    (tmp_path / "m" / "model.skops").write_bytes(archive.to_bytes())
    (tmp_path / "m" / "SHA256SUMS").unlink()
    digest = sparksig.digest(tmp_path / "m")
    assert len(sparksig.load_model(tmp_path / "m", digest=digest).predict(DATA)) == ROWS
    worker = LoadOptions(Trust(digest=digest, knows_content=False))
    with pytest.raises(ModelDamagedError, match="a wrong max_depth"):
        load_directory(tmp_path / "m", worker)


@pytest.mark.parametrize("name", [name for name, entry in INERT_TYPES.items() if entry.is_native])
def test_senseless_arrays_of_a_native_type_are_refused(outcomes, name):
    assert outcomes[f"{name} tuple"] != "works"
    assert outcomes[f"{name} functions"] != "works"
