"""sparksig: batch scoring on Spark under a contract.

All public names import from here; each is loaded when it is first used, so that ``import sparksig``
costs next to nothing and needs none of pandas, pyarrow, pyspark and pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # type checkers and editors read the public names here, programs read _HOMES
    from sparksig.comparison import Comparison as Comparison
    from sparksig.comparison import compare as compare
    from sparksig.convert.exports import export as export
    from sparksig.engine.absent import AbsentColumnWarning as AbsentColumnWarning
    from sparksig.engine.frames import enforce as enforce
    from sparksig.engine.frames import validate_schema as validate_schema
    from sparksig.errors import BudgetExceededError as BudgetExceededError
    from sparksig.errors import Code as Code
    from sparksig.errors import ConfigError as ConfigError
    from sparksig.errors import ContractError as ContractError
    from sparksig.errors import ConversionError as ConversionError
    from sparksig.errors import ExecutionError as ExecutionError
    from sparksig.errors import Finding as Finding
    from sparksig.errors import InferenceError as InferenceError
    from sparksig.errors import MissingDependencyError as MissingDependencyError
    from sparksig.errors import MissingSignatureError as MissingSignatureError
    from sparksig.errors import ModelDamagedError as ModelDamagedError
    from sparksig.errors import ModelError as ModelError
    from sparksig.errors import ModelFailedError as ModelFailedError
    from sparksig.errors import ModelNotFoundError as ModelNotFoundError
    from sparksig.errors import ModelNotTrustedError as ModelNotTrustedError
    from sparksig.errors import OutputRefusedError as OutputRefusedError
    from sparksig.errors import PredictionError as PredictionError
    from sparksig.errors import SignatureError as SignatureError
    from sparksig.errors import SparksigError as SparksigError
    from sparksig.errors import SparksigWarning as SparksigWarning
    from sparksig.errors import TableNotFoundError as TableNotFoundError
    from sparksig.errors import UnsupportedError as UnsupportedError
    from sparksig.infer import IntegerColumnWarning as IntegerColumnWarning
    from sparksig.infer import infer_signature as infer_signature
    from sparksig.models.info import ModelInfo as ModelInfo
    from sparksig.models.info import get_model_info as get_model_info
    from sparksig.models.info import registrable as registrable
    from sparksig.models.info import set_signature as set_signature
    from sparksig.models.loading import LoadedModel as LoadedModel
    from sparksig.models.loading import load_input_example as load_input_example
    from sparksig.models.loading import load_model as load_model
    from sparksig.models.loading import load_serving_example as load_serving_example
    from sparksig.models.loading import validate_serving_input as validate_serving_input
    from sparksig.models.logging import log_model as log_model
    from sparksig.models.model_code import set_model as set_model
    from sparksig.models.python_model import PythonModel as PythonModel
    from sparksig.models.python_model import PythonModelContext as PythonModelContext
    from sparksig.models.python_model import SignatureMismatchWarning as SignatureMismatchWarning
    from sparksig.models.python_model import TypeFromExample as TypeFromExample
    from sparksig.models.python_model import pyfunc as pyfunc
    from sparksig.models.saving import save_model as save_model
    from sparksig.models.seal import digest as digest
    from sparksig.models.versions import VersionMismatchWarning as VersionMismatchWarning
    from sparksig.params import ParamSchema as ParamSchema
    from sparksig.params import ParamSpec as ParamSpec
    from sparksig.schema import ColSpec as ColSpec
    from sparksig.schema import Schema as Schema
    from sparksig.schema import TensorSpec as TensorSpec
    from sparksig.scoring.local import score_files as score_files
    from sparksig.signature import ModelSignature as ModelSignature
    from sparksig.spark.frame import score as score
    from sparksig.spark.udf import spark_udf as spark_udf
    from sparksig.tables.check import check as check
    from sparksig.tables.infer import sample_signature as sample_signature
    from sparksig.tables.report import Report as Report
    from sparksig.tables.sample import SampledSignature as SampledSignature
    from sparksig.tables.sample import Sampler as Sampler
    from sparksig.tables.signatures import load_signature as load_signature
    from sparksig.tables.split import split as split
    from sparksig.tables.split import violations as violations
    from sparksig.types import AnyType as AnyType
    from sparksig.types import Array as Array
    from sparksig.types import DataType as DataType
    from sparksig.types import Map as Map
    from sparksig.types import Object as Object
    from sparksig.types import Property as Property
    from sparksig.types import SparkMLVector as SparkMLVector
    from sparksig.writing.plan import plan_write as plan_write
    from sparksig.writing.write import write as write

__version__ = "0.1.0"

_HOMES = {
    "sparksig.comparison": "Comparison compare",
    "sparksig.convert.exports": "export",
    "sparksig.engine.absent": "AbsentColumnWarning",
    "sparksig.engine.frames": "enforce validate_schema",
    "sparksig.errors": (
        "BudgetExceededError Code ConfigError ContractError ConversionError ExecutionError Finding "
        "InferenceError MissingDependencyError MissingSignatureError ModelDamagedError ModelError "
        "ModelFailedError ModelNotFoundError ModelNotTrustedError OutputRefusedError PredictionError "
        "SignatureError SparksigError SparksigWarning TableNotFoundError UnsupportedError"
    ),
    "sparksig.infer": "IntegerColumnWarning infer_signature",
    "sparksig.models.info": "ModelInfo get_model_info registrable set_signature",
    "sparksig.models.loading": (
        "LoadedModel load_input_example load_model load_serving_example validate_serving_input"
    ),
    "sparksig.models.logging": "log_model",
    "sparksig.models.model_code": "set_model",
    "sparksig.models.python_model": (
        "PythonModel PythonModelContext SignatureMismatchWarning TypeFromExample pyfunc"
    ),
    "sparksig.models.saving": "save_model",
    "sparksig.models.seal": "digest",
    "sparksig.models.versions": "VersionMismatchWarning",
    "sparksig.params": "ParamSchema ParamSpec",
    "sparksig.schema": "ColSpec Schema TensorSpec",
    "sparksig.scoring.local": "score_files",
    "sparksig.signature": "ModelSignature",
    "sparksig.spark.frame": "score",
    "sparksig.spark.udf": "spark_udf",
    "sparksig.tables.check": "check",
    "sparksig.tables.infer": "sample_signature",
    "sparksig.tables.report": "Report",
    "sparksig.tables.sample": "SampledSignature Sampler",
    "sparksig.tables.signatures": "load_signature",
    "sparksig.tables.split": "split violations",
    "sparksig.types": "AnyType Array DataType Map Object Property SparkMLVector",
    "sparksig.writing.plan": "plan_write",
    "sparksig.writing.write": "write",
}
"""The public names of each module."""
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name == "__all__":  # mypy would export nothing to an import of * if the module computed it
        return sorted(_HOME_OF)
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'sparksig' has no attribute {name!r}")
    try:
        value = getattr(import_module(home), name)
    except ModuleNotFoundError as error:
        from sparksig.errors import MissingDependencyError

        raise MissingDependencyError.for_spark(error, f"sparksig.{name}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
