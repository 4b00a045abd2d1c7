"""The names of a model's features, for inputs without names; recorded when it is saved."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pandas as pd

from sparksig.errors import MissingDependencyError, ModelDamagedError, ModelError
from sparksig.models import flavors
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors.interface import Loading, Saving
from sparksig.models.trust import Trust

__all__ = ["KEY", "features_of", "names_to_record", "recorded_features"]

KEY = "sparksig_feature_names"
"""The key of the names in MLmodel, in its generic flavor."""


def names_to_record(flavor: ModuleType, model: Any, saving: Saving, data: Any) -> list[str] | None:
    """Return the names of the columns that a model is fed from, where its inputs have no names.

    Args:
        flavor: the format.
        model: the model; an estimator that was fitted to a frame knows the names.
        saving: how it is saved.
        data: its example, whose names are taken where the model knows none; or None.
    """
    contract = saving.signature
    if contract is None or contract.inputs is None or contract._is_signature_from_type_hint:
        return None
    if contract.inputs.has_input_names():
        return None
    names = getattr(flavor.predictor(model, saving.method, contract.inputs), "feature_names", None)
    if names is None and isinstance(data, pd.DataFrame) and all(isinstance(label, str) for label in data):
        names = list(data)
    return list(names) if names else None


def recorded_features(directory: ModelDirectory) -> tuple[str, ...] | None:
    """Return the names of features that are recorded in a model directory; None if there are none.

    Raises:
        ModelDamagedError: they are no list of names.
    """
    names = directory.pyfunc.get(KEY)
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ModelDamagedError(f"{directory.path}: {KEY} must be a list of names")
    return tuple(names)


def features_of(directory: ModelDirectory, trust: Trust | None = None) -> tuple[str, ...] | None:
    """Return the names of a model's features, for inputs without names; None if it knows none.

    They are recorded in a directory that was saved here. Otherwise an estimator or a booster is loaded for
    them, where that is allowed; a model of another kind knows no names.

    Args:
        directory: the model directory.
        trust: what may run; nothing but safe formats, if None.

    Raises:
        ModelDamagedError: the directory is damaged.
    """
    signature = directory.signature
    if signature is None or signature.inputs is None or signature.inputs.has_input_names():
        return None
    recorded = recorded_features(directory)
    flavor = flavors.of(directory)
    if recorded is not None or flavor not in (flavors.sklearn, flavors.xgboost, flavors.lightgbm):
        return recorded
    try:
        predictor = flavors.load(directory, Loading(trust or Trust()))
    except ModelDamagedError:
        raise
    except (ModelError, MissingDependencyError):  # it is loaded, with permission, elsewhere
        return None
    names: tuple[str, ...] | None = getattr(predictor, "feature_names", None)
    return names
