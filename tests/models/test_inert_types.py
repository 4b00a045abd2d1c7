"""Everyday estimators load without ``trusted_types``, and the list that says why they may."""

from __future__ import annotations

import importlib
import io
import warnings

import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy.sparse import csr_matrix
from scipy.stats import uniform
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.decomposition import NMF, PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingRegressor,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectFromModel, SelectKBest, mutual_info_classif
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, Matern, WhiteKernel
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    Ridge,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
    TweedieRegressor,
)
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    RepeatedKFold,
    StratifiedKFold,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputRegressor
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB
from sklearn.neighbors import (
    KernelDensity,
    KNeighborsClassifier,
    KNeighborsRegressor,
    LocalOutlierFactor,
    RadiusNeighborsClassifier,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, SVR, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier

import sparksig
from sparksig import ModelError, ModelNotTrustedError
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.skops_file import find_untrusted_types
from sparksig.models.inert_types import INERT_TYPES, explain_refusal
from tests.models.helpers import same_bits

ROWS = 60
RANDOM = np.random.default_rng(7)
NUMBERS = pd.DataFrame(RANDOM.random((ROWS, 3)), columns=["a", "b", "c"])
HOLES = NUMBERS.mask(NUMBERS > 0.9)
CLASSES, THREE = np.arange(ROWS) % 2, np.arange(ROWS) % 3
AMOUNTS = NUMBERS.to_numpy() @ [1.0, 2.0, 3.0] + 0.5
BOTH = np.column_stack([AMOUNTS, -AMOUNTS])
WORDS = pd.DataFrame({"w": ["x", "y", "z"] * (ROWS // 3), "v": ["p", "q"] * (ROWS // 2)}, dtype=object)
MIXED = NUMBERS.assign(w=WORDS["w"])
TEXTS = pd.Series(["apple bird", "bird cat cat", "dog apple"] * (ROWS // 3), dtype=object)


def _grid(**options):
    return GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, **options)


def _neighbors(**options):
    return KNeighborsClassifier(leaf_size=4, **options)


def _encode(*encoders):
    return make_pipeline(*encoders, LogisticRegression())


CLASSIFIERS = {
    "decision-tree": (DecisionTreeClassifier(max_depth=3), NUMBERS, THREE),
    "extra-tree": (ExtraTreeClassifier(random_state=0), NUMBERS, THREE),
    "forest": (RandomForestClassifier(3, random_state=0), NUMBERS, THREE),
    "forest-of-two-outputs": (RandomForestClassifier(3), NUMBERS, np.column_stack([CLASSES, THREE])),
    "forest-with-random-state": (
        RandomForestClassifier(3, random_state=np.random.RandomState(3)),
        NUMBERS,
        CLASSES,
    ),
    "boosting": (GradientBoostingClassifier(n_estimators=3), NUMBERS, CLASSES),
    "boosting-of-three": (GradientBoostingClassifier(n_estimators=3), NUMBERS, THREE),
    "boosting-exponential": (
        GradientBoostingClassifier(n_estimators=3, loss="exponential"),
        NUMBERS,
        CLASSES,
    ),
    "boosting-from-zero": (GradientBoostingClassifier(n_estimators=3, init="zero"), NUMBERS, CLASSES),
    "histogram-boosting": (HistGradientBoostingClassifier(max_iter=3), NUMBERS, CLASSES),
    "histogram-boosting-of-three": (HistGradientBoostingClassifier(max_iter=3), HOLES, THREE),
    "ada-boost": (AdaBoostClassifier(n_estimators=3), NUMBERS, CLASSES),
    "neighbors": (_neighbors(), NUMBERS, THREE),
    "neighbors-of-ball-tree": (_neighbors(algorithm="ball_tree"), NUMBERS, THREE),
    "neighbors-by-brute-force": (_neighbors(algorithm="brute"), NUMBERS, THREE),
    "neighbors-minkowski": (_neighbors(p=3), NUMBERS, THREE),
    "neighbors-manhattan": (_neighbors(metric="manhattan"), NUMBERS, THREE),
    "neighbors-chebyshev": (_neighbors(metric="chebyshev"), NUMBERS, THREE),
    "neighbors-canberra": (_neighbors(algorithm="ball_tree", metric="canberra"), NUMBERS, THREE),
    "neighbors-mahalanobis": (
        _neighbors(algorithm="ball_tree", metric="mahalanobis", metric_params={"VI": np.eye(3)}),
        NUMBERS,
        THREE,
    ),
    "neighbors-seuclidean": (
        _neighbors(algorithm="ball_tree", metric="seuclidean", metric_params={"V": np.ones(3)}),
        NUMBERS,
        THREE,
    ),
    "neighbors-haversine": (
        _neighbors(algorithm="ball_tree", metric="haversine"),
        NUMBERS[["a", "b"]],
        THREE,
    ),
    "neighbors-within-a-radius": (RadiusNeighborsClassifier(5.0), NUMBERS, THREE),
    "grid-search": (_grid(cv=2), NUMBERS, CLASSES),
    "grid-search-by-score": (_grid(cv=StratifiedKFold(2), scoring="roc_auc"), NUMBERS, CLASSES),
    "grid-search-by-f1": (_grid(cv=KFold(3), scoring="f1_macro"), NUMBERS, CLASSES),
    "grid-search-by-two-scores": (
        _grid(cv=2, scoring=["accuracy", "neg_log_loss"], refit="accuracy"),
        NUMBERS,
        CLASSES,
    ),
    "grid-search-of-forests": (
        GridSearchCV(RandomForestClassifier(2), {"max_depth": [1, None]}, cv=2),
        NUMBERS,
        CLASSES,
    ),
    "randomized-search": (
        RandomizedSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, n_iter=2, cv=2, random_state=0),
        NUMBERS,
        CLASSES,
    ),
    "halving-search": (
        HalvingGridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, random_state=0),
        NUMBERS,
        CLASSES,
    ),
    "calibrated-by-sigmoid": (CalibratedClassifierCV(RandomForestClassifier(2), cv=2), NUMBERS, CLASSES),
    "calibrated-isotonic": (CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2), NUMBERS, CLASSES),
    "stacking": (
        StackingClassifier([("f", RandomForestClassifier(2)), ("n", KNeighborsClassifier())], cv=2),
        NUMBERS,
        CLASSES,
    ),
    "voting": (
        VotingClassifier(
            [("f", RandomForestClassifier(2)), ("h", HistGradientBoostingClassifier(max_iter=2))],
            voting="soft",
        ),
        NUMBERS,
        CLASSES,
    ),
    "svc": (SVC(), NUMBERS, THREE),
    "svc-with-probabilities": (SVC(probability=True), NUMBERS, CLASSES),
    "linear-svc": (LinearSVC(), NUMBERS, THREE),
    "logistic": (LogisticRegression(), NUMBERS, THREE),
    "logistic-cv": (LogisticRegressionCV(cv=StratifiedKFold(2), scoring="accuracy"), NUMBERS, CLASSES),
    "sgd": (SGDClassifier(loss="modified_huber", random_state=0), NUMBERS, THREE),
    "gaussian-process": (GaussianProcessClassifier(), NUMBERS, THREE),
    "one-vs-rest": (OneVsRestClassifier(DecisionTreeClassifier()), NUMBERS, THREE),
    "chain": (ClassifierChain(LogisticRegression()), NUMBERS, np.column_stack([CLASSES, 1 - CLASSES])),
    "network": (MLPClassifier(max_iter=5, random_state=0), NUMBERS, THREE),
    "gaussian-bayes": (GaussianNB(), NUMBERS, THREE),
    "multinomial-bayes": (MultinomialNB(), NUMBERS, THREE),
    "bernoulli-bayes": (BernoulliNB(binarize=0.5), NUMBERS, THREE),
    "categorical-bayes": (
        make_pipeline(KBinsDiscretizer(3, encode="ordinal"), CategoricalNB()),
        NUMBERS,
        THREE,
    ),
    "linear-discriminant": (LinearDiscriminantAnalysis(), NUMBERS, THREE),
    "quadratic-discriminant": (QuadraticDiscriminantAnalysis(), NUMBERS, THREE),
    "most-frequent-and-one-hot": (
        _encode(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
        WORDS,
        CLASSES,
    ),
    "ordinal": (
        _encode(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)),
        WORDS,
        CLASSES,
    ),
    "target-encoder": (_encode(TargetEncoder(cv=2)), WORDS, CLASSES),
    "selector-of-columns": (
        _encode(
            make_column_transformer(
                (OneHotEncoder(), make_column_selector(dtype_include=object)),
                (StandardScaler(), make_column_selector(dtype_include=np.number)),
            )
        ),
        MIXED,
        CLASSES,
    ),
    "rest-of-the-columns": (
        _encode(make_column_transformer((OneHotEncoder(), ["w"]), remainder="passthrough")),
        MIXED,
        CLASSES,
    ),
    "k-best": (_encode(SelectKBest(k=2)), NUMBERS, CLASSES),
    "k-best-by-information": (_encode(SelectKBest(mutual_info_classif, k=2)), NUMBERS, CLASSES),
    "select-from-forest": (_encode(SelectFromModel(RandomForestClassifier(2))), NUMBERS, CLASSES),
    "union": (_encode(make_union(StandardScaler(), PCA(2))), NUMBERS, CLASSES),
    "text-counts": (_encode(CountVectorizer(stop_words="english")), TEXTS, THREE),
    "text-tfidf": (_encode(TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 2))), TEXTS, THREE),
}
REGRESSORS = {
    "regression-tree": (DecisionTreeRegressor(max_depth=3), NUMBERS, AMOUNTS),
    "regression-forest": (RandomForestRegressor(3, criterion="absolute_error"), NUMBERS, AMOUNTS),
    "extra-trees": (ExtraTreesRegressor(3), NUMBERS, BOTH),
    **{
        f"boosting-{loss}": (GradientBoostingRegressor(loss=loss, n_estimators=3), NUMBERS, AMOUNTS)
        for loss in ("squared_error", "absolute_error", "huber", "quantile")
    },
    **{
        f"histogram-boosting-{loss}": (
            HistGradientBoostingRegressor(loss=loss, max_iter=3, quantile=0.5),
            HOLES,
            AMOUNTS,
        )
        for loss in ("squared_error", "absolute_error", "poisson", "gamma", "quantile")
    },
    "histogram-boosting-of-categories": (
        HistGradientBoostingRegressor(max_iter=3, categorical_features=None, monotonic_cst=[1, 0, 0]),
        NUMBERS,
        AMOUNTS,
    ),
    "bagging": (BaggingRegressor(DecisionTreeRegressor(), n_estimators=3, max_features=2), NUMBERS, AMOUNTS),
    "neighbors-regression": (KNeighborsRegressor(weights="distance", leaf_size=3), NUMBERS, AMOUNTS),
    "stacking-regression": (StackingRegressor([("f", RandomForestRegressor(2))], cv=2), NUMBERS, AMOUNTS),
    "svr": (SVR(), NUMBERS, AMOUNTS),
    "poisson": (PoissonRegressor(), NUMBERS, AMOUNTS),
    "tweedie": (TweedieRegressor(power=1.5, link="log"), NUMBERS, AMOUNTS),
    "tweedie-identity": (TweedieRegressor(), NUMBERS, AMOUNTS),
    "ridge-by-score": (RidgeCV(scoring="r2", cv=RepeatedKFold(n_splits=2, n_repeats=1)), NUMBERS, AMOUNTS),
    "sgd-regression": (SGDRegressor(loss="huber", random_state=0), NUMBERS, AMOUNTS),
    "gaussian-process-regression": (
        GaussianProcessRegressor(ConstantKernel() * RBF() + WhiteKernel() + Matern() + DotProduct()),
        NUMBERS,
        AMOUNTS,
    ),
    "network-regression": (MLPRegressor(max_iter=5, solver="sgd", random_state=0), NUMBERS, AMOUNTS),
    "isotonic": (IsotonicRegression(), NUMBERS["a"], AMOUNTS),
    "several-outputs": (MultiOutputRegressor(GradientBoostingRegressor(n_estimators=2)), NUMBERS, BOTH),
    "logarithm-of-the-target": (
        TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
        NUMBERS,
        AMOUNTS,
    ),
    "clipped": (
        make_pipeline(FunctionTransformer(np.clip, kw_args={"a_min": 0.1, "a_max": 0.9}), LinearRegression()),
        NUMBERS,
        AMOUNTS,
    ),
    "imputed-by-the-mean": (make_pipeline(SimpleImputer(add_indicator=True), Ridge()), HOLES, AMOUNTS),
    "imputed-by-neighbors": (make_pipeline(KNNImputer(), Ridge()), HOLES, AMOUNTS),
    "imputed-in-turns": (make_pipeline(IterativeImputer(max_iter=2), Ridge()), HOLES, AMOUNTS),
}
UNSUPERVISED = {
    "isolation-forest": (IsolationForest(n_estimators=3, random_state=0), NUMBERS, None),
    "isolation-forest-of-some-features": (
        IsolationForest(n_estimators=3, max_features=2, random_state=0),
        NUMBERS,
        None,
    ),
    "local-outlier-factor": (LocalOutlierFactor(novelty=True), NUMBERS, None),
    "one-class-svm": (OneClassSVM(), NUMBERS, None),
    "k-means": (KMeans(3, n_init=1, random_state=0), NUMBERS, None),
    "mini-batch-k-means": (MiniBatchKMeans(3, n_init=1, random_state=0), NUMBERS, None),
}
TRANSFORMERS = {
    "pca": PCA(2),
    "svd": TruncatedSVD(2, random_state=0),
    "nmf": NMF(2, random_state=0, max_iter=50),
    "power": PowerTransformer(),
    "bins": KBinsDiscretizer(3, encode="onehot-dense"),
    "min-max": MinMaxScaler(),
    "frames": StandardScaler().set_output(transform="pandas"),
}
EVERYDAY = {**CLASSIFIERS, **REGRESSORS, **UNSUPERVISED}


