"""A model as a column function: scoring.py wired into Spark. No rules here.

``arrow_udf`` (Spark >= 4.1) hands over Arrow as it is. Before, ``pandas_udf`` turns integers with nulls
into floats; there each integer and boolean column travels as a pair: its value (0 for null), and
whether it is null.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.convert.arrow import to_arrow
from sparksig.enforce.predictions import placed, result_type
from sparksig.errors import (
    Code,
    ContractError,
    Finding,
    ModelError,
    SparksigError,
    UnsupportedError,
    kind,
    nearest,
    step,
)
from sparksig.models import flavors
from sparksig.models.directory import ModelDirectory
from sparksig.models.environment import compare_versions
from sparksig.models.flavors.interface import Loading
from sparksig.models.registry import local_path
from sparksig.models.trust import Trust, type_names
from sparksig.params import ParamSchema, enforce_params
from sparksig.schema import ColSpec, Schema
from sparksig.scoring import CACHE, score_batches
from sparksig.spark import contract
from sparksig.spark.ship import Shipment, ship
from sparksig.types import DataType, describe

__all__ = ["ModelUDF", "spark_udf"]


def spark_udf(
    spark: SparkSession | str | os.PathLike[str],
    model_uri: str | os.PathLike[str] | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    allow_pickle: bool = False,
    digest: str | None = None,
    trusted_types: Sequence[str] = (),
    on_version_mismatch: str = "warn",
) -> ModelUDF:
    """A model directory as a column function.

    ``spark_udf(spark, model_dir)``, or ``spark_udf(model_dir)`` with the active session. Nothing is
    executed here: the directory is read and checked, its code is loaded in the workers, once in each.

    Args:
        spark: the session; or the model directory.
        model_uri: the model directory, or a URI as :func:`sparksig.load_model` takes it.
        params: values for the model's params, the same for all rows.
        allow_pickle: code in the directory may run.
        digest: refuse the directory unless its content has this digest.
        trusted_types: what a skops file may hold beyond the types that are safe by themselves.
        on_version_mismatch: "warn", "fail" or "ignore", where the driver has packages in other versions than
            the
            model was saved with.

    Returns:
        A function of columns: call it with no arguments (columns of the signature's names), with names or
        Columns in the signature's order, or with keywords.

    Raises:
        ModelError: the directory is not there, damaged, not trusted, or has no input or output schema.
        ContractError: params that do not fit.
        UnsupportedError: a model, or a schema, that cannot be scored on Spark yet.
        SparksigError: no session is active.
    """
    if model_uri is None:
        if isinstance(spark, SparkSession) or not isinstance(spark, (str, os.PathLike)):
            raise SparksigError("spark_udf needs a model directory: spark_udf(spark, model_dir)")
        model_uri, session = spark, SparkSession.getActiveSession()
        if session is None:
            raise SparksigError("no Spark session is active: spark_udf(spark, model_dir)")
    else:
        session = spark  # type: ignore[assignment]
        if not hasattr(session, "createDataFrame"):
            raise SparksigError(f"spark_udf takes a Spark session first, not {kind(spark)}")
    assert session is not None
    directory, trust, (inputs, outputs, declared) = check_model(
        model_uri,
        allow_pickle=allow_pickle,
        digest=digest,
        trusted_types=trusted_types,
        on_version_mismatch=on_version_mismatch,
    )
    given = enforce_params(params, declared)
    shipment = ship(session, directory)
    return ModelUDF(_Work(shipment, trust, inputs, outputs, given))


def check_model(
    path: str | os.PathLike[str],
    *,
    allow_pickle: bool,
    digest: str | None,
    trusted_types: Sequence[str],
    on_version_mismatch: str = "warn",
) -> tuple[ModelDirectory, Trust, tuple[Schema, Schema, ParamSchema | None]]:
    """All that can be known of a model before Spark starts; arguments and errors as of :func:`spark_udf`."""
    trust = Trust(allow_pickle, digest, type_names(trusted_types))
    directory = trust.verify(ModelDirectory.read(local_path(path)))
    flavors.check(directory, Loading(trust))
    compare_versions(directory, on_version_mismatch)
    declared = _contract(directory)
    contract.require_scalars(declared[0])
    returned = contract.spark_type(result_type(declared[1]))
    if not _ARROW and "array<timestamp>" in returned.simpleString():
        raise UnsupportedError(f"{directory.path}: arrays of times come back from Spark 4.1 on only")
    return directory, trust, declared


def _contract(directory: ModelDirectory) -> tuple[Schema, Schema, ParamSchema | None]:
    signature = directory.signature
    lacking = [
        side for side in ("inputs", "outputs") if signature is None or getattr(signature, side) is None
    ]
    if lacking:
        raise ModelError(
            f"{directory.path}: the model's signature has no {' and no '.join(lacking)}: "
            "what to hand over and what comes back is not known. Set one: "
            f"sparksig.set_signature({str(directory.path)!r}, sparksig.infer_signature(data, "
            "prediction)); or save it "
            "with one, or with an input_example"
        )
    assert signature is not None
    assert signature.inputs is not None
    assert signature.outputs is not None
    return signature.inputs, signature.outputs, signature.params


_Batch = tuple[pa.RecordBatch, str]
"""A batch, and the zone in which predicted wall times are placed; empty where none is needed."""


@dataclass(frozen=True)
class _Work:
    """All that a worker is told: it is pickled with the query."""

    shipment: Shipment
    trust: Trust
    inputs: Schema
    outputs: Schema
    params: Mapping[str, Any]

    def run(self, batches: Iterator[_Batch]) -> Iterator[pa.Array]:
        """Score batches with the one model of this process; predicted wall times are the query's zone's."""
        sys.dont_write_bytecode = True  # of code in the model's directory, which is to stay as it is
        model = CACHE.get(self.shipment.digest, self.shipment.locate, self.trust)
        zones: deque[str] = deque()

        def remembered() -> Iterator[pa.RecordBatch]:
            for batch, zone in batches:
                zones.append(zone)
                yield batch

        for scored in score_batches(remembered(), model.predict_raw, self.inputs, self.outputs, self.params):
            zone = zones.popleft()
            yield placed(scored, zone) if zone else scored


class ModelUDF:
    """A model as a column function; made by :func:`spark_udf`.

    Attributes:
        inputs: what the model takes.
        outputs: what it gives.
        digest: of the model directory; what every worker verifies.
        return_type: the Spark type of the predictions.
    """

    def __init__(self, work: _Work) -> None:
        self._work = work
        self.inputs = work.inputs
        self.outputs = work.outputs
        self.digest = work.shipment.digest
        self.return_type: T.DataType = contract.spark_type(result_type(work.outputs))

    def __repr__(self) -> str:
        takes = ", ".join(map(str, self.inputs.input_names()))
        return f"ModelUDF({takes}) -> {self.return_type.simpleString()}"

    def __call__(self, *columns: Column | str, **named: Column | str) -> Column:
        """The predictions as a Column.

        A column function sees no table: names are found by Spark's rules (which do not tell upper from
        lower case), and types are checked when the query runs. If any column does not widen to what the
        signature declares, the query fails with all such columns in its message, whatever they hold.

        Args:
            columns: names or Columns in the signature's order: all of them, or none (then the columns of
                the signature's names are taken).
            named: Columns or names by the signature's names; optional ones may be left out.

        Raises:
            ContractError: too many, too few, or unknown columns; all findings.
        """
        specs, values = self._arguments(columns, named)
        # Arrow keeps the types, so that the engine judges them; pandas does not
        return self._column(values if _ARROW else contract.guarded(values, specs), specs)

    def on(self, table: T.StructType) -> Column:
        """The predictions for a table of that schema, which is checked now, whole.

        Raises:
            ContractError: columns missing, doubled, or of types that do not widen; every finding.
        """
        specs = contract.present(table, self.inputs)
        return self._column([contract.cast(contract.column(spec.name), spec) for spec in specs], specs)

    def _arguments(
        self, columns: tuple[Column | str, ...], named: Mapping[str, Column | str]
    ) -> tuple[list[ColSpec], list[Column]]:
        specs = list(self.inputs)
        if columns and named:
            raise ContractError("give the model's columns either by position or by name, not both")
        if columns:
            if len(columns) != len(specs):
                names = ", ".join(step(spec.name) for spec in specs)
                hint = f"in this order: {names}; to leave out optional ones, give the others by name"
                finding = Finding(
                    Code.COLUMN_COUNT, "", f"{len(specs)} columns", f"{len(columns)} columns", hint
                )
                raise ContractError.of("the call does not fit the model's input schema", [finding])
            return specs, [_as_column(value) for value in columns]
        if named:
            return self._by_name(named)
        folded = [str(spec.name).casefold() for spec in specs]
        twins = [step(spec.name) for spec, name in zip(specs, folded) if folded.count(name) > 1]
        if twins:
            raise ContractError(
                f"Spark does not tell these names apart: {', '.join(twins)}; give the columns by position"
            )
        optional = [step(spec.name) for spec in specs if not spec.required]
        if optional:
            raise ContractError(
                f"whether the table has the optional columns ({', '.join(optional)}) is not known here: "
                "give the columns by name, or use sparksig.score(df, model)"
            )
        return specs, [contract.column(spec.name) for spec in specs]

    def _by_name(self, named: Mapping[str, Column | str]) -> tuple[list[ColSpec], list[Column]]:
        known = {str(spec.name): spec for spec in self.inputs}
        findings = [
            Finding(
                Code.UNKNOWN_KEY, step(name), "a column of the signature", "another", nearest(name, known)
            )
            for name in named
            if name not in known
        ]
        findings += [
            Finding(Code.MISSING_COLUMN, step(name), describe(spec.type), "no such argument")
            for name, spec in known.items()
            if spec.required and name not in named
        ]
        if findings:
            raise ContractError.of("the call does not fit the model's input schema", findings)
        held = [spec for name, spec in known.items() if name in named]
        return held, [_as_column(named[str(spec.name)]) for spec in held]

    def _column(self, values: list[Column], specs: list[ColSpec]) -> Column:
        if not values:
            raise ContractError("the table has none of the model's columns, which are all optional")
        names = [str(spec.name) for spec in specs]
        placed_by = [F.current_timezone()] if _has_times(self.return_type) else []
        if _ARROW:
            function = _arrow_function(self._work, names)
            scorer = F.arrow_udf(function, self.return_type)  # type: ignore[attr-defined]
        else:
            values = _nullable_pairs(values, specs)
            function = _pandas_function(self._work, specs, isinstance(self.return_type, T.StructType))
            scorer = F.pandas_udf(function, self.return_type)  # type: ignore[attr-defined]
        predictions: Column = scorer(*values, *placed_by)
        return predictions.alias(f"score({', '.join(names)})"[:200])


def _has_times(dtype: T.DataType) -> bool:
    if isinstance(dtype, T.ArrayType):
        return _has_times(dtype.elementType)
    if isinstance(dtype, T.StructType):
        return any(_has_times(field.dataType) for field in dtype.fields)
    return isinstance(dtype, T.TimestampType)


_ARROW = hasattr(F, "arrow_udf")
"""Spark >= 4.1."""


def _as_column(value: Column | str) -> Column:
    return contract.column(value) if isinstance(value, str) else value


def _columns(given: Any) -> list[Any]:
    """One batch's columns: Spark hands over a tuple of them, but a single one as it is."""
    return list(given) if isinstance(given, tuple) else [given]


