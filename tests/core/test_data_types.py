"""The conversions of a scalar type have the names and results of MLflow's."""

from __future__ import annotations

import datetime

import mlflow.types
import numpy as np
import pandas as pd
import pytest

from sparksig.types import DataType
from tests.cases import describe_case
from tests.core.test_import import in_a_process_of_its_own

NAMES = list(DataType.__members__)


@pytest.mark.parametrize("name", NAMES, ids=describe_case)
@pytest.mark.parametrize("method", ["to_numpy", "to_pandas", "to_spark", "to_python"])
def test_counterparts_are_those_of_mlflow(name, method):
    assert getattr(DataType[name], method)() == getattr(mlflow.types.DataType[name], method)()


def test_spark_types_of_all_scalar_types_are_those_of_mlflow():
    assert DataType.get_spark_types() == mlflow.types.DataType.get_spark_types()


@pytest.mark.parametrize(
    "dtype",
    [
        "bool", "int8", "int32", "int64", "uint8", "float16", "float32", "float64", "str", "<U3", "bytes",
        "S3", "object", "datetime64[ns]", "datetime64[us]",
    ],
)  # fmt: skip
def test_a_numpy_dtype_has_the_scalar_type_of_mlflow(dtype):
    actual = DataType.from_numpy_type(np.dtype(dtype))
    expected = mlflow.types.DataType.from_numpy_type(np.dtype(dtype))
    assert (actual and actual.name) == (expected and expected.name)


VALUES = {
    "bool": True,
    "int": 1,
    "float": 1.5,
    "str": "a",
    "bytes": b"a",
    "bytearray": bytearray(b"a"),
    "date": datetime.date(2020, 1, 31),
    "datetime": datetime.datetime(2020, 1, 31),
    "Timestamp": pd.Timestamp("2020-01-31"),
    "bool_": np.bool_(True),
    "int8": np.int8(1),
    "int32": np.int32(1),
    "int64": np.int64(1),
    "float32": np.float32(1),
    "float64": np.float64(1),
    "str_": np.str_("a"),
    "bytes_": np.bytes_(b"a"),
    "datetime64": np.datetime64("2020-01-31"),
    "None": None,
    "list": [],
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("name", NAMES, ids=describe_case)
def test_the_type_of_a_value_is_checked_as_in_mlflow(name, value):
    expected = mlflow.types.DataType.check_type(mlflow.types.DataType[name], value)
    assert DataType.check_type(DataType[name], value) is expected


def test_a_spark_type_without_pyspark_names_the_package_to_install():
    code = (
        "import sys; sys.modules['pyspark'] = None\n"
        "import sparksig\n"
        "try: sparksig.DataType.long.to_spark()\n"
        "except sparksig.MissingDependencyError as error: print(error)"
    )
    message = in_a_process_of_its_own(code)
    assert message == "DataType.to_spark needs the package 'pyspark': pip install 'sparksig[spark]'"
