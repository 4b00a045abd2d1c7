"""Models from code: a Python file that builds its model and hands it over with ``set_model``."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import sys
import types
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sparksig.errors import ModelError, kind

__all__ = ["run_model_code", "set_model"]

_NOTHING = object()
_MODEL: ContextVar[Any] = ContextVar("sparksig_model_of_code", default=_NOTHING)
_MLFLOW_MODEL, _MLFLOW_CONFIG = "mlflow.models.model", "mlflow.models.model_config"


def set_model(model: Any) -> None:
    """Hand over the model of a Python file that is saved as a model from code.

    The file is saved by ``save_model(path, "model.py")``, and is executed when the model is loaded. Called
    elsewhere, this function does nothing.

    Args:
        model: a :class:`~sparksig.PythonModel`, a class of them, a function, or another callable object.

    Raises:
        ModelError: ``model`` is none of these.

    Example:
        >>> import pathlib, tempfile, sparksig
        >>> home = pathlib.Path(tempfile.mkdtemp())
        >>> lines = ["import sparksig", "sparksig.set_model(lambda model_input: model_input['x'] * 2)"]
        >>> size = (home / "model.py").write_text("; ".join(lines))
        >>> info = sparksig.save_model(home / "model", home / "model.py", input_example={"x": 1.5})
        >>> sparksig.load_model(home / "model", allow_pickle=True).predict({"x": 3.0}).tolist()
        [6.0]
    """
    if not (callable(model) or callable(getattr(model, "predict", None))):
        raise ModelError(f"set_model takes a PythonModel or a function, not {kind(model)}")
    _MODEL.set(model)


def run_model_code(source: bytes, file: Path, model_config: Mapping[str, Any] | None) -> Any:
    """Execute a model's Python file.

    Args:
        source: the content of the file.
        file: its path, for tracebacks and as ``__file__``.
        model_config: the configuration that ``mlflow.models.ModelConfig`` reads in the file.

    Returns:
        The object that the file handed over, by ``sparksig.set_model`` or by MLflow's.

    Raises:
        ModelError: the file handed over nothing.
        Exception: whatever the file raises.
    """
    name = f"sparksig_model_code_{hashlib.sha256(source).hexdigest()[:16]}"
    module = types.ModuleType(name)
    module.__file__ = str(file)
    previous = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and type hints look their module up
    token = _MODEL.set(_NOTHING)
    try:
        with _mlflow_state(model_config, uses_config=b"ModelConfig" in source) as mlflow_model:
            exec(compile(source, str(file), "exec"), module.__dict__)  # noqa: S102  trusted by the caller
            model = _MODEL.get()
            model = mlflow_model() if model is _NOTHING else model
    except BaseException:
        sys.modules.pop(name)
        if previous is not None:
            sys.modules[name] = previous
        raise
    finally:
        _MODEL.reset(token)
    if model is None:
        raise ModelError(f"{file}: the file sets no model: call sparksig.set_model(model) in it")
    return model


@contextlib.contextmanager
def _mlflow_state(model_config: Mapping[str, Any] | None, *, uses_config: bool) -> Iterator[Any]:
    """Prepare the places where the installed MLflow keeps the model and the configuration of a file.

    Yields:
        A function that returns the model which was set through MLflow, or None.
    """
    config = None
    if uses_config:
        with contextlib.suppress(ImportError):
            config = importlib.import_module(_MLFLOW_CONFIG)
            config.__dict__["__mlflow_model_config__"] = None if model_config is None else dict(model_config)
    before = sys.modules.get(_MLFLOW_MODEL)
    if before is not None:
        before.__dict__["__mlflow_model__"] = None
    try:
        yield lambda: getattr(sys.modules.get(_MLFLOW_MODEL), "__mlflow_model__", None)
    finally:
        if config is not None:
            config.__dict__["__mlflow_model_config__"] = None