def fit(estimator, data, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(data) if target is None else estimator.fit(data, target)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EVERYDAY)
def test_everyday_estimator_loads_and_predicts_the_same_bits(tmp_path, name):
    model = fit(*EVERYDAY[name])
    data = EVERYDAY[name][1]
    sparksig.save_model(tmp_path / "m", model)
    assert same_bits(sparksig.load_model(tmp_path / "m").predict(data), model.predict(data))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_everyday_transformer_loads_and_transforms_the_same_bits(tmp_path, name):
    model = fit(TRANSFORMERS[name], NUMBERS, None)
    sparksig.save_model(tmp_path / "m", model, method="transform")
    transformed = sparksig.load_model(tmp_path / "m").predict(NUMBERS)
    assert same_bits(np.asarray(transformed), np.asarray(model.transform(NUMBERS)))


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree"])
def test_kernel_density_of_a_neighbors_tree_scores_the_same_bits(algorithm):
    model = KernelDensity(algorithm=algorithm, leaf_size=5).fit(NUMBERS)
    loaded = find_untrusted_types(io.BytesIO(skops.io.dumps(model))).build()
    assert same_bits(loaded.score_samples(NUMBERS), model.score_samples(NUMBERS))


def test_sparse_rows_of_a_neighbors_search_load():
    model = KNeighborsClassifier().fit(csr_matrix(NUMBERS.to_numpy()), THREE)
    data = NUMBERS.to_numpy()
    loaded = find_untrusted_types(io.BytesIO(skops.io.dumps(model))).build()
    assert same_bits(loaded.predict(data), model.predict(data))


