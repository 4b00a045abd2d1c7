"""One file per format, the same functions in each.

``matches(directory)``: whether the directory is of this format.
``check(directory, trust)``: see that loading is allowed, without executing anything.
``load(directory, trust)``: check, then load; the result is a :class:`Predictor`.
``save(model, directory, ...)``: write the format's files; the result is the entries for MLmodel's flavors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from sparksig.errors import UnsupportedError
from sparksig.models.directory import ModelDirectory
from sparksig.models.flavors import python, sklearn

__all__ = ["ALL", "Predictor", "of"]

Predictor = Callable[[Any, "Mapping[str, Any] | None"], Any]
"""A loaded model: from its input (a DataFrame, say) and params to its raw prediction."""

ALL: tuple[ModuleType, ...] = (python, sklearn)


def of(directory: ModelDirectory) -> ModuleType:
    """The format of a model directory.

    Raises:
        ModelDamagedError: it has no generic flavor.
        UnsupportedError: a format that sparksig does not load yet.
    """
    for flavor in ALL:
        if flavor.matches(directory):
            return flavor
    loader = directory.pyfunc.get("loader_module")
    raise UnsupportedError(
        f"{directory.path}: models with the loader module {loader!r} cannot be loaded yet: "
        "so far PythonModel (cloudpickle) and scikit-learn"
    )
