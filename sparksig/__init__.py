"""sparksig: batch scoring on Spark under a contract.

All public names import from here; each is loaded when it is first used, so that ``import sparksig``
costs next to nothing and needs none of pandas, pyarrow, pyspark and pydantic.
"""

from __future__ import annotations

from importlib import import_module
from sys import modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparksig.comparison import Comparison, compare
    from sparksig.convert.exports import export
    from sparksig.engine.absent import AbsentColumnWarning
    from sparksig.engine.frames import enforce, validate_schema
    from sparksig.errors import (
        BudgetExceededError,
        Code,
        ConfigError,
        ContractError,
        ConversionError,
        ExecutionError,
        Finding,
        InferenceError,
        MissingDependencyError,
        MissingSignatureError,
        ModelDamagedError,
        ModelError,
        ModelFailedError,
        ModelNotFoundError,
        ModelNotTrustedError,
        OutputRefusedError,
        PredictionError,
        SignatureError,
        SparksigError,
        SparksigWarning,
        TableNotFoundError,
        UnsupportedError,
    )
    from sparksig.infer import IntegerColumnWarning, infer_signature
    from sparksig.models.info import (
        ModelInfo,
        get_model_info,
        registrable,
        set_signature,
    )
    from sparksig.models.loading import (
        LoadedModel,
        load_input_example,
        load_model,
        load_serving_example,
        validate_serving_input,
    )
    from sparksig.models.logging import log_model
    from sparksig.models.model_code import set_model
    from sparksig.models.python_model import (
        PythonModel,
        PythonModelContext,
        SignatureMismatchWarning,
        TypeFromExample,
        pyfunc,
    )
    from sparksig.models.saving import save_model
    from sparksig.models.seal import digest
    from sparksig.models.versions import VersionMismatchWarning
    from sparksig.params import ParamSchema, ParamSpec
    from sparksig.schema import ColSpec, Schema, TensorSpec
    from sparksig.scoring.local import score_files
    from sparksig.signature import ModelSignature
    from sparksig.spark.frame import score
    from sparksig.spark.udf import spark_udf
    from sparksig.tables.check import check
    from sparksig.tables.infer import sample_signature
    from sparksig.tables.report import Report
    from sparksig.tables.sample import SampledSignature, Sampler
    from sparksig.tables.signatures import load_signature
    from sparksig.tables.split import split, violations
    from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
    from sparksig.writing.write import plan_write, write

__version__ = "0.1.0"

__all__ = [
    "AbsentColumnWarning",
    "AnyType",
    "Array",
    "BudgetExceededError",
    "Code",
    "ColSpec",
    "Comparison",
    "ConfigError",
    "ContractError",
    "ConversionError",
    "DataType",
    "ExecutionError",
    "Finding",
    "InferenceError",
    "IntegerColumnWarning",
    "LoadedModel",
    "Map",
    "MissingDependencyError",
    "MissingSignatureError",
    "ModelDamagedError",
    "ModelError",
    "ModelFailedError",
    "ModelInfo",
    "ModelNotFoundError",
    "ModelNotTrustedError",
    "ModelSignature",
    "Object",
    "OutputRefusedError",
    "ParamSchema",
    "ParamSpec",
    "PredictionError",
    "Property",
    "PythonModel",
    "PythonModelContext",
    "Report",
    "SampledSignature",
    "Sampler",
    "Schema",
    "SignatureError",
    "SignatureMismatchWarning",
    "SparkMLVector",
    "SparksigError",
    "SparksigWarning",
    "TableNotFoundError",
    "TensorSpec",
    "TypeFromExample",
    "UnsupportedError",
    "VersionMismatchWarning",
    "check",
    "compare",
    "digest",
    "enforce",
    "export",
    "get_model_info",
    "infer_signature",
    "load_input_example",
    "load_model",
    "load_serving_example",
    "load_signature",
    "log_model",
    "plan_write",
    "pyfunc",
    "registrable",
    "sample_signature",
    "save_model",
    "score",
    "score_files",
    "set_model",
    "set_signature",
    "spark_udf",
    "split",
    "validate_schema",
    "validate_serving_input",
    "violations",
    "write",
]

_HOMES = {
    "sparksig.comparison": ["Comparison", "compare"],
    "sparksig.tables.signatures": ["load_signature"],
    "sparksig.convert.exports": ["export"],
    "sparksig.engine.absent": ["AbsentColumnWarning"],
    "sparksig.engine.frames": ["enforce", "validate_schema"],
    "sparksig.errors": [
        "BudgetExceededError",
        "Code",
        "ConfigError",
        "ContractError",
        "ConversionError",
        "ExecutionError",
        "Finding",
        "InferenceError",
        "MissingDependencyError",
        "MissingSignatureError",
        "ModelDamagedError",
        "ModelError",
        "ModelFailedError",
        "ModelNotFoundError",
        "ModelNotTrustedError",
        "OutputRefusedError",
        "PredictionError",
        "SignatureError",
        "SparksigError",
        "SparksigWarning",
        "TableNotFoundError",
        "UnsupportedError",
    ],
    "sparksig.infer": ["IntegerColumnWarning", "infer_signature"],
    "sparksig.models.loading": [
        "LoadedModel",
        "load_input_example",
        "load_model",
        "load_serving_example",
        "validate_serving_input",
    ],
    "sparksig.models.versions": ["VersionMismatchWarning"],
    "sparksig.models.info": [
        "ModelInfo",
        "get_model_info",
        "registrable",
        "set_signature",
    ],
    "sparksig.models.logging": ["log_model"],
    "sparksig.models.model_code": ["set_model"],
    "sparksig.models.python_model": [
        "PythonModel",
        "PythonModelContext",
        "SignatureMismatchWarning",
        "TypeFromExample",
        "pyfunc",
    ],
    "sparksig.models.saving": ["save_model"],
    "sparksig.models.seal": ["digest"],
    "sparksig.params": ["ParamSchema", "ParamSpec"],
    "sparksig.schema": ["ColSpec", "Schema", "TensorSpec"],
    "sparksig.signature": ["ModelSignature"],
    "sparksig.scoring.local": ["score_files"],
    "sparksig.spark.frame": ["score"],
    "sparksig.tables.check": ["check"],
    "sparksig.tables.infer": ["sample_signature"],
    "sparksig.tables.report": ["Report"],
    "sparksig.tables.sample": ["SampledSignature", "Sampler"],
    "sparksig.tables.split": ["split", "violations"],
    "sparksig.spark.udf": ["spark_udf"],
    "sparksig.writing.write": ["plan_write", "write"],
    "sparksig.types": ["AnyType", "Array", "DataType", "Map", "Object", "Property", "SparkMLVector"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'sparksig' has no attribute {name!r}")
    try:
        value = getattr(import_module(home), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "pyspark":
            raise
        from sparksig.errors import MissingDependencyError

        raise MissingDependencyError.naming("pyspark", f"sparksig.{name}", "spark") from None
    # `enforce` is a function and a package; the package, being callable, is both
    value = modules.get(f"sparksig.{name}", value)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
