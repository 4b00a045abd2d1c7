"""Verification of a model that was just written: it is loaded back and run on its input example."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sparksig.errors import (
    ContractError,
    InferenceError,
    ModelError,
    PredictionError,
    SparksigError,
    name_type,
)
from sparksig.infer import infer_outputs
from sparksig.infer.outputs import is_row
from sparksig.models.agreement import find_differing_columns, is_same
from sparksig.models.code import forget_code
from sparksig.models.directory import replace_outputs
from sparksig.models.examples import SERVING_FILE
from sparksig.models.flavors.interface import Flavor, LoadOptions, Predictor, SaveOptions
from sparksig.models.loading import LoadedModel, load_directory, validate_serving_input
from sparksig.models.trust import Trust
from sparksig.signature import ModelSignature


def verify_example(
    home: Path, model: Any, flavor: Flavor, saving: SaveOptions, example: tuple[Any, Mapping[str, Any] | None]
) -> ModelSignature | None:
    """Load a model back, and run it on its example and on the request that sends the example to a server.

    Return the signature, completed by the inferred outputs.
    """
    data, params = example
    signature = saving.signature
    with forget_code(home):
        loaded = load_directory(home, LoadOptions(Trust(True, None, saving.trusted_types)))
        with _explain_errors("input example"):
            prediction = loaded.predict(data, params)
        enforced = loaded._enforce_input(data)
        if signature is not None and signature.outputs is None:
            is_one_record = is_row(data)
            signature = _infer_outputs(signature, prediction, loaded._count_rows(enforced), is_one_record)
            loaded.signature = signature
            _check_outputs(loaded, prediction, enforced)
        predictor = flavor.create_predictor(
            model, saving.method, None if signature is None else signature.inputs
        )
        if predictor is not None:
            with _explain_errors("input example"):
                _compare_loaded(predictor, enforced, prediction)
            _compare_raw(predictor, data, enforced, prediction)
        with _explain_errors("input example, sent as a request,"):
            validate_serving_input(loaded, (home / SERVING_FILE).read_text(encoding="utf-8"))
    return signature


@contextlib.contextmanager
def _explain_errors(example: str) -> Iterator[None]:
    """Add the example to the message of an error of a prediction."""
    try:
        yield
    except PredictionError as error:
        message = f"the prediction for the {example} does not fit the signature: {error.message}"
        raise PredictionError(message, error.findings) from None
    except ContractError as error:
        message = f"the {example} does not fit the signature: {error.message}"
        raise ContractError(message, error.findings) from None
    except SparksigError:
        raise
    except Exception as error:
        subject = example.rstrip(",")
        raise ModelError(f"the model fails on its {subject}: {type(error).__name__} (see above)") from error


def _infer_outputs(
    signature: ModelSignature, prediction: Any, row_count: int | None, is_one_record: bool
) -> ModelSignature:
    if prediction is None:
        raise InferenceError(
            "the model returned None for its input example. Return one prediction for each row"
        )
    try:
        outputs = infer_outputs(prediction, signature.inputs, row_count, is_one_record and row_count == 1)
    except InferenceError as error:
        message = f"cannot infer the outputs from the prediction for the input example: {error.message}"
        raise InferenceError(
            f"{message}. Pass a signature with outputs, or no input example", error.findings
        ) from None
    return replace_outputs(signature, outputs)


def _check_outputs(loaded: LoadedModel, prediction: Any, enforced: Any) -> None:
    try:
        loaded._check_prediction(prediction, enforced)
    except PredictionError as error:
        message = f"the prediction for the input example does not fit its own schema: {error.message}"
        raise PredictionError(message, error.findings) from None


def _compare_loaded(predictor: Predictor, enforced: Any, prediction: Any) -> None:
    """Check that the model predicts the same as before it was saved, to the bit."""
    if not is_same(predictor(enforced, None), prediction):
        raise ModelError(
            f"the loaded model predicts something else for its input example ({name_type(prediction)}) than "
            "the model in memory, because its format does not store all of its state. Save it as part of a "
            "PythonModel"
        )


def _compare_raw(predictor: Predictor, data: Any, enforced: Any, prediction: Any) -> None:
    """Check that the model predicts the same for the caller's own data as for the enforced data."""
    columns = find_differing_columns(predictor, data, enforced, prediction)
    if columns is None:
        return
    names = f"column{'s' if len(columns) != 1 else ''} {', '.join(columns)}: " if columns else ""
    raise ModelError(
        f"{names}the model predicts something else for its input example than for the same example converted "
        "to the types of the signature. Declare the types that the model was trained with, or pass an "
        "input_example with the dtypes of the training data"
    )
