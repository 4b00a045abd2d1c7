"""The names of a model's features, recorded when a model whose inputs have no names is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparksig.errors import MissingDependencyError, ModelDamagedError, ModelError
from sparksig.models.directory import ModelDirectory
from sparksig.models.trust import Trust

if TYPE_CHECKING:
    from sparksig.models.flavors.interface import Flavor, SaveOptions
    from sparksig.models.virtualenvs import ModelEnvironment

KEY = "sparksig_feature_names"
"""The key of the names in the flavor ``python_function`` of MLmodel."""


def choose_feature_names(flavor: Flavor, model: Any, saving: SaveOptions, data: Any) -> list[str] | None:
    """Return the names of the columns that feed a model, where its inputs have no names.

    An estimator that was fitted to a frame knows them; the example is the second source.
    """
    import pandas as pd

    signature = saving.signature
    if signature is None or signature.inputs is None or signature._is_signature_from_type_hint:
        return None
    if signature.inputs.has_input_names():
        return None
    names = getattr(flavor.create_predictor(model, saving.method, signature.inputs), "feature_names", None)
    if names is None and isinstance(data, pd.DataFrame) and all(isinstance(label, str) for label in data):
        names = list(data)
    return list(names) if names else None


def read_features(directory: ModelDirectory) -> tuple[str, ...] | None:
    """Return the feature names that a model directory records, or None."""
    names = directory.pyfunc.get(KEY)
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ModelDamagedError(f"{directory.path}: {KEY}: expected a list of names, got something else")
    return tuple(names)


def find_features(
    directory: ModelDirectory, trust: Trust | None = None, environment: ModelEnvironment | None = None
) -> tuple[str, ...] | None:
    """Return the names of a model's features where its inputs have no names, else None.

    Without trust, only formats that cannot run code are loaded.

    sparksig records the names when it saves a model. Without a record, an estimator or a booster is loaded
    to read them, if the trust allows it. Other models have no feature names.
    """
    signature = directory.signature
    if signature is None or signature.inputs is None or signature.inputs.has_input_names():
        return None
    recorded = read_features(directory)
    if recorded is not None:
        return recorded
    # most models name their inputs, and these imports take longer than a check of types
    from sparksig.models import flavors
    from sparksig.models.flavors.interface import LoadOptions
    from sparksig.models.isolated import load_predictor

    if not flavors.find_flavor(directory).has_feature_names:
        return None
    try:
        predictor = load_predictor(directory, LoadOptions(trust or Trust(), environment=environment))
    except ModelDamagedError:
        raise
    except (ModelError, MissingDependencyError):  # other workers may have the permission and the package
        return None
    names: tuple[str, ...] | None = getattr(predictor, "feature_names", None)
    return names