# --- Spark >= 4.1: Arrow as it is ------------------------------------------------------------------------


def _arrow_function(work: _Work, names: list[str]) -> Callable[..., Any]:
    def score(batches: Iterator[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
        yield from work.run(_arrow_batch(_columns(given), names) for given in batches)

    return score


def _arrow_batch(given: list[pa.Array], names: list[str]) -> _Batch:
    zone = given[len(names) :]
    batch = pa.RecordBatch.from_arrays(given[: len(names)], names=names)
    return batch, zone[0][0].as_py() if zone and len(zone[0]) else ""


# --- before: pandas, with the nulls of integers beside them -----------------------------------------------

_PAIRED = {DataType.boolean: "false", DataType.integer: "0", DataType.long: "0"}


def _nullable_pairs(values: list[Column], specs: list[ColSpec]) -> list[Column]:
    sent: list[Column] = []
    for value, spec in zip(values, specs):
        if spec.type in _PAIRED:
            zero = F.expr(_PAIRED[spec.type]).cast(contract.JVM_TYPE[spec.type])
            sent += [F.coalesce(value, zero), value.isNull()]
        else:
            sent.append(value)
    return sent


def _pandas_function(work: _Work, specs: list[ColSpec], as_frame: bool) -> Callable[..., Any]:
    def score(batches):  # type: ignore[no-untyped-def]
        for scored in work.run(_pandas_batch(_columns(given), specs) for given in batches):
            yield _to_frame(scored) if as_frame else _to_series(scored)

    # Spark reads the form of the function off its annotations
    result = Iterator[pd.DataFrame] if as_frame else Iterator[pd.Series]
    score.__annotations__ = {"batches": Iterator[tuple[pd.Series, ...]], "return": result}
    return score


def _pandas_batch(series: list[pd.Series], specs: list[ColSpec]) -> _Batch:
    arrays = []
    for spec in specs:
        values = series.pop(0)
        target = to_arrow(spec.type)
        if spec.type in _PAIRED:
            mask = series.pop(0).to_numpy(dtype=bool)
            arrays.append(pa.array(values.to_numpy(), type=target, mask=mask, from_pandas=False))
        else:
            arrays.append(pa.array(values, type=target, from_pandas=values.dtype.kind != "f"))
    zone = str(series[0].iloc[0]) if series and len(series[0]) else ""
    return pa.RecordBatch.from_arrays(arrays, names=[str(spec.name) for spec in specs]), zone


_NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.float32(): pd.Float32Dtype(),
    pa.float64(): pd.Float64Dtype(),
}
"""pandas' own dtypes tell null and NaN apart; Spark takes NaN in NumPy's for null."""


def _to_series(array: pa.Array) -> pd.Series:
    return array.to_pandas(types_mapper=_NULLABLE.get)  # type: ignore[no-any-return]


def _to_frame(array: pa.Array) -> pd.DataFrame:
    return pd.DataFrame(
        {field.name: _to_series(array.field(index)) for index, field in enumerate(array.type)}
    )
