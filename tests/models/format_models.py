"""Small fitted models of every format, on scikit-learn's bundled data; each is made once a process."""

from __future__ import annotations

import functools
import warnings
from typing import Any, NamedTuple

import lightgbm
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import skl2onnx
import xgboost
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import sparksig
from tests.models.helpers import untrusted

IRISES = np.array(["setosa", "versicolor", "virginica"])


class Fitted(NamedTuple):
    """A model, a frame it predicts for, and the methods it has."""

    model: Any
    data: pd.DataFrame
    methods: tuple[str, ...] = ("predict",)
    trusted: tuple[str, ...] = ()

    def bare(self, method="predict", data=None):
        """Predict with the model itself, without this package."""
        data = self.data if data is None else data
        if isinstance(self.model, onnx.ModelProto):
            return run_graph(self.model, data)
        if isinstance(self.model, xgboost.Booster):
            return self.model.predict(xgboost.DMatrix(data))
        return getattr(self.model, method)(data)

    def signature(self, method="predict"):
        """Return the contract of a method, inferred from its input and output."""
        prediction = as_columns(self.bare(method))
        texts = isinstance(prediction, np.ndarray) and prediction.dtype.kind == "O"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sparksig.IntegerColumnWarning)
            return sparksig.infer_signature(self.data, prediction.tolist() if texts else prediction)


@functools.cache
def real(load, dtype="float64"):
    """Every third row of a bundled data set: a column-major frame, as what comes of Arrow, and its target."""
    data, target = load(as_frame=True, return_X_y=True)
    values = np.asfortranarray(data.to_numpy(dtype)[::3])
    return pd.DataFrame(values, columns=[str(name) for name in data]), target.to_numpy()[::3]


def _fit(model, load, methods=("predict",), labels=None):
    data, target = real(load)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data, target if labels is None else labels[target])
    return Fitted(model, data, methods)


def _trusting(fitted):
    return fitted._replace(trusted=tuple(untrusted(fitted.model)))


PROBABLE = ("predict", "predict_proba", "predict_log_proba", "decision_function")

SKLEARN = {
    "linear": lambda: _fit(LinearRegression(), load_diabetes),
    "boosted": lambda: _trusting(
        _fit(GradientBoostingClassifier(n_estimators=2, random_state=0), load_breast_cancer, PROBABLE)
    ),
    "histogram": lambda: _trusting(
        _fit(HistGradientBoostingRegressor(max_iter=2, random_state=0), load_diabetes)
    ),
    "pipeline": lambda: _fit(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)), load_wine, PROBABLE
    ),
    "text-labels": lambda: _fit(LogisticRegression(max_iter=500), load_iris, PROBABLE, IRISES),
    "text-labels-of-objects": lambda: _trusting(
        _fit(DecisionTreeClassifier(max_depth=2), load_iris, PROBABLE[:2], IRISES.astype(object))
    ),
    "transformer": lambda: _fit(make_pipeline(StandardScaler(), PCA(2)), load_wine, ("transform",)),
    "svc": lambda: _fit(SVC(), load_iris, ("predict", "decision_function")),
}


def _xgb(model, load, methods=("predict",), **more):
    return _fit(model.set_params(max_depth=2, n_jobs=1, **more), load, methods)


def _with_gaps(fitted):
    """The same model; the number that means "missing" stands in its data."""
    data = fitted.data.copy()
    data.iloc[::2, :2] = -999.0
    return fitted._replace(model=fitted.model.fit(data, real(load_diabetes)[1]), data=data)


def _xgb_ranker():
    data, target = real(load_iris)
    model = xgboost.XGBRanker(n_estimators=2, max_depth=2, n_jobs=1)
    return Fitted(model.fit(data, target, group=[len(data)]), data)


def _xgb_booster(**more):
    data, target = real(load_breast_cancer)
    params = {"objective": "binary:logistic", "max_depth": 2, "nthread": 1, **more}
    return Fitted(xgboost.train(params, xgboost.DMatrix(data, label=target), 3), data)


def _xgb_stopped_early():
    data, target = real(load_diabetes)
    model = xgboost.XGBRegressor(
        n_estimators=60, max_depth=4, learning_rate=0.9, n_jobs=1, early_stopping_rounds=2
    )
    model.fit(data[20:], target[20:], eval_set=[(data[:20], target[:20])], verbose=False)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    return Fitted(model, data)


def _xgb_two_targets():
    data, target = real(load_diabetes)
    model = xgboost.XGBRegressor(n_estimators=2, max_depth=2, n_jobs=1)
    return Fitted(model.fit(data, np.column_stack([target, -target])), data)


