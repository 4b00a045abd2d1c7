"""Conversion of the objects of MLflow to those of sparksig, which have the same meaning and the same JSON.

MLflow is never imported here: its objects are recognized by the modules of their classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparksig.errors import UnsupportedError

_ENVIRONMENT = (
    "pass environment='model' to run the model in an environment of its own, or environment= the path of an "
    "archive that `sparksig env build` has written"
)
_ARGUMENTS = {
    "model_uri": "pass it as model=",
    "env_manager": _ENVIRONMENT,
    "prebuilt_env_uri": _ENVIRONMENT,
    "extra_env": "set spark.executorEnv.NAME in the Spark settings",
    "suppress_warnings": "use warnings.filterwarnings",
    "dst_path": "a local model is read in place, and a remote model is fetched into a private directory",
}
"""The arguments of MLflow's functions without a counterpart, each with an alternative."""

_CONVERTED = (
    "ModelSignature",
    "Schema",
    "ColSpec",
    "TensorSpec",
    "ParamSchema",
    "ParamSpec",
    "DataType",
    "Property",
    "Array",
    "Object",
    "Map",
    "SparkMLVector",
    "AnyType",
)


def get_mlflow_class(value: object, module: str = "mlflow") -> str:
    """Return the name of the MLflow class that a value has, or is itself; empty for all other values.

    Example:
        >>> get_mlflow_class([1])
        ''
    """
    cls = value if isinstance(value, type) else type(value)
    for base in cls.__mro__:
        if base.__module__ == module or base.__module__.startswith(f"{module}."):
            return base.__name__
    return ""


def refuse_arguments(function: str, arguments: Mapping[str, Any]) -> None:
    """Refuse unknown keyword arguments; suggest an alternative for those of MLflow's functions.

    Example:
        >>> refuse_arguments("load_model", {"suppress_warnings": True})
        Traceback (most recent call last):
        sparksig.errors.UnsupportedError: load_model does not accept suppress_warnings=, unlike MLflow:
            use warnings.filterwarnings
    """
    for name in arguments:
        if name not in _ARGUMENTS:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
        raise UnsupportedError(f"{function} does not accept {name}=, unlike MLflow: {_ARGUMENTS[name]}")


def from_mlflow(value: Any) -> Any:
    """Return the counterpart of a signature, schema, column, param or type of MLflow; any other value itself.

    Args:
        value: any value.

    Raises:
        SignatureError: an object of MLflow has no counterpart; ``findings`` has every path.

    Example:
        >>> import mlflow.types
        >>> from_mlflow(mlflow.types.Schema([mlflow.types.ColSpec("long", "id")]))
        ['id': long (required)]
        >>> from_mlflow("id long")
        'id long'
    """
    name = "" if isinstance(value, type) else get_mlflow_class(value)
    if name not in _CONVERTED:
        return value
    from sparksig.params import ParamSchema, ParamSpec
    from sparksig.schema import ColSpec, Schema, TensorSpec
    from sparksig.signature import ModelSignature
    from sparksig.type_json import parse_type
    from sparksig.types import DataType, Property

    if name == "ModelSignature":
        signature = ModelSignature.from_dict(value.to_dict())
        for flag in ("_is_signature_from_type_hint", "_is_type_hint_from_example"):
            setattr(signature, flag, getattr(value, flag, False) is True)
        return signature
    if name == "DataType":
        return DataType[value.name]
    if name in ("Schema", "ParamSchema"):
        return (Schema if name == "Schema" else ParamSchema).from_json(value.to_json())
    cls: Any
    for cls in (ColSpec, TensorSpec, ParamSpec, Property):
        if name == cls.__name__:
            return cls.from_json_dict(**value.to_dict())
    return parse_type(value.to_dict())
