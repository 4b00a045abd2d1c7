"""Model directories: saving, loading, predicting. The layout is MLflow's, both ways."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from sparksig.convert.mlflow import refuse_arguments
from sparksig.engine.absent import Absent, check_absent
from sparksig.engine.features import has_features, select_features
from sparksig.engine.frames import model_input
from sparksig.engine.predictions import check
from sparksig.engine.texts import OBJECTS, TextDtypes, text_labels
from sparksig.errors import ModelDamagedError, ModelError, kind
from sparksig.infer.outputs import count_rows
from sparksig.models import examples, flavors
from sparksig.models.directory import ModelDirectory
from sparksig.models.environment import compare_versions
from sparksig.models.features import recorded_features
from sparksig.models.flavors.interface import Loading, Predictor, ShowsTexts
from sparksig.models.info import ModelInfo, describe
from sparksig.models.payloads import parse_payload
from sparksig.models.python_model import serving
from sparksig.models.registry import local_path
from sparksig.models.shapes import as_example, shape_of
from sparksig.models.trust import Trust, type_names
from sparksig.params import enforce_params
from sparksig.schema import Schema, TensorSpec
from sparksig.signature import ModelSignature

__all__ = [
    "LoadedModel",
    "load_directory",
    "load_input_example",
    "load_input_example_params",
    "load_model",
    "load_serving_example",
    "validate_serving_input",
]


class LoadedModel:
    """A model in memory, with its contract around it. Made by :func:`load_model`.

    Attributes:
        signature: its contract, or None.
        path: the directory it came from.
        text_dtypes: the dtypes of its text columns, as recorded when it was saved. Without a record the
            categories of an estimator decide.
        absent: "null", "omit" or "forbid": what the model sees of an optional column that the data lacks.
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
        text_dtypes: TextDtypes = OBJECTS,
        absent: Absent = "omit",
    ) -> None:
        self.path = path
        self.signature = signature
        self.text_dtypes = text_dtypes
        self.absent = absent
        self._directory = directory  # a private copy goes when nobody has it any more
        self._predictor = predictor
        self._features = recorded_features(directory) or getattr(predictor, "feature_names", None)
        from_example = signature is not None and signature._is_type_hint_from_example
        self._shape = shape_of(directory) if from_example else None

    def __repr__(self) -> str:
        return f"LoadedModel({str(self.path)!r})"

    @cached_property
    def metadata(self) -> ModelInfo:
        """Return the description of the directory, as :func:`~sparksig.get_model_info` does.

        The digest is that of the directory's content when the description is first asked for.
        """
        return describe(self._directory, str(self.path))

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """One prediction for each row of ``data``: input, params and output enforced by the signature.

        Args:
            data: whatever :func:`~sparksig.enforce` takes for the signature's inputs; rows for a type
                hint, if the signature comes from one; anything, if the model has no signature.
            params: values for the model's params.

        Returns:
            What the model returned.

        Raises:
            ContractError: the data or a param breaks the signature; all findings. Or the data is a Spark
                DataFrame, which :func:`sparksig.score` scores on the executors.
            PredictionError: what the model returned breaks it.

        Warns:
            UnknownParamWarning: a param that the signature does not know; it is dropped.
        """
        enforced = self._enforce_input(data)
        declared = self.signature.params if self.signature else None
        # as in MLflow: a model without params is called with None, unless the caller passes some
        given = None if params is None and declared is None else enforce_params(params, declared)
        prediction = self.predict_raw(enforced, given)
        self._check_prediction(prediction, enforced)
        return prediction

    def _enforce_input(self, data: Any) -> Any:
        """Return the data as the inputs declare it: a frame or tensors, or the data itself without inputs."""
        signature = self.signature
        # a type hint's contract is kept by the model itself, which takes a list and no frame
        if signature is None or signature.inputs is None or signature._is_signature_from_type_hint:
            return data
        return self.prepare(data, signature.inputs)

    def _check_prediction(self, prediction: Any, enforced: Any) -> None:
        """Check a prediction for enforced input against the outputs.

        Raises:
            PredictionError: it does not fit; all findings.
        """
        if self.signature is not None and self.signature.outputs is not None:
            check(prediction, self.signature.outputs, self._count_rows(enforced))

    def _count_rows(self, enforced: Any) -> int | None:
        """Return how many rows the model was given; None without inputs, or where that is not known."""
        inputs = None if self.signature is None else self.signature.inputs
        if inputs is None:
            return None
        return _count_tensor_rows(enforced, inputs) if inputs.is_tensor_spec() else count_rows(enforced)

    def predict_raw(self, enforced: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return the model's own prediction, nothing enforced: for callers that enforce around it.

        Args:
            enforced: the model's input, enforced by its signature.
            params: all params of the model, with their values; or None.
        """
        inputs = self.signature.inputs if self.signature else None
        shown = enforced if self._shape is None else as_example(enforced, self._shape, inputs)
        return self._predictor(self._name_features(shown), params)

    def prepare(self, data: Any, inputs: Schema) -> Any:
        """Return what the model sees of data: its columns, matched and enforced.

        Args:
            data: as of :meth:`predict`.
            inputs: the signature's inputs.

        Raises:
            ContractError: the data breaks the signature; all findings.
        """
        selected = select_features(data, inputs, self._features)
        enforced = model_input(selected, inputs, texts=self.text_dtypes, absent=self.absent)
        return self._name_features(enforced)

    def _name_features(self, frame: Any) -> Any:
        """Name the columns of a frame by the model's features, where the signature does not name them."""
        inputs = None if self.signature is None else self.signature.inputs
        names = list(self._features or ())
        if inputs is None or not isinstance(frame, pd.DataFrame) or frame.shape[1] != len(names):
            return frame
        return frame.set_axis(names, axis="columns") if has_features(inputs, names) else frame


def _count_tensor_rows(data: Any, inputs: Schema) -> int | None:
    """Count the rows of tensors; None where they do not say.

    A tensor's first dimension is a number of rows only where the schema leaves it free, and only where all
    such tensors agree: a graph's edges and nodes are not rows of one table.
    """
    tensors = data if isinstance(data, dict) else {None: data}
    free = [spec.name for spec in inputs if isinstance(spec, TensorSpec) and spec.shape[:1] == (-1,)]
    lengths = {tensors[name].shape[0] for name in free if name in tensors and tensors[name].ndim}
    return int(lengths.pop()) if len(lengths) == 1 else None


def load_model(
    model_uri: str | os.PathLike[str],
    *,
    allow_pickle: bool = False,
    digest: str | None = None,
    trusted_types: Sequence[str] = (),
    method: str | None = None,
    model_config: Mapping[str, Any] | None = None,
    on_version_mismatch: str = "warn",
    absent: Absent | None = None,
    **arguments: Any,
) -> LoadedModel:
    """Load a model directory, written here or by MLflow.

    Args:
        model_uri: the directory; or a URI: ``runs:/`` and ``models:/`` through the installed MLflow, ``s3://``,
            ``gs://``, ``abfs://``, ``hdfs://`` through ``pyarrow.fs``.
        allow_pickle: code in the directory may run: needed for pickles. Pass it only for a model whose
            origin you trust.
        digest: refuse the directory unless its content has this digest. A pinned model may run code; what
            a skops file holds is still checked against ``trusted_types``.
        trusted_types: the types that a skops file may hold beyond those that skops trusts and the inert
            types of :mod:`sparksig.models.inert_types`.
        method: the method that predicts, where the model has several: ``predict``, ``predict_proba``,
            ``decision_function``, ``transform``, ...; None for the one that was saved. The outputs that the
            signature declares are those of the saved one; with another they are not checked.
        model_config: overrides entries of the configuration that a PythonModel was saved with.
        on_version_mismatch: "warn", "fail" or "ignore", where packages are installed in other versions than
            the model was saved with.
        absent: what the model sees of an optional column that the data lacks: "null" for a column of nulls,
            "omit" for no column, "forbid" to refuse the data. None for "null" with estimators and boosters,
            which refuse a frame without the columns that they were trained with, and for "omit" with
            PythonModels, functions and loader modules.
        **arguments: refused; for those of MLflow's function, the message says what to do instead.

    Returns:
        The model, which enforces its signature around each prediction.

    Raises:
        ContractError: ``absent`` is none of the choices.
        ModelNotFoundError: there is no model directory.
        ModelDamagedError: it is malformed, incomplete, changed since it was sealed, or not the pinned one.
        ModelNotTrustedError: loading would execute code, and it was not allowed.
        ModelError: versions differ, and "fail" was asked for; or the model has no such method.
        UnsupportedError: a form of a format that is unknown here.
        MissingDependencyError: the format's package is not installed.

    Warns:
        VersionMismatchWarning: versions differ.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"] * 2, input_example={"x": 1.5})
        >>> load_model(home)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        sparksig.errors.ModelNotTrustedError: ...: loading a pickled PythonModel can run any code it holds.
            If you trust where it comes from, pass allow_pickle=True, or pin it with digest=
        >>> load_model(home, digest=sparksig.digest(home)).predict({"x": [1.0, 2.5]}).tolist()
        [2.0, 5.0]
    """
    refuse_arguments("load_model", arguments)
    trust = Trust(allow_pickle, digest, type_names(trusted_types))
    if model_config is not None and not isinstance(model_config, Mapping):
        raise ModelError(f"model_config is a mapping, not {kind(model_config)}")
    check_absent(absent)
    model = load_directory(local_path(model_uri), Loading(trust, method, model_config), on_version_mismatch)
    model.absent = absent or model.absent
    return model


def load_directory(
    path: Path, loading: Loading, on_version_mismatch: str = "ignore", *, private: bool = False
) -> LoadedModel:
    """Load a local directory; errors as of :func:`load_model`.

    Args:
        path: the directory.
        loading: how.
        on_version_mismatch: what other versions of packages mean.
        private: nobody else can change the directory: no copy is needed of a pinned one.
    """
    try:
        directory = loading.trust.verify(ModelDirectory.read(path))
    except ModelDamagedError:  # or somebody gave it another signature in between
        directory = loading.trust.verify(ModelDirectory.read(path))
    flavors.check(directory, loading)
    compare_versions(directory, on_version_mismatch)
    recorded = directory.text_dtypes
    home = directory.path
    if not private and flavors.opens_files(directory):
        directory = directory.snapshot()
    with _no_bytecode():
        predictor = flavors.load(directory, loading)
    signature = directory.signature
    saved = directory.pyfunc.get("predict_fn") or "predict"
    if signature is not None and loading.method not in (None, saved):
        signature = _without_outputs(signature)
    texts = _text_dtypes(recorded, predictor, signature)
    return LoadedModel(home, directory, predictor, signature, texts, flavors.default_absent(directory))


def _text_dtypes(recorded: TextDtypes, predictor: Predictor, signature: ModelSignature | None) -> TextDtypes:
    """Return the dtypes of a model's text columns: the recorded ones, else those that the model shows."""
    inputs = None if signature is None else signature.inputs
    dtypes = dict(recorded.columns)
    if inputs is not None and isinstance(predictor, ShowsTexts) and set(text_labels(inputs)) - set(dtypes):
        dtypes = {**dict(predictor.text_dtypes(inputs).columns), **dtypes}
    return TextDtypes.from_mapping(dtypes)


def _without_outputs(signature: ModelSignature) -> ModelSignature | None:
    """The contract of another method: what it takes is known, what it gives is not."""
    if signature.inputs is None and signature.params is None:
        return None
    other = ModelSignature(signature.inputs, None, signature.params)
    other._is_signature_from_type_hint = signature._is_signature_from_type_hint
    other._is_type_hint_from_example = signature._is_type_hint_from_example
    return other


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """What a model imports from its own directory leaves nothing there: it would change the digest."""
    global _loading, _before
    with _BYTECODE:
        _loading += 1
        if _loading == 1:
            _before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        with _BYTECODE:
            _loading -= 1
            if not _loading:
                sys.dont_write_bytecode = _before


_BYTECODE = threading.Lock()
_loading, _before = 0, False  # how many threads load, and what the switch was before the first


# --- examples and requests --------------------------------------------------------------------------------


def _verified(model_uri: str | os.PathLike[str]) -> ModelDirectory:
    return Trust().verify(ModelDirectory.read(local_path(model_uri)))


def load_input_example(model_uri: str | os.PathLike[str]) -> Any:
    """The data of the example that a model was saved with, typed as its signature says.

    Args:
        model_uri: a model directory or URI, as :func:`load_model` takes it.

    Returns:
        The data in the form that it had; None if there is none.

    Raises:
        ModelError: there is no model directory, or it is damaged.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda rows: [len(rows)], input_example=(["a"], {"n": 1}))
        >>> load_input_example(home)
        ['a']
    """
    return examples.read_example(_verified(model_uri))


def load_input_example_params(model_uri: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The params of the example that a model was saved with.

    Args:
        model_uri: a model directory or URI, as :func:`load_model` takes it.

    Returns:
        From each name to its value; None if there are none.

    Raises:
        ModelError: there is no model directory, or it is damaged.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda rows: [len(rows)], input_example=(["a"], {"n": 1}))
        >>> load_input_example_params(home)
        {'n': 1}
    """
    return examples.read_example_params(_verified(model_uri))


def load_serving_example(model_uri: str | os.PathLike[str]) -> str:
    """The body of the request that sends a model's example to a scoring server.

    Args:
        model_uri: a model directory or URI, as :func:`load_model` takes it.

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
    return examples.read_serving_example(_verified(model_uri))


def validate_serving_input(
    model_uri: str | os.PathLike[str] | LoadedModel,
    serving_input: str | bytes | Mapping[str, Any],
    **options: Any,
) -> Any:
    """What a model predicts for the body of a request, parsed by its signature as a server would.

    Args:
        model_uri: a model directory or URI, or a loaded model.
        serving_input: the body: JSON text, or what a JSON parser made of it.
        options: as :func:`load_model` takes them.

    Returns:
        What the model returned.

    Raises:
        ContractError: the request is not JSON, not of one of the forms, or its data breaks the signature.
        ModelError: as :func:`load_model`.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"] * 2, input_example={"x": 1.5})
        >>> validate_serving_input(home, '{"inputs": {"x": [1.5, 2]}}', allow_pickle=True).tolist()
        [3.0, 4.0]
    """
    if isinstance(model_uri, LoadedModel) and options:
        raise ModelError(f"{', '.join(sorted(options))}: the model is loaded already")
    model = model_uri if isinstance(model_uri, LoadedModel) else load_model(model_uri, **options)
    data, params = parse_payload(serving_input, model.signature)
    with serving():
        return model.predict(data, params)