XGBOOST = {
    "xgb-booster": _xgb_booster,
    "xgb-booster-softprob": lambda: _xgb_booster(objective="multi:softprob", num_class=2),
    "xgb-regressor": lambda: _xgb(xgboost.XGBRegressor(n_estimators=3), load_diabetes),
    "xgb-missing": lambda: _with_gaps(
        _xgb(xgboost.XGBRegressor(n_estimators=3, missing=-999), load_diabetes)
    ),
    "xgb-dart": lambda: _xgb(xgboost.XGBRegressor(n_estimators=3, booster="dart"), load_diabetes),
    "xgb-linear": lambda: _fit(xgboost.XGBRegressor(n_estimators=3, booster="gblinear"), load_diabetes),
    "xgb-forest": lambda: _xgb(xgboost.XGBRFRegressor(n_estimators=3), load_diabetes),
    "xgb-stopped-early": _xgb_stopped_early,
    "xgb-two-targets": _xgb_two_targets,
    "xgb-classifier": lambda: _xgb(
        xgboost.XGBClassifier(n_estimators=2), load_breast_cancer, ("predict", "predict_proba")
    ),
    "xgb-classes": lambda: _xgb(
        xgboost.XGBClassifier(n_estimators=2), load_iris, ("predict", "predict_proba")
    ),
    "xgb-ranker": _xgb_ranker,
}


def _lgbm(model, load, methods=("predict",), labels=None):
    model.set_params(n_estimators=3, num_leaves=4, n_jobs=1, verbosity=-1, min_child_samples=5)
    return _fit(model, load, methods, labels)


def _lgbm_booster(**more):
    data, target = real(load_diabetes)
    params = {"objective": "regression", "num_leaves": 4, "verbosity": -1, "num_threads": 1, **more}
    return Fitted(lightgbm.train(params, lightgbm.Dataset(data, label=target), 3), data)


