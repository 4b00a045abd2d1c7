"""Loading models, and predicting with them under their signatures."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sparksig.convert.arrow import to_arrow
from sparksig.convert.mlflow import refuse_arguments
from sparksig.engine.absent import Absent, check_absent
from sparksig.engine.features import has_features
from sparksig.engine.frames import build_model_frame, build_model_input
from sparksig.engine.predictions import check
from sparksig.engine.selection import select_features
from sparksig.engine.text_dtypes import TextDtypes, list_text_labels
from sparksig.errors import ModelDamagedError, ModelError, name_type
from sparksig.infer.outputs import count_rows
from sparksig.models import examples, flavors
from sparksig.models.directory import ModelDirectory, replace_outputs
from sparksig.models.environments import compare_versions, resolve_environment
from sparksig.models.features import read_features
from sparksig.models.flavors.interface import HasTextDtypes, LoadOptions, Predictor
from sparksig.models.info import ModelInfo, describe
from sparksig.models.isolated import load_predictor
from sparksig.models.payloads import parse_payload
from sparksig.models.python_model import set_serving
from sparksig.models.registry import fetch_model
from sparksig.models.shapes import as_example, read_shape
from sparksig.models.trust import Trust, check_type_names
from sparksig.options import OnVersionMismatch
from sparksig.params import enforce_params
from sparksig.schema import Schema, TensorSpec
from sparksig.signature import ModelSignature


class LoadedModel:
    """A model in memory that enforces its signature. Made by :func:`load_model`.

    Attributes:
        signature: the model's contract, or None.
        path: the directory that the model was loaded from.
        text_dtypes: the dtypes of the model's text columns, as recorded when it was saved. Without a record,
            the categories of an estimator decide.
        absent: the treatment of optional columns that the data lacks: "null", "omit" or "forbid".
        metadata: the :class:`ModelInfo` of the directory.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"] * 2, input_example={"x": 1.5})
        >>> model = load_model(home, allow_pickle=True)
        >>> model.signature.inputs, model.predict({"x": 3}).tolist()
        (['x': double (required)], [6.0])
    """

    def __init__(
        self,
        path: Path,
        directory: ModelDirectory,
        predictor: Predictor,
        signature: ModelSignature | None,
        text_dtypes: TextDtypes,
        absent: Absent,
    ) -> None:
        self.path = path
        self.signature = signature
        self.text_dtypes = text_dtypes
        self.absent = absent
        self._directory = directory  # keeps a private copy alive: it is removed with this object
        self._predictor = predictor
        self._features = read_features(directory) or getattr(predictor, "feature_names", None)
        from_example = signature is not None and signature._is_type_hint_from_example
        self._shape = read_shape(directory) if from_example else None

    def __repr__(self) -> str:
        return f"LoadedModel({str(self.path)!r})"

    @cached_property
    def metadata(self) -> ModelInfo:
        """The description of the directory, as :func:`~sparksig.get_model_info` returns it.

        Its digest is computed at the first access.
        """
        return describe(self._directory, str(self.path))

    @property
    def _inputs(self) -> Schema | None:
        return None if self.signature is None else self.signature.inputs

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Predict each row of ``data``, with the input, the params and the prediction enforced.

        Args:
            data: anything that :func:`~sparksig.enforce` accepts for the signature's inputs. If the
                signature comes from a type hint: a list of rows. Without a signature: any object.
            params: values for the model's params.

        Returns:
            The model's prediction. If the model fails on data without rows, as estimators do: an empty
            prediction, as the outputs declare it.

        Raises:
            ContractError: the data or a param breaks the signature (with all findings), or the data is a
                Spark DataFrame. Score one with :func:`sparksig.score`.
            PredictionError: the prediction breaks the signature.

        Warns:
            UnknownParamWarning: the signature does not declare a param; the param is dropped.
        """
        enforced = self._enforce_input(data)
        declared_params = self.signature.params if self.signature else None
        # as in MLflow: a model without params is called with None, unless the caller passes some
        no_params = params is None and declared_params is None
        enforced_params = None if no_params else enforce_params(params, declared_params)
        try:
            prediction = self.predict_raw(enforced, enforced_params)
        except Exception:
            outputs = None if self.signature is None else self.signature.outputs
            if outputs is None or self._count_rows(enforced) != 0:
                raise
            prediction = _build_empty(outputs)
        self._check_prediction(prediction, enforced)
        return prediction

    def _enforce_input(self, data: Any) -> Any:
        """Return a frame or tensors as the inputs declare them; without inputs, the data itself."""
        signature = self.signature
        # a model with a type hint enforces it itself, on a list instead of a frame
        if signature is None or signature.inputs is None or signature._is_signature_from_type_hint:
            return data
        return self.prepare(data, signature.inputs)

    def _check_prediction(self, prediction: Any, enforced: Any) -> None:
        """Check a prediction for enforced input against the outputs.

        Raises:
            PredictionError: it breaks the outputs; with all findings.
        """
        if self.signature is not None and self.signature.outputs is not None:
            check(prediction, self.signature.outputs, self._count_rows(enforced))

    def _count_rows(self, enforced: Any) -> int | None:
        """Return the number of input rows; None without inputs, or where it is not known."""
        if self._inputs is not None and self._inputs.is_tensor_spec():
            return _count_tensor_rows(enforced, self._inputs)
        return None if self._inputs is None else count_rows(enforced)

    def predict_raw(self, enforced: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Predict without enforcing anything: for callers that enforce the input and the prediction.

        Args:
            enforced: the model's input, enforced by its signature.
            params: all params of the model, with their values; or None.
        """
        model_data = enforced if self._shape is None else as_example(enforced, self._shape, self._inputs)
        return self._predictor(self._name_features(model_data), params)

    def prepare(self, data: Any, inputs: Schema) -> Any:
        """Match and enforce the columns of the data, and return the model's input.

        Args:
            data: the same kinds as for :meth:`predict`.
            inputs: the signature's inputs.

        Raises:
            ContractError: the data breaks the signature; with all findings.
        """
        selected = select_features(data, inputs, self._features)
        enforced = build_model_input(selected, inputs, texts=self.text_dtypes, absent=self.absent)
        return self._name_features(enforced)

    def _name_features(self, frame: Any) -> Any:
        """Name a frame's columns after the model's features, where the signature does not name them."""
        names = list(self._features or ())
        if self._inputs is None or not isinstance(frame, pd.DataFrame) or frame.shape[1] != len(names):
            return frame
        return frame.set_axis(names, axis="columns") if has_features(self._inputs, names) else frame


def _count_tensor_rows(data: Any, inputs: Schema) -> int | None:
    """Count the rows of tensors; None where their shapes do not determine a number of rows.

    A tensor's first dimension counts rows only if its size is variable in the schema, and only if all such
    tensors agree: the edges and the nodes of a graph are not rows of one table.
    """
    tensors = data if isinstance(data, dict) else {None: data}
    names = [spec.name for spec in inputs if isinstance(spec, TensorSpec) and spec.shape[:1] == (-1,)]
    lengths = {tensors[name].shape[0] for name in names if name in tensors and tensors[name].ndim}
    return int(lengths.pop()) if len(lengths) == 1 else None


def _build_empty(outputs: Schema) -> Any:
    """Build a prediction for no rows: arrays, or a frame if the outputs have names."""
    if not outputs.is_tensor_spec():
        frame = build_model_frame(to_arrow(outputs, pa.null()).empty_table(), outputs)
        return frame if outputs.has_input_names() or len(outputs) > 1 else frame.iloc[:, 0].to_numpy()
    specs = [spec for spec in outputs if isinstance(spec, TensorSpec)]
    arrays = {
        spec.name: np.empty((0, *(max(size, 0) for size in spec.shape[1:])), spec.type) for spec in specs
    }
    return arrays if outputs.has_input_names() else arrays[None]


def load_model(
    model: str | os.PathLike[str],
    *,
    allow_pickle: bool = False,
    digest: str | None = None,
    trusted_types: Sequence[str] = (),
    method: str | None = None,
    model_config: Mapping[str, Any] | None = None,
    on_version_mismatch: OnVersionMismatch = "warn",
    absent: Absent | None = None,
    environment: str | os.PathLike[str] = "worker",
    allow_install: bool = False,
    **arguments: Any,
) -> LoadedModel:
    """Load a model directory that sparksig or MLflow saved.

    Args:
        model: the directory, or a URI. ``runs:/`` and ``models:/`` need MLflow; ``s3://``, ``gs://``,
            ``abfs://`` and ``hdfs://`` are read with ``pyarrow.fs``.
        allow_pickle: allow code in the directory to run, which pickles need. Pass it only for a model whose
            origin you trust.
        digest: refuse the directory unless its content has this digest. A pinned model may run code; the
            types in a skops file are still checked against ``trusted_types``.
        trusted_types: types to allow in a skops file, in addition to those that skops trusts and the inert
            types of :mod:`sparksig.models.inert_types`.
        method: the method that predicts, where the model has several: ``predict``, ``predict_proba``,
            ``decision_function``, ``transform``, ... None for the saved one. The outputs of the signature
            describe the saved method; predictions of another method are not checked.
        model_config: overrides entries of the configuration that a PythonModel was saved with.
        on_version_mismatch: the reaction when installed versions of packages differ from those that the model
            was saved with: "warn", "fail" or "ignore".
        absent: the treatment of an optional column that the data lacks: "null" passes a column of nulls to
            the model, "omit" no column, and "forbid" refuses the data. None for "null" with estimators and
            boosters, which refuse a frame without the columns that they were trained with, and for "omit"
            with PythonModels, functions and loader modules.
        environment: "worker" to run the model in this process; "model" to run it in a process of its own, in
            an environment that is built from the model's requirements; or the path of an environment that
            ``sparksig env build`` has written, as ``PATH@sha256:DIGEST`` with the digest that pins it.
        allow_install: allow the packages of the model's requirements to be installed, which runs code of
            theirs. A pinned digest allows it, too, if the requirements name one exact version each.
        **arguments: refused; for those of MLflow's function, the message says what to do instead.

    Returns:
        The model, which enforces its signature around each prediction.

    Raises:
        ContractError: ``absent`` is not one of the choices.
        ModelNotFoundError: there is no model directory.
        ModelDamagedError: it is malformed, incomplete, changed since it was sealed, or not the pinned one.
        ModelNotTrustedError: loading would execute code that is not allowed.
        ModelError: versions differ with ``on_version_mismatch="fail"``, or the model has no such method.
        UnsupportedError: this version of sparksig does not support the serialization format.
        MissingDependencyError: the format's package is not installed.

    Warns:
        VersionMismatchWarning: versions differ.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"] * 2, input_example={"x": 1.5})
        >>> load_model(home)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        sparksig.errors.ModelNotTrustedError: ...: loading a pickled PythonModel can run any code in it.
            If you trust its origin, pass allow_pickle=True, or pin it with digest=
        >>> load_model(home, digest=sparksig.digest(home)).predict({"x": [1.0, 2.5]}).tolist()
        [2.0, 5.0]
    """
    refuse_arguments("load_model", arguments)
    trust = Trust(allow_pickle, digest, check_type_names(trusted_types))
    if model_config is not None and not isinstance(model_config, Mapping):
        raise ModelError(f"model_config: expected a mapping, got {name_type(model_config)}")
    check_absent(absent)
    path = fetch_model(model)
    directory = ModelDirectory.read(path)
    if environment == "model":  # its requirements are read below
        directory = trust.verify(directory)
    isolated = resolve_environment(directory, environment, trust, allow_install=allow_install)
    loaded = load_directory(path, LoadOptions(trust, method, model_config, isolated), on_version_mismatch)
    loaded.absent = absent or loaded.absent
    return loaded


def load_directory(
    path: Path, loading: LoadOptions, on_version_mismatch: str = "ignore", *, private: bool = False
) -> LoadedModel:
    """Load a local directory; raises the same errors as :func:`load_model`.

    A private directory, which no other process can change, needs no copy when it is pinned.
    """
    try:
        directory = loading.trust.verify(ModelDirectory.read(path))
    except ModelDamagedError:  # another process may have replaced the signature between the two reads
        directory = loading.trust.verify(ModelDirectory.read(path))
    flavors.check(directory, loading)
    compare_versions(directory, on_version_mismatch, loading.environment)
    recorded = directory.text_dtypes
    home = directory.path
    if not private and flavors.opens_files(directory):
        directory = directory.snapshot()
    with _no_bytecode():
        predictor = load_predictor(directory, loading)
    signature = directory.signature
    saved_method = directory.pyfunc.get("predict_fn") or "predict"
    if signature is not None and loading.method not in (None, saved_method):
        # the outputs describe the saved method
        is_needed = signature.inputs is not None or signature.params is not None
        signature = replace_outputs(signature, None) if is_needed else None
    texts = _resolve_text_dtypes(recorded, predictor, signature)
    return LoadedModel(home, directory, predictor, signature, texts, flavors.choose_absent(directory))


def _resolve_text_dtypes(
    recorded: TextDtypes, predictor: Predictor, signature: ModelSignature | None
) -> TextDtypes:
    """Return the dtypes of a model's text columns: recorded in the directory, else known to the model."""
    inputs = None if signature is None else signature.inputs
    dtypes = dict(recorded.columns)
    if (
        inputs is not None
        and isinstance(predictor, HasTextDtypes)
        and set(list_text_labels(inputs)) - set(dtypes)
    ):
        dtypes = {**dict(predictor.infer_text_dtypes(inputs).columns), **dtypes}
    return TextDtypes.from_mapping(dtypes)


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """Write no bytecode in the block: files in a model directory would change its digest."""
    global _loading_threads, _previous_setting
    with _BYTECODE_LOCK:
        _loading_threads += 1
        if _loading_threads == 1:
            _previous_setting, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        with _BYTECODE_LOCK:
            _loading_threads -= 1
            if not _loading_threads:
                sys.dont_write_bytecode = _previous_setting


_BYTECODE_LOCK = threading.Lock()
_loading_threads = 0
_previous_setting = False  # of sys.dont_write_bytecode, before the first thread


# --- examples and requests --------------------------------------------------------------------------------


def _read_verified(model: str | os.PathLike[str]) -> ModelDirectory:
    return Trust().verify(ModelDirectory.read(fetch_model(model)))


def load_input_example(model: str | os.PathLike[str]) -> Any:
    """Load the data of the example that a model was saved with, in the types of its signature.

    Args:
        model: a model directory, or a URI that :func:`load_model` accepts.

    Returns:
        The data, in the container that it was saved from; None without an example.

    Raises:
        ModelError: there is no model directory, or it is damaged.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda rows: [len(rows)], input_example=(["a"], {"n": 1}))
        >>> load_input_example(home)
        ['a']
    """
    return examples.read_example(_read_verified(model))


def load_input_example_params(model: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Load the params of the example that a model was saved with; None without params.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda rows: [len(rows)], input_example=(["a"], {"n": 1}))
        >>> load_input_example_params(home)
        {'n': 1}
    """
    return examples.read_example_params(_read_verified(model))


def load_serving_example(model: str | os.PathLike[str]) -> str:
    """Load the body of a request that sends a model's example to a scoring server.

    Args:
        model: a model directory, or a URI that :func:`load_model` accepts.

    Returns:
        JSON text.

    Raises:
        ModelError: there is no model directory, it is damaged, or was saved without an example.

    Example:
        >>> import json, tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"], input_example={"x": 1.5})
        >>> json.loads(load_serving_example(home))
        {'inputs': {'x': 1.5}}
    """
    return examples.read_serving_example(_read_verified(model))


def validate_serving_input(
    model: str | os.PathLike[str] | LoadedModel,
    serving_input: str | bytes | Mapping[str, Any],
    **options: Any,
) -> Any:
    """Parse the body of a request as a scoring server does, and predict it.

    Args:
        model: a model directory or URI, or a loaded model.
        serving_input: the body: JSON text, or the parsed JSON.
        options: the keyword arguments of :func:`load_model`.

    Returns:
        The model's prediction.

    Raises:
        ContractError: the request is not JSON, matches no format that the model accepts, or its data breaks
            the signature.
        ModelError: the model cannot be loaded; see :func:`load_model`.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"] * 2, input_example={"x": 1.5})
        >>> validate_serving_input(home, '{"inputs": {"x": [1.5, 2]}}', allow_pickle=True).tolist()
        [3.0, 4.0]
    """
    if isinstance(model, LoadedModel) and options:
        names = ", ".join(sorted(options))
        raise ModelError(f"{names}: the model is loaded already. Pass loading options to load_model()")
    loaded = model if isinstance(model, LoadedModel) else load_model(model, **options)
    data, params = parse_payload(serving_input, loaded.signature)
    with set_serving():
        return loaded.predict(data, params)