def test_mlmodel_records_the_types_that_mlflow_needs(tmp_path):
    sparksig.save_model(tmp_path / "m", fit(*CLASSIFIERS["histogram-boosting"]))
    recorded = ModelDirectory.read(tmp_path / "m").config["flavors"]["sklearn"]["skops_trusted_types"]
    assert "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor" in recorded
    assert set(recorded) <= set(INERT_TYPES)


# --- the list -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INERT_TYPES)
def test_each_inert_type_has_a_reason_and_comes_from_a_known_library(name):
    entry = INERT_TYPES[name]
    assert len(entry.reason) > 20 or entry.reason.startswith("as ")
    assert name.partition(".")[0] in ("sklearn", "numpy", "scipy", "pandas", "builtins")
    assert set(entry.nodes) <= {
        *("ObjectNode", "TreeNode", "DTypeNode", "FunctionNode"),
        *("TypeNode", "TupleNode", "DictNode", "SparseMatrixNode"),
    }


REVIEWED = {"Tree", "TreePredictor", "KDTree", "BallTree", "Bunch"}
"""Types with a __setstate__ or __reduce__ that was reviewed: their entries give the reason."""


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, entry in INERT_TYPES.items()
        if "ObjectNode" in entry.nodes
        and name.rpartition(".")[2] not in REVIEWED
        and not name.endswith("Distance64")
    ],
)
def test_no_inert_type_restores_itself_by_its_own_code(name):
    module, _, short = name.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), short)
    except (ImportError, AttributeError):
        pytest.skip("the installed version of the library does not have this type")
    owners = {base.__name__ for base in kind.__mro__ if "__setstate__" in vars(base)}
    assert owners <= {"BaseEstimator", "C_NAType"}


