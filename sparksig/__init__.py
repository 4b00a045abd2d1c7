"""sparksig: batch scoring on Spark under a contract.

All public names import from here; each is loaded when it is first used, so that ``import sparksig``
costs next to nothing and needs none of pandas, pyarrow, pyspark and pydantic.
"""

from __future__ import annotations

from importlib import import_module
from sys import modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparksig.comparison import Comparison, Note, SideComparison, Verdict, compare
    from sparksig.convert.ddl import from_ddl, to_ddl
    from sparksig.convert.exports import Exported, export
    from sparksig.engine.absent import AbsentColumnWarning
    from sparksig.engine.frames import enforce, validate_schema
    from sparksig.errors import (
        BudgetExceededError,
        Code,
        ConfigError,
        ConfigNotFoundError,
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
        SignatureTypeError,
        SparksigError,
        TableNotFoundError,
        UnsupportedError,
    )
    from sparksig.infer import IntegerColumnWarning, infer_signature, merge_schemas
    from sparksig.models import (
        LoadedModel,
        load_input_example,
        load_input_example_params,
        load_model,
        load_serving_example,
        validate_serving_input,
    )
    from sparksig.models.dependencies import RequirementsWarning
    from sparksig.models.examples import convert_input_example_to_serving_input
    from sparksig.models.flavors.onnx import PrecisionWarning
    from sparksig.models.info import (
        ExampleMismatchWarning,
        ModelInfo,
        get_model_info,
        registrable,
        set_signature,
    )
    from sparksig.models.logging import log_model
    from sparksig.models.model_code import set_model
    from sparksig.models.python_model import (
        PythonModel,
        PythonModelContext,
        SignatureMismatchWarning,
        TypeFromExample,
        TypeHintWarning,
        pyfunc,
    )
    from sparksig.models.saving import save_model
    from sparksig.models.seal import digest
    from sparksig.models.versions import VersionMismatchWarning
    from sparksig.params import ParamSchema, ParamSpec, UnknownParamWarning
    from sparksig.schema import ColSpec, Schema, TensorSpec
    from sparksig.scoring.local import ScoredFiles, score_files
    from sparksig.signature import ModelSignature
    from sparksig.spark.frame import score
    from sparksig.spark.udf import spark_udf
    from sparksig.tables.check import check, check_parquet
    from sparksig.tables.infer import infer_parquet, sample_signature
    from sparksig.tables.report import ColumnReport, Report
    from sparksig.tables.sample import Evidence, SampledSignature, Sampler
    from sparksig.tables.signatures import load_signature
    from sparksig.tables.split import split, violations
    from sparksig.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
    from sparksig.writing.target import ColumnPlan
    from sparksig.writing.write import WritePlan, Written, plan_write, write

__version__ = "0.1.0"

__all__ = [
    "AbsentColumnWarning",
    "AnyType",
    "Array",
    "BudgetExceededError",
    "Code",
    "ColSpec",
    "ColumnPlan",
    "ColumnReport",
    "Comparison",
    "ConfigError",
    "ConfigNotFoundError",
    "ContractError",
    "ConversionError",
    "DataType",
    "Evidence",
    "ExampleMismatchWarning",
    "ExecutionError",
    "Exported",
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
    "Note",
    "Object",
    "OutputRefusedError",
    "ParamSchema",
    "ParamSpec",
    "PrecisionWarning",
    "PredictionError",
    "Property",
    "PythonModel",
    "PythonModelContext",
    "Report",
    "RequirementsWarning",
    "SampledSignature",
    "Sampler",
    "Schema",
    "ScoredFiles",
    "SideComparison",
    "SignatureError",
    "SignatureMismatchWarning",
    "SignatureTypeError",
    "SparkMLVector",
    "SparksigError",
    "TableNotFoundError",
    "TensorSpec",
    "TypeFromExample",
    "TypeHintWarning",
    "UnknownParamWarning",
    "UnsupportedError",
    "Verdict",
    "VersionMismatchWarning",
    "WritePlan",
    "Written",
    "check",
    "check_parquet",
    "compare",
    "convert_input_example_to_serving_input",
    "digest",
    "enforce",
    "export",
    "from_ddl",
    "get_model_info",
    "infer_parquet",
    "infer_signature",
    "load_input_example",
    "load_input_example_params",
    "load_model",
    "load_serving_example",
    "load_signature",
    "log_model",
    "merge_schemas",
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
    "to_ddl",
    "validate_schema",
    "validate_serving_input",
    "violations",
    "write",
]

_HOMES = {
    "sparksig.comparison": ["Comparison", "Note", "SideComparison", "Verdict", "compare"],
    "sparksig.tables.signatures": ["load_signature"],
    "sparksig.convert.ddl": ["from_ddl", "to_ddl"],
    "sparksig.convert.exports": ["Exported", "export"],
    "sparksig.engine.absent": ["AbsentColumnWarning"],
    "sparksig.engine.frames": ["enforce", "validate_schema"],
    "sparksig.errors": [
        "BudgetExceededError",
        "Code",
        "ConfigError",
        "ConfigNotFoundError",
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
        "SignatureTypeError",
        "SparksigError",
        "TableNotFoundError",
        "UnsupportedError",
    ],
    "sparksig.infer": ["IntegerColumnWarning", "infer_signature", "merge_schemas"],
    "sparksig.models": [
        "LoadedModel",
        "load_input_example",
        "load_input_example_params",
        "load_model",
        "load_serving_example",
        "validate_serving_input",
    ],
    "sparksig.models.dependencies": ["RequirementsWarning"],
    "sparksig.models.versions": ["VersionMismatchWarning"],
    "sparksig.models.examples": ["convert_input_example_to_serving_input"],
    "sparksig.models.flavors.onnx": ["PrecisionWarning"],
    "sparksig.models.info": [
        "ExampleMismatchWarning",
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
        "TypeHintWarning",
        "pyfunc",
    ],
    "sparksig.models.saving": ["save_model"],
    "sparksig.models.seal": ["digest"],
    "sparksig.params": ["ParamSchema", "ParamSpec", "UnknownParamWarning"],
    "sparksig.schema": ["ColSpec", "Schema", "TensorSpec"],
    "sparksig.signature": ["ModelSignature"],
    "sparksig.scoring.local": ["ScoredFiles", "score_files"],
    "sparksig.spark.frame": ["score"],
    "sparksig.tables.check": ["check", "check_parquet"],
    "sparksig.tables.infer": ["infer_parquet", "sample_signature"],
    "sparksig.tables.report": ["ColumnReport", "Report"],
    "sparksig.tables.sample": ["Evidence", "SampledSignature", "Sampler"],
    "sparksig.tables.split": ["split", "violations"],
    "sparksig.spark.udf": ["spark_udf"],
    "sparksig.writing.target": ["ColumnPlan"],
    "sparksig.writing.write": ["WritePlan", "Written", "plan_write", "write"],
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
