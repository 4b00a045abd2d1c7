"""Models from code: a Python file that builds a model and passes it to ``set_model``."""

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

from sparksig.errors import ModelError, SparksigError, name_type

_NOTHING = object()
_MODEL: ContextVar[Any] = ContextVar("sparksig_model_of_code", default=_NOTHING)
_MLFLOW_MODEL, _MLFLOW_CONFIG = "mlflow.models.model", "mlflow.models.model_config"


def set_model(model: Any) -> None:
    """Set the model of a Python file that is saved as a model from code.

    Save the file with ``save_model(path, "model.py")``. It is executed when the model is loaded. Outside of
    such a file, this function has no effect.

    Args:
        model: a :class:`~sparksig.PythonModel`, a subclass of it, a function, or another callable object.

    Raises:
        ModelError: ``model`` is not a model.

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
        raise ModelError(f"set_model: expected a PythonModel or a function, got {name_type(model)}")
    _MODEL.set(model)


@contextlib.contextmanager
def convert_code_errors(file: Path) -> Iterator[None]:
    """Convert an error of a model's code to a ModelError; the traceback shows the error itself."""
    try:
        yield
    except (SparksigError, ImportError):
        raise
    except Exception as error:
        raise ModelError(
            f"{file}: the code of the model fails: {type(error).__name__} (see above)"
        ) from error


def run_model_code(source: bytes, file: Path, model_config: Mapping[str, Any] | None) -> Any:
    """Execute a model's Python file, and return the object that it passes to ``set_model``."""
    name = f"sparksig_model_code_{hashlib.sha256(source).hexdigest()[:16]}"
    module = types.ModuleType(name)
    module.__file__ = str(file)
    previous = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and type hints look their module up
    token = _MODEL.set(_NOTHING)
    try:
        with _prepare_mlflow(model_config, uses_config=b"ModelConfig" in source) as mlflow_model:
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
        raise ModelError(f"{file}: the file sets no model. Call sparksig.set_model(model) in it")
    return model


@contextlib.contextmanager
def _prepare_mlflow(model_config: Mapping[str, Any] | None, *, uses_config: bool) -> Iterator[Any]:
    """Prepare the module variables in which MLflow stores the model and the configuration of a file.

    Yield a function that returns the model set through MLflow, or None.
    """
    config = None
    if uses_config:
        with contextlib.suppress(ImportError):
            config = importlib.import_module(_MLFLOW_CONFIG)
            config.__dict__["__mlflow_model_config__"] = None if model_config is None else dict(model_config)
    mlflow_model = sys.modules.get(_MLFLOW_MODEL)
    if mlflow_model is not None:
        mlflow_model.__dict__["__mlflow_model__"] = None
    try:
        yield lambda: getattr(sys.modules.get(_MLFLOW_MODEL), "__mlflow_model__", None)
    finally:
        if config is not None:
            config.__dict__["__mlflow_model_config__"] = None
