"""Models written in Python, pickled by cloudpickle or saved from code. Loading them executes their code.

MLflow loads the directories that sparksig writes through ``_load_pyfunc``, its interface for loader modules.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from sparksig.errors import ModelDamagedError, UnsupportedError, name_type
from sparksig.models.directory import ModelDirectory, copy_into
from sparksig.models.flavors.interface import (
    Flavor,
    LoadOptions,
    Predictor,
    SaveOptions,
    convert_errors,
    create_pyfunc_entry,
    require_package,
)
from sparksig.models.mlflow_pickles import unpickle
from sparksig.models.model_code import convert_code_errors, run_model_code
from sparksig.models.python_model import (
    FunctionModel,
    PythonModel,
    PythonModelContext,
    as_callable_model,
    as_python_model,
    bind_predict,
    is_mlflow_model,
)
from sparksig.models.safe_yaml import load_yaml

_FILE = "python_model.pkl"
_OPENERS: dict[str, Callable[[BinaryIO], Any]] = {"gzip": gzip.open, "bzip2": bz2.open, "lzma": lzma.open}


class _PythonFlavor(Flavor):
    name = "python"
    mlflow_loader = "mlflow.pyfunc.model"
    methods = ("predict",)

    def matches(self, directory: ModelDirectory) -> bool:
        """Return whether a directory is a PythonModel that sparksig can load.

        MLflow loads models that it saved from code itself, by its loader module.
        """
        is_own = directory.pyfunc.get("loader_module") == __name__
        return is_own or (super().matches(directory) and not _is_from_code(directory))

    def opens_files(self, directory: ModelDirectory) -> bool:
        return bool(directory.pyfunc.get("artifacts"))

    def check(self, directory: ModelDirectory, loading: LoadOptions) -> None:
        is_from_code = _is_from_code(directory)
        loading.trust.require_code(
            directory, "a model from code" if is_from_code else "a pickled PythonModel"
        )
        _locate_artifacts(directory)
        _read_config(directory, loading.model_config)
        if is_from_code:
            _locate_code(directory)
            return
        _read_compression(directory)
        _locate_pickle(directory)
        require_package("cloudpickle", "a pickled PythonModel", "python-model")

    def load(self, directory: ModelDirectory, loading: LoadOptions) -> Predictor:
        config = _read_config(directory, loading.model_config)
        context = PythonModelContext(_locate_artifacts(directory), config)
        if _is_from_code(directory):
            file = _locate_code(directory)
            model = _run_code(directory, file, config)
        else:
            file = _locate_pickle(directory)
            model = _unpickle(directory, file)
        is_model = all(callable(getattr(model, name, None)) for name in ("load_context", "predict"))
        if isinstance(model, type) or not is_model:
            raise ModelDamagedError(f"{file}: expected a PythonModel, got {name_type(model)}")
        model.load_context(context)
        return bind_predict(model.predict, context)

    def accepts(self, model: object) -> bool:
        return isinstance(model, (PythonModel, FunctionModel)) or is_mlflow_model(model)

    def save(self, model: Any, home: Path, saving: SaveOptions) -> dict[str, Any]:
        if saving.model_code is not None:
            entries: dict[str, Any] = {"model_code_path": copy_into(saving.model_code, home).name}
        else:
            entries = _write_pickle(model, home)
        if saving.artifacts:
            entries["artifacts"] = {
                name: {"path": _copy_artifact(path, home), "uri": os.fspath(path)}
                for name, path in saving.artifacts.items()
            }
        if saving.model_config is not None:
            entries["config"] = dict(saving.model_config)
        # loading a PythonModel of MLflow does not need sparksig
        loader = self.mlflow_loader if is_mlflow_model(model) else __name__
        return {"python_function": create_pyfunc_entry(loader, **entries)}

    def list_requirements(self, directory: ModelDirectory) -> list[str]:
        return [] if _is_from_code(directory) else ["cloudpickle"]


def _is_from_code(directory: ModelDirectory) -> bool:
    return bool(directory.pyfunc.get("model_code_path"))


def _locate_pickle(directory: ModelDirectory) -> Path:
    return directory.resolve_member(directory.pyfunc.get("python_model"))


def _locate_code(directory: ModelDirectory) -> Path:
    file = directory.resolve_member(directory.pyfunc["model_code_path"])
    if file.suffix != ".py" or not file.is_file():
        raise ModelDamagedError(
            f"{directory.path}: model_code_path: expected a Python file, got {file.name!r}"
        )
    return file


def _run_code(directory: ModelDirectory, file: Path, config: Mapping[str, Any]) -> Any:
    with directory.open(file) as stream:
        source = stream.read()
    with convert_code_errors(file):
        return as_callable_model(as_python_model(run_model_code(source, file, config)))


def _unpickle(directory: ModelDirectory, file: Path) -> Any:
    compression = _read_compression(directory)
    with convert_errors(f"{file} cannot be unpickled"), directory.open(file) as stream:
        if compression is None:
            return unpickle(stream)
        with _OPENERS[compression](stream) as decompressed:
            content = decompressed.read()  # to the end, to verify the checksum
        return unpickle(io.BytesIO(content))


def _read_compression(directory: ModelDirectory) -> str | None:
    name = directory.pyfunc.get("python_model_compression")
    if name is not None and (not isinstance(name, str) or name not in _OPENERS):
        raise UnsupportedError(
            f"{directory.path}: python_model_compression: expected one of {', '.join(_OPENERS)}, got {name!r}"
        )
    return None if name is None else str(name)


def _locate_artifacts(directory: ModelDirectory) -> dict[str, str]:
    entries = directory.pyfunc.get("artifacts") or {}
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise ModelDamagedError(
            f"{directory.path}: artifacts: expected a mapping of names to entries with a path, got something "
            "else"
        )
    return {str(name): str(directory.resolve_member(entry.get("path"))) for name, entry in entries.items()}


def _read_config(directory: ModelDirectory, overrides: Mapping[str, Any] | None) -> Mapping[str, Any]:
    config = directory.pyfunc.get("config")
    if isinstance(config, str):  # the path of a YAML file
        try:
            with directory.open(directory.resolve_member(config)) as stream:
                config = load_yaml(stream.read())
        except ValueError as error:
            raise ModelDamagedError(f"{directory.path}: the model's config: {error}") from None
    if config is not None and not isinstance(config, Mapping):
        raise ModelDamagedError(
            f"{directory.path}: the model's config: expected a mapping, got {name_type(config)}"
        )
    return {**(config or {}), **(overrides or {})}


def _write_pickle(model: Any, home: Path) -> dict[str, Any]:
    """Write the pickle, and return its entries."""
    require_package("cloudpickle", "saving a PythonModel", "python-model")
    import cloudpickle

    with (home / _FILE).open("wb") as stream:
        cloudpickle.dump(model, stream)
    return {"python_model": _FILE, "cloudpickle_version": cloudpickle.__version__}


def _copy_artifact(path: Path, home: Path) -> str:
    """Copy an artifact, and return its path in the model directory."""
    folder = home / "artifacts"
    if (folder / path.resolve().name).exists():  # another artifact has the same file name
        folder = next(folder / str(n) for n in count() if not (folder / str(n)).exists())
    return copy_into(path, folder).relative_to(home).as_posix()


FLAVOR = _PythonFlavor()
_load_pyfunc = FLAVOR.load_for_mlflow
