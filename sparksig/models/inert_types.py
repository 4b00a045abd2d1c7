"""The types in a skops file that load without ``trusted_types``, in addition to those that skops trusts.

A type is on this list only if building it and setting any state should not be able to run code of the
file's author. The compiled types (trees, predictors, neighbors, distances, bitsets) and skops' own nodes were
reviewed in the source of scikit-learn 1.9.1 and skops 0.16.0. The other entries (splitters, kernels, scores,
helpers) are accepted by their documented behaviour. All of them are tested with scikit-learn 1.5.0 and 1.9.1,
skops 0.12.0 and 0.16.0, NumPy 1.26 and 2.4, SciPy 1.13 and 1.17. A model directory cannot extend the list.

Each entry defines how a skops file may use the name: as the class of an object whose attributes are restored,
as a function, or as a class that is itself a value. Any other use of the name is refused, because skops
trusts a name for every use: it would, for example, call a function with arguments of the author's choice.

Compiled code reads a few entries, and follows the indices in their arrays without checking them. These
entries are marked ``is_native``, and :mod:`sparksig.models.flavors.skops_state` checks their arrays.

The list omits ``functools.partial`` and bound methods (they call functions that the file names),
``scipy.stats`` distributions (they run ``exec`` on their state), ``scipy.interpolate.BSpline`` and
``sklearn.cluster._kmeans._kmeans_single_lloyd`` (compiled code that trusts its arguments),
``sklearn.metrics._dist_metrics.PyFuncDistance64`` (calls a function of the file), and every class outside
scikit-learn, NumPy, SciPy and pandas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class InertType:
    """A type that is safe to load, with the ways in which a skops file may use it.

    Attributes:
        reason: why building it and setting any state runs no code of the file's author.
        nodes: the kinds of skops nodes that may carry the name.
        is_native: compiled code reads its arrays, which are therefore checked.
        attributes: the attributes that may contain it; empty for any. A scorer calls a method by a name from
            the file, so it is allowed only in attributes that predictions never use.
    """

    reason: str
    nodes: tuple[str, ...] = ("ObjectNode",)
    is_native: bool = False
    attributes: tuple[str, ...] = ()


_ESTIMATOR = InertType(
    "an estimator like those that skops trusts: BaseEstimator.__setstate__ only updates __dict__"
)
_SPLITTER = "a plain Python class that only fit() uses; restoring it only updates __dict__"
_SCORE = InertType(
    "a pure function: it computes numbers from arrays, and opens, imports and evaluates nothing",
    nodes=("FunctionNode",),
)
_SPARSE = InertType(
    "read by scipy.sparse.load_npz without pickles; the indices are checked",
    nodes=("SparseMatrixNode",),
    is_native=True,
)
_SCORER_ATTRIBUTES = ("scorer_", "scoring", "_scorer", "_scorers", "_curve_scorer", "owner")


_Rows = list[tuple[str, str, InertType]]
"""Rows of the name of a module, the names of types in it, and the entry of these types."""

_NATIVE: _Rows = [
    (
        "sklearn.tree._tree",
        "Tree",
        InertType(
            "compiled array of nodes: __cinit__ takes two numbers and an array, __setstate__ copies two "
            "arrays; the children, features and sizes are checked",
            nodes=("TreeNode",),
            is_native=True,
            attributes=("tree_",),
        ),
    ),
    (
        "sklearn.ensemble._hist_gradient_boosting.predictor",
        "TreePredictor",
        InertType(
            "a Python class of three arrays; its __setstate__ updates __dict__ and casts the array of nodes; "
            "the children, features and bit sets are checked",
            is_native=True,
            attributes=("_predictors",),
        ),
    ),
    (
        "sklearn.neighbors._kd_tree",
        "KDTree",
        InertType(
            "compiled arrays: __setstate__ takes a tuple of arrays, numbers and a distance; indices, ranges "
            "and sizes are checked",
            is_native=True,
        ),
    ),
    (
        "sklearn.neighbors._ball_tree",
        "BallTree",
        InertType("compiled from the same template as KDTree, with the same checks", is_native=True),
    ),
    (
        "sklearn.metrics._dist_metrics",
        "EuclideanDistance64 ManhattanDistance64 ChebyshevDistance64 MinkowskiDistance64 "
        "SEuclideanDistance64 MahalanobisDistance64 HammingDistance64 CanberraDistance64 "
        "BrayCurtisDistance64 HaversineDistance64",
        InertType(
            "compiled distance of two vectors; its state is a number and two arrays, whose sizes are checked "
            "against the neighbors tree that contains it",
            is_native=True,
            attributes=("dist_metric",),
        ),
    ),
    ("scipy.sparse._csr", "csr_matrix csr_array", _SPARSE),
    ("scipy.sparse._csc", "csc_matrix csc_array", _SPARSE),
]

_LOSSES: _Rows = [
    (
        "sklearn._loss.link",
        "HalfLogitLink IdentityLink LogitLink LogLink MultinomialLogit Interval",
        InertType("a plain Python class of two methods that apply NumPy ufuncs; Interval is a dataclass"),
    ),
    (
        "sklearn._loss.loss",
        "AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss HalfMultinomialLoss HalfPoissonLoss "
        "HalfSquaredError HalfTweedieLoss HalfTweedieLossIdentity HuberLoss PinballLoss",
        InertType("a plain Python class of a compiled loss and a link; predictions use only the link"),
    ),
]

_ESTIMATORS: _Rows = [
    ("sklearn.impute._iterative", "IterativeImputer", _ESTIMATOR),
    (
        "sklearn.impute._iterative",
        "_ImputerTriplet",
        InertType("a named tuple: building it stores three values", nodes=("TupleNode",)),
    ),
    (
        "sklearn.model_selection._search_successive_halving",
        "HalvingGridSearchCV HalvingRandomSearchCV",
        _ESTIMATOR,
    ),
    ("sklearn.calibration", "_SigmoidCalibration _TemperatureScaling", _ESTIMATOR),
    (
        "sklearn.calibration",
        "_CalibratedClassifier",
        InertType("a plain Python class without __setstate__: restoring it only updates __dict__"),
    ),
    ("sklearn.ensemble._hist_gradient_boosting.binning", "_BinMapper", _ESTIMATOR),
    ("sklearn.gaussian_process._gpc", "_BinaryGaussianProcessClassifierLaplace", _ESTIMATOR),
    ("sklearn.multiclass", "_ConstantPredictor", _ESTIMATOR),
    (
        "sklearn.gaussian_process.kernels",
        "RBF Matern RationalQuadratic ExpSineSquared DotProduct WhiteKernel ConstantKernel Sum Product "
        "Exponentiation CompoundKernel PairwiseKernel",
        InertType(
            "a kernel: a plain Python class whose call computes distances of arrays by NumPy and SciPy"
        ),
    ),
    (
        "sklearn.compose._column_transformer",
        "make_column_selector",
        InertType(
            "a plain Python class of three parameters; calling it selects columns of a frame by dtype and by "
            "a regular expression, and only fit() does"
        ),
    ),
    (
        "sklearn.compose._column_transformer",
        "_RemainderColsList",
        InertType("a list of columns (scikit-learn 1.5 to 1.6) that warns when it is read"),
    ),
    (
        "sklearn.neural_network._stochastic_optimizers",
        "AdamOptimizer SGDOptimizer",
        InertType("a plain Python class of arrays that only fit() uses"),
    ),
    (
        "sklearn.utils._bunch",
        "Bunch",
        InertType("a dict whose keys are attributes; its __setstate__ does nothing", nodes=("DictNode",)),
    ),
    (
        "sklearn.utils._metadata_requests",
        "MetadataRequest MethodMetadataRequest",
        InertType("a plain Python class of names: which metadata a method asks for"),
    ),
]

_SELECTION: _Rows = [
    (
        "sklearn.model_selection._split",
        "KFold StratifiedKFold",
        InertType(_SPLITTER, nodes=("ObjectNode", "TypeNode")),
    ),
    (
        "sklearn.model_selection._split",
        "GroupKFold StratifiedGroupKFold RepeatedKFold RepeatedStratifiedKFold ShuffleSplit "
        "StratifiedShuffleSplit GroupShuffleSplit TimeSeriesSplit LeaveOneOut LeavePOut LeaveOneGroupOut "
        "LeavePGroupsOut PredefinedSplit",
        InertType(_SPLITTER),
    ),
    (
        "sklearn.metrics._scorer",
        "_Scorer _PassthroughScorer _CurveScorer _MultimetricScorer",
        InertType(
            "a plain Python class that score() calls and predictions do not; it calls a method by name, so "
            "it is accepted only in the attributes of a scorer",
            attributes=_SCORER_ATTRIBUTES,
        ),
    ),
    (
        "sklearn.model_selection._classification_threshold",
        "_CurveScorer",
        InertType(
            "sklearn.metrics._scorer._CurveScorer, by its name before scikit-learn 1.6",
            attributes=_SCORER_ATTRIBUTES,
        ),
    ),
    (
        "sklearn.metrics._classification",
        "accuracy_score balanced_accuracy_score f1_score precision_score recall_score jaccard_score "
        "matthews_corrcoef log_loss brier_score_loss d2_log_loss_score d2_brier_score",
        _SCORE,
    ),
    ("sklearn.metrics._scorer", "positive_likelihood_ratio negative_likelihood_ratio", _SCORE),
    ("sklearn.metrics._ranking", "roc_auc_score average_precision_score top_k_accuracy_score", _SCORE),
    (
        "sklearn.metrics._regression",
        "r2_score explained_variance_score max_error mean_absolute_error mean_squared_error "
        "root_mean_squared_error mean_squared_log_error root_mean_squared_log_error median_absolute_error "
        "mean_absolute_percentage_error mean_poisson_deviance mean_gamma_deviance d2_absolute_error_score",
        _SCORE,
    ),
    (
        "sklearn.metrics.cluster._supervised",
        "adjusted_mutual_info_score adjusted_rand_score completeness_score fowlkes_mallows_score "
        "homogeneity_score mutual_info_score normalized_mutual_info_score rand_score v_measure_score",
        _SCORE,
    ),
    ("sklearn.feature_selection._univariate_selection", "f_classif f_regression chi2 r_regression", _SCORE),
    ("sklearn.feature_selection._mutual_info", "mutual_info_classif mutual_info_regression", _SCORE),
]

_VALUES: _Rows = [
    (
        "numpy",
        "dtype",
        InertType("read as the dtype of an empty array, without pickles", nodes=("DTypeNode",)),
    ),
    (
        "numpy",
        "number integer floating",
        InertType("an abstract class as a value; calling it fails", nodes=("TypeNode",)),
    ),
    (
        "builtins",
        "object",
        InertType("a class as a value; calling it returns an empty object", nodes=("TypeNode",)),
    ),
    ("numpy", "clip nan_to_num mean", InertType("a pure function of arrays", nodes=("FunctionNode",))),
    ("pandas._libs.missing", "NAType", InertType("the constant pandas.NA, without state")),
]

INERT_TYPES: Mapping[str, InertType] = MappingProxyType(
    {
        f"{module}.{name}": entry
        for module, names, entry in [*_NATIVE, *_LOSSES, *_ESTIMATORS, *_SELECTION, *_VALUES]
        for name in names.split()
    }
)
"""The inert types by their qualified names."""

_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "scipy.stats.": (
            "distributions of scipy.stats run exec() on text from their state; save the search's "
            "best_estimator_ instead"
        ),
        "functools.partial": (
            "functools.partial calls a function that the file names, with arguments from the file; "
            "FunctionTransformer(func, kw_args=...) does the same with an inert function"
        ),
        "scipy.interpolate._bsplines.": "compiled code follows the arrays of a spline without checking them",
        "sklearn.cluster._kmeans._kmeans_single_lloyd": "compiled code that does not check its arguments",
        "sklearn.": "scikit-learn does not use it in this way, or it has not been reviewed yet",
    }
)


def explain_refusal(name: str) -> str:
    """Explain why a type needs permission.

    Example:
        >>> explain_refusal("acme.Model")
        'it has not been reviewed, and building or using it may run any code'
    """
    for start, reason in _REFUSED.items():
        if name.startswith(start):
            return reason
    return "it has not been reviewed, and building or using it may run any code"
