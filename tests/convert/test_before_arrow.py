"""Predictions on their way to Spark before 4.1, which takes them as pandas objects."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sparksig.spark.before_arrow import to_frame, to_series

VALUES = {
    "double": (pa.float64(), [float("nan"), None, -0.0, 1.5]),
    "float": (pa.float32(), [float("nan"), None, -0.0, 1.5]),
    "long": (pa.int64(), [2**53 + 1, None]),
    "boolean": (pa.bool_(), [True, None]),
    "no rows": (pa.float64(), []),
}


@pytest.mark.parametrize(("dtype", "values"), VALUES.values(), ids=VALUES)
def test_nulls_and_nan_stay_apart(dtype, values):
    array = pa.array(values, dtype)
    assert str(pa.Array.from_pandas(to_series(array), type=dtype)) == str(array)
    frame = to_frame(pa.StructArray.from_arrays([array], ["x"]))
    assert str(pa.Array.from_pandas(frame["x"], type=dtype)) == str(array)