# --- what still needs permission ------------------------------------------------------------------------


def module_function(data):
    return data


REFUSED = {
    "a-function-of-ones-own": (_encode(FunctionTransformer(module_function)), "it has not been reviewed"),
    "a-distribution": (
        RandomizedSearchCV(LogisticRegression(), {"C": uniform(0.1, 1)}, n_iter=1, cv=2),
        r"distributions of scipy\.stats run exec\(\)",
    ),
    "boosting-from-another-estimator": (
        GradientBoostingClassifier(n_estimators=2, init=LogisticRegression()),
        r"whose init is a LogisticRegression: .* trusted_types=\['sklearn\.tree\._tree\.Tree'\]$",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_saving_what_still_needs_permission_is_refused_with_the_reason(tmp_path, name):
    model, text = REFUSED[name]
    with pytest.raises(ModelNotTrustedError, match=text):
        sparksig.save_model(tmp_path / "m", fit(model, NUMBERS, CLASSES))
    assert not (tmp_path / "m").exists()


def test_boosting_from_another_estimator_loads_with_permission(tmp_path):
    model = fit(REFUSED["boosting-from-another-estimator"][0], NUMBERS, CLASSES)
    trusted = ["sklearn.tree._tree.Tree"]
    sparksig.save_model(tmp_path / "m", model, trusted_types=trusted)
    with pytest.raises(ModelNotTrustedError, match="init is a LogisticRegression"):
        sparksig.load_model(tmp_path / "m")
    loaded = sparksig.load_model(tmp_path / "m", trusted_types=trusted)
    assert same_bits(loaded.predict(NUMBERS), model.predict(NUMBERS))


def test_a_model_that_skops_cannot_write_names_another_format(tmp_path):
    model = LinearRegression().fit(NUMBERS, AMOUNTS)
    model.itself_ = [model]
    with pytest.raises(
        ModelError, match=r"cannot write a LinearRegression: .* serialization_format='cloudpickle'"
    ):
        sparksig.save_model(tmp_path / "m", model)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("scipy.stats._continuous_distns.uniform_gen", "exec()"),
        ("functools.partial", "kw_args"),
        ("sklearn.tree._tree.Tree", "does not use it in this way"),
        ("os.system", "may run any code"),
    ],
)
def test_each_refusal_has_a_reason(name, reason):
    assert reason in explain_refusal(name)
