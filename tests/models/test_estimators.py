"""What scikit-learn's estimators are given: the array that they were fitted to, or a frame."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from tests.cases import describe_case

try:
    from sklearn.frozen import FrozenEstimator
except ImportError:  # before scikit-learn 1.6
    FrozenEstimator = None

import sparksig
from sparksig.models.flavors import sklearn as sklearn_flavor


class Watched(LinearRegression):
    """An estimator of somebody's own, which may look at a frame as such."""

    def predict(self, X):
        return np.full(len(X), float(isinstance(X, pd.DataFrame)))


def is_given(model, data):
    """Return whether an estimator's method receives a frame rather than an array."""
    received = []

    def watched(model, name):
        return lambda data: received.append(type(data)) or getattr(model, name)(data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sklearn_flavor, "get_method", watched)
        predict = sklearn_flavor.FLAVOR.create_predictor(model, "predict")
    assert len(predict(data, None)) == len(data)
    assert received in ([pd.DataFrame], [np.ndarray])
    return received == [pd.DataFrame]


FRAME = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 5.0]})


def fitted(model, data):
    return model.fit(data, [0.0, 1.0, 0.0])


@pytest.mark.parametrize(
    "model", [LinearRegression(), make_pipeline(StandardScaler(), LinearRegression())], ids=describe_case
)
def test_an_estimator_fitted_to_an_array_is_given_an_array_without_a_warning(model):
    array = FRAME.to_numpy()
    assert not is_given(fitted(model, array), FRAME)
    assert is_given(fitted(model, FRAME), FRAME)


@pytest.mark.parametrize(
    "model",
    [
        Watched(),
        make_pipeline(
            make_column_transformer((StandardScaler(), [0]), remainder="passthrough"), LinearRegression()
        ),
        make_pipeline(FunctionTransformer(lambda data: data), LinearRegression()),
        make_pipeline(StandardScaler(), Watched()),
    ],
    ids=["own class", "columns by position", "function", "own class after a scaler"],
)
@pytest.mark.filterwarnings("ignore")
def test_an_estimator_that_may_use_names_gets_a_frame(model):
    assert is_given(fitted(model, FRAME.to_numpy()), FRAME)


@pytest.mark.parametrize(
    "data",
    [
        FRAME.assign(b=[1, 2, 3]),
        FRAME.astype("Float64"),
        FRAME.astype(object),
    ],
    ids=["two dtypes", "nullable", "objects"],
)
@pytest.mark.filterwarnings("ignore:X has feature names")
def test_only_a_frame_of_one_plain_dtype_is_an_array(data):
    assert is_given(fitted(LinearRegression(), FRAME.to_numpy()), data)


def test_an_array_and_a_frame_predict_the_same(tmp_path):
    model = fitted(LinearRegression(), FRAME.to_numpy())
    signature = sparksig.infer_signature(FRAME, model.predict(FRAME.to_numpy()))
    sparksig.save_model(tmp_path / "m", model, signature)
    predicted = sparksig.load_model(tmp_path / "m").predict(FRAME)
    assert predicted.tolist() == model.predict(FRAME.to_numpy()).tolist()


class Picks(BaseEstimator, TransformerMixin):
    """A step that selects columns by name, and does not store the names that it was fitted on."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X[["a"]].to_numpy()


class Alike:
    """A class that looks like an estimator, and has no params."""

    n_features_in_ = 2

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return np.zeros(len(X))


def fit_search(frame, kinds):
    """Fit a search whose best estimator has a step that its params do not have."""
    pipeline = Pipeline([("c", "passthrough"), ("l", LogisticRegression())])
    return GridSearchCV(pipeline, {"c": [Picks()]}, cv=2).fit(frame, kinds)


def fit_frozen(frame, kinds):
    """Fit an estimator that freezes another."""
    if FrozenEstimator is None:
        pytest.skip("this scikit-learn has no FrozenEstimator")
    pipeline = make_pipeline(Picks(), LogisticRegression())
    return FrozenEstimator(pipeline.fit(frame, kinds)).fit(frame, kinds)


@pytest.mark.parametrize(
    "fit",
    [fit_search, fit_frozen, lambda frame, kinds: Alike()],
    ids=["search", "frozen", "class without params"],
)
@pytest.mark.filterwarnings("ignore")
def test_fitted_steps_decide_and_not_the_params(fit):
    frame = pd.concat([FRAME, FRAME.head(1)], ignore_index=True)
    assert is_given(fit(frame, [0, 1, 0, 1]), frame)


@pytest.mark.filterwarnings("ignore")
def test_a_transformer_of_frames_keeps_their_index():
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), LinearRegression())
    assert is_given(fitted(pipeline, FRAME.to_numpy()), FRAME)
