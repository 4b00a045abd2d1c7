"""sparksig: batch scoring on Spark under a contract.

All public names import from here; each is loaded when it is first used, so that ``import sparksig``
costs next to nothing and needs none of pandas, pyarrow, pyspark and pydantic.
"""

from __future__ import annotations

from importlib import import_module
from sys import modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparksig.enforce.frames import enforce, validate_schema
    from sparksig.errors import (
        Code,
        ConfigError,
        ConfigNotFoundError,
        ContractError,
        ConversionError,
        Finding,
        InferenceError,
        MissingDependencyError,
        ModelDamagedError,
        ModelError,
        ModelNotFoundError,
        ModelNotTrustedError,
        OutputRefusedError,
        PredictionError,
        SignatureError,
        SignatureTypeError,
        SparksigError,
        TableNotFoundError,
        UnsupportedError,
    )
    from sparksig.infer import IntegerColumnWarning, infer_signature, merge_schemas
    from sparksig.models import LoadedModel, load_model, save_model
    from sparksig.models.python_model import (
        PythonModel,
        PythonModelContext,
        TypeFromExample,
        TypeHintWarning,
        pyfunc,
    )
    from sparksig.params import ParamSchema, ParamSpec, UnknownParamWarning
    from sparksig.schema import ColSpec, Schema, TensorSpec
    from sparksig.signature import ModelSignature
    from sparksig.spark.frame import score
    from sparksig.spark.udf import spark_udf
    from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector

__version__ = "0.1.0"

__all__ = [
    "AnyType",
    "Array",
    "Code",
    "ColSpec",
    "ConfigError",
    "ConfigNotFoundError",
    "ContractError",
    "ConversionError",
    "DataType",
    "Finding",
    "InferenceError",
    "IntegerColumnWarning",
    "LoadedModel",
    "Map",
    "MissingDependencyError",
    "ModelDamagedError",
    "ModelError",
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
    "Schema",
    "SignatureError",
    "SignatureTypeError",
    "SparkMLVector",
    "SparksigError",
    "TableNotFoundError",
    "TensorSpec",
    "TypeFromExample",
    "TypeHintWarning",
    "UnknownParamWarning",
    "UnsupportedError",
    "enforce",
    "infer_signature",
    "load_model",
    "merge_schemas",
    "pyfunc",
    "save_model",
    "score",
    "spark_udf",
    "validate_schema",
]

_HOMES = {
    "sparksig.enforce.frames": ["enforce", "validate_schema"],
    "sparksig.errors": [
        "Code",
        "ConfigError",
        "ConfigNotFoundError",
        "ContractError",
        "ConversionError",
        "Finding",
        "InferenceError",
        "MissingDependencyError",
        "ModelDamagedError",
        "ModelError",
        "ModelNotFoundError",
        "ModelNotTrustedError",
        "OutputRefusedError",
        "PredictionError",
        "SignatureError",
        "SignatureTypeError",
        "SparksigError",
        "TableNotFoundError",
        "UnsupportedError",
    ],
    "sparksig.infer": ["IntegerColumnWarning", "infer_signature", "merge_schemas"],
    "sparksig.models": ["LoadedModel", "load_model", "save_model"],
    "sparksig.models.python_model": [
        "PythonModel",
        "PythonModelContext",
        "TypeFromExample",
        "TypeHintWarning",
        "pyfunc",
    ],
    "sparksig.params": ["ParamSchema", "ParamSpec", "UnknownParamWarning"],
    "sparksig.schema": ["ColSpec", "Schema", "TensorSpec"],
    "sparksig.signature": ["ModelSignature"],
    "sparksig.spark.frame": ["score"],
    "sparksig.spark.udf": ["spark_udf"],
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
