"""One file per format, the same functions in each.

``matches(directory)``: whether the directory is of this format.
``check(directory, loading)``: see that loading is possible and allowed, without executing anything.
``load(directory, loading)``: load what was checked; the result is a :class:`~interface.Predictor`.
``takes(model)``: whether it saves such a model.
``predictor(model, method, inputs)``: a model in memory as the predictor that it should be when it is loaded
    again under a contract with these inputs; None where nothing can be said before it is loaded.
``save(model, home, saving)``: write the format's files; the result is the entries for MLmodel's flavors.
``opens_files(directory)``: whether the model opens files in its directory by itself.
``requirements(directory)``: the packages that loading needs, beside sparksig.
"""

from __future__ import annotations

from types import ModuleType

from sparksig.engine.absent import Absent
from sparksig.models.code import add_code, check_code
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors import lightgbm, loader_module, onnx, python, sklearn, xgboost
from sparksig.models.flavors.interface import Loading, Predictor, missing_libraries

__all__ = ["ALL", "check", "default_absent", "load", "of", "opens_files"]

ALL: tuple[ModuleType, ...] = (python, sklearn, xgboost, lightgbm, onnx, loader_module)
"""The last one matches whatever has a loader module."""


def of(directory: ModelDirectory) -> ModuleType:
    """The format of a model directory.

    Raises:
        UnsupportedError: it has no flavor ``python_function``.
        ModelDamagedError: that flavor does not say how it is loaded.
    """
    return next(flavor for flavor in ALL if flavor.matches(directory))


def check(directory: ModelDirectory, loading: Loading) -> None:
    """See that loading is possible and allowed, without executing anything.

    Raises:
        ModelNotTrustedError: it would execute what the caller did not allow.
        ModelDamagedError: something that MLmodel names is not there, or not what it says.
        UnsupportedError: a form of the format that is unknown here.
        MissingDependencyError: the format's package, or one that the model imports, is not installed.
    """
    check_code(directory, loading.trust)
    with missing_libraries(directory):
        of(directory).check(directory, loading)


def opens_files(directory: ModelDirectory) -> bool:
    """Whether the model opens files in its directory by itself: it needs one that nobody changes."""
    return bool(directory.pyfunc.get("code")) or bool(of(directory).opens_files(directory))


def default_absent(directory: ModelDirectory) -> Absent:
    """Return what a model sees of an optional column that the data lacks, unless the caller chooses.

    Estimators and boosters refuse a frame without the columns that they were trained with, so they see a
    column of nulls. A PythonModel, a function, or a model with a loader module of its own sees no column.
    """
    flavor, loader = of(directory), str(directory.pyfunc.get("loader_module"))
    if flavor is loader_module:
        is_trained = loader.startswith("mlflow.") and not loader.startswith("mlflow.pyfunc.")
    else:
        is_trained = flavor is not python
    return "null" if is_trained else "omit"


def load(directory: ModelDirectory, loading: Loading) -> Predictor:
    """Check, then load.

    Raises:
        ModelError, UnsupportedError, MissingDependencyError: as :func:`check`; also if what was checked
            cannot be read.
    """
    check(directory, loading)
    add_code(directory)
    with missing_libraries(directory):
        loaded: Predictor = of(directory).load(directory, loading)
    return loaded
