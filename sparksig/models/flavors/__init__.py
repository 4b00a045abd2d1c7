"""The formats of models. Each module defines one :class:`~interface.Flavor`, its ``FLAVOR``."""

from __future__ import annotations

from sparksig.engine.absent import Absent
from sparksig.errors import MissingDependencyError
from sparksig.models.code import add_code, check_code
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors import lightgbm, loader_module, onnx, python, sklearn, xgboost
from sparksig.models.flavors.interface import Flavor, LoadOptions, Predictor, convert_import_errors

FLAVORS: tuple[Flavor, ...] = (
    python.FLAVOR,
    xgboost.FLAVOR,
    lightgbm.FLAVOR,
    onnx.FLAVOR,
    sklearn.FLAVOR,  # after the boosters, whose estimators are scikit-learn estimators too
    loader_module.FLAVOR,  # last, because it matches every directory with a loader module
)


def find_flavor(directory: ModelDirectory) -> Flavor:
    """Return the format of a model directory."""
    return next(flavor for flavor in FLAVORS if flavor.matches(directory))


def check(directory: ModelDirectory, loading: LoadOptions) -> None:
    """Check that loading is possible and allowed, without executing anything.

    Raises:
        ModelNotTrustedError: loading would execute code that the caller did not allow.
        ModelDamagedError: a file that MLmodel names is missing or malformed.
        UnsupportedError: this version of sparksig does not support the serialization format or the method.
        MissingDependencyError: the format's package, or one that the model imports, is not installed. A model
            with an environment of its own is checked again in that environment.
    """
    check_code(directory, loading.trust)
    try:
        with convert_import_errors(directory):
            flavor = find_flavor(directory)
            flavor.select_method(directory, loading)
            flavor.check(directory, loading)
    except MissingDependencyError:
        if loading.environment is None:
            raise


def opens_files(directory: ModelDirectory) -> bool:
    """Return whether the model itself opens files in its directory, which must then not change."""
    return bool(directory.pyfunc.get("code")) or find_flavor(directory).opens_files(directory)


def choose_absent(directory: ModelDirectory) -> Absent:
    """Return the treatment of optional columns that the data lacks, unless the caller chooses another.

    Estimators and boosters refuse a frame without the columns that they were trained with, so they see a
    column of nulls. A PythonModel, a function, or a model with a loader module of its own sees no column.
    """
    flavor, loader = find_flavor(directory), str(directory.pyfunc.get("loader_module"))
    if flavor is loader_module.FLAVOR:
        is_trained = loader.startswith("mlflow.") and not loader.startswith("mlflow.pyfunc.")
    else:
        is_trained = flavor is not python.FLAVOR
    return "null" if is_trained else "omit"


def load(directory: ModelDirectory, loading: LoadOptions) -> Predictor:
    """Check a model directory, then load the model."""
    check(directory, loading)
    add_code(directory)
    with convert_import_errors(directory):
        return find_flavor(directory).load(directory, loading)