def _lgbm_stopped_early():
    data, target = real(load_diabetes)
    model = lightgbm.LGBMRegressor(n_estimators=60, learning_rate=0.9, n_jobs=1, verbosity=-1)
    stop = lightgbm.early_stopping(2, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LightGBM 4.6 has another name for eval_set
        model.fit(data[20:], target[20:], eval_set=[(data[:20], target[:20])], callbacks=[stop])
    assert 0 < model.best_iteration_ < 60
    return Fitted(model, data)


def _lgbm_ranker():
    data, target = real(load_iris)
    model = lightgbm.LGBMRanker(n_estimators=3, num_leaves=4, n_jobs=1, verbosity=-1, min_child_samples=5)
    return Fitted(model.fit(data, target, group=[len(data)]), data)


LIGHTGBM = {
    "lgbm-booster": _lgbm_booster,
    "lgbm-regressor": lambda: _lgbm(lightgbm.LGBMRegressor(), load_diabetes),
    "lgbm-linear-trees": lambda: _lgbm_booster(linear_tree=True),
    "lgbm-stopped-early": _lgbm_stopped_early,
    "lgbm-classifier": lambda: _lgbm(
        lightgbm.LGBMClassifier(), load_breast_cancer, ("predict", "predict_proba")
    ),
    "lgbm-classes": lambda: _lgbm(lightgbm.LGBMClassifier(), load_wine, ("predict", "predict_proba")),
    "lgbm-text-labels": lambda: _lgbm(
        lightgbm.LGBMClassifier(), load_iris, ("predict", "predict_proba"), IRISES
    ),
    "lgbm-text-labels-of-objects": lambda: _lgbm(
        lightgbm.LGBMClassifier(), load_iris, labels=IRISES.astype(object)
    ),
    "lgbm-two-text-labels": lambda: _lgbm(
        lightgbm.LGBMClassifier(),
        load_breast_cancer,
        ("predict", "predict_proba"),
        np.array(["malignant", "benign"]),
    ),
    "lgbm-other-numbers": lambda: _lgbm(
        lightgbm.LGBMClassifier(), load_iris, labels=np.array([-7, 0, 2**40])
    ),
    "lgbm-truth": lambda: _lgbm(
        lightgbm.LGBMClassifier(), load_breast_cancer, labels=np.array([False, True])
    ),
    "lgbm-ranker": _lgbm_ranker,
}
KEPT_BY_SKOPS = ("lgbm-booster", "lgbm-regressor", "lgbm-classes", "lgbm-text-labels")


# --- graphs -----------------------------------------------------------------------------------------------


def graph(nodes, inputs, outputs, constants=()):
    """A model of ONNX: its inputs and outputs as (name, type, shape), its constants as (name, array)."""
    sides = [
        [helper.make_tensor_value_info(*description) for description in side] for side in (inputs, outputs)
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants]
    graph = helper.make_graph(nodes, "graph", *sides, initializer=initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def run_graph(model, data):
    """Predict a frame with onnxruntime: one matrix for one input, else a column for each input."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    if len(inputs) == 1:
        feeds = {inputs[0].name: data.to_numpy()}
    else:
        feeds = {node.name: data[node.name].to_numpy() for node in inputs}
        feeds = {node.name: feeds[node.name].reshape([-1] + [1] * (len(node.shape) - 1)) for node in inputs}
    feeds = {
        name: value.astype(object) if value.dtype.kind in "OTU" else value for name, value in feeds.items()
    }
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds)))


def as_columns(prediction):
    """Return the outputs of a graph for a frame: also a frame, if all outputs are columns."""
    if not isinstance(prediction, dict):
        return prediction
    flat = all(value.ndim == 1 or value.shape[1:] == (1,) for value in prediction.values())
    return pd.DataFrame({k: v.reshape(-1) for k, v in prediction.items()}) if flat else prediction


def _converted(model, load, **options):
    data, _ = real(load, "float32")
    fitted = _fit(model, load).model
    kinds = [("X", skl2onnx.common.data_types.FloatTensorType([None, data.shape[1]]))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proto = skl2onnx.convert_sklearn(fitted, initial_types=kinds, target_opset=17, **options)
    return Fitted(proto, data)


def named_inputs():
    """A double, an int64, a bool and a string column, each as a separate input."""
    nodes = [
        helper.make_node("Cast", ["n"], ["n_double"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["x", "n_double"], ["product"]),
        helper.make_node("Neg", ["product"], ["negative"]),
        helper.make_node("Where", ["flag", "product", "negative"], ["y"]),
        helper.make_node("Identity", ["text"], ["label"]),
        helper.make_node("Add", ["n", "one"], ["next"]),
        helper.make_node("Not", ["flag"], ["other"]),
    ]
    kinds = {
        "x": TensorProto.DOUBLE,
        "n": TensorProto.INT64,
        "flag": TensorProto.BOOL,
        "text": TensorProto.STRING,
        "y": TensorProto.DOUBLE,
        "label": TensorProto.STRING,
        "next": TensorProto.INT64,
        "other": TensorProto.BOOL,
    }
    sides = [(name, kind, [None]) for name, kind in kinds.items()]
    model = graph(nodes, sides[:4], sides[4:], [("one", np.array(1))])
    data = pd.DataFrame(
        {"x": [0.1, -2.5, 1e300], "n": [1, -3, 2**40], "flag": [True, False, True], "text": ["a", "", "é"]}
    )
    return Fitted(model, data)


def _converted_columns():
    """Convert for a table with skl2onnx: an input of one column for each column."""
    data, target = real(load_diabetes, "float32")
    data = data[["bmi", "bp"]].assign(sex=np.where(data["sex"] > 0, "f", "m"))
    steps = [("text", OneHotEncoder(), ["sex"]), ("number", StandardScaler(), ["bmi", "bp"])]
    model = make_pipeline(ColumnTransformer(steps), LinearRegression()).fit(data, target)
    kinds = skl2onnx.common.data_types
    types = [kinds.FloatTensorType, kinds.FloatTensorType, kinds.StringTensorType]
    initial = [(name, kind([None, 1])) for name, kind in zip(data, types)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Fitted(skl2onnx.convert_sklearn(model, initial_types=initial, target_opset=17), data)


def matrix_graph(kind=TensorProto.DOUBLE, wide=32):
    """Wines times a matrix: large enough for its weights to lie in a file of their own."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    data, _ = real(load_wine, dtype)
    weights = np.random.default_rng(0).standard_normal((data.shape[1], wide)).astype(dtype)
    model = graph(
        [helper.make_node("MatMul", ["X", "W"], ["Y"])],
        [("X", kind, [None, data.shape[1]])],
        [("Y", kind, [None, wide])],
        [("W", weights)],
    )
    return Fitted(model, data)


def summed_graph(kind=TensorProto.DOUBLE):
    """The sum of each row; its output is a column, as MLflow makes one of all outputs."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    data, _ = real(load_iris, dtype)
    nodes = [helper.make_node("ReduceSum", ["X", "axes"], ["total"], keepdims=0)]
    model = graph(nodes, [("X", kind, [None, 4])], [("total", kind, [None])], [("axes", np.array([1]))])
    return Fitted(model, data)


ONNX = {
    "onnx-regressor": lambda: _converted(LinearRegression(), load_diabetes),
    "onnx-classifier": lambda: _converted(
        LogisticRegression(max_iter=200), load_iris, options={"zipmap": False}
    ),
    "onnx-named": named_inputs,
    "onnx-columns": _converted_columns,
    "onnx-matrix": matrix_graph,
    "onnx-sum": summed_graph,
}

ALL = {
    name: functools.cache(make)
    for group in (SKLEARN, XGBOOST, LIGHTGBM, ONNX)
    for name, make in group.items()
}


def fitted(name):
    """The model of a name, made once."""
    return ALL[name]()
