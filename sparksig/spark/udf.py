"""A model as a column function of Spark.

From Spark 4.1 on, ``arrow_udf`` passes Arrow arrays unchanged. Before, ``pandas_udf`` is used, and
:mod:`sparksig.spark.before_arrow` converts integers and composite columns before and after the transfer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.convert.mlflow import refuse_arguments
from sparksig.engine.absent import Absent, check_absent
from sparksig.errors import (
    ContractError,
    ConversionError,
    SparksigError,
    UnsupportedError,
    name_type,
)
from sparksig.options import OnVersionMismatch, Shipping
from sparksig.schema import ColSpec, TensorSpec
from sparksig.scoring.prepared import PreparedModel, prepare_model
from sparksig.spark import bind as binding
from sparksig.spark.before_arrow import (
    TIMESTAMP_FORMAT,
    build_pandas_columns,
    build_pandas_function,
    is_sent_as_json,
    to_frame,
    to_series,
    to_texts,
)
from sparksig.spark.bind import HAS_ARROW, Bound
from sparksig.spark.calls import CallBinding
from sparksig.spark.diagnosis import refuse_stopped_session
from sparksig.spark.names import get_name_folding
from sparksig.spark.result_types import (
    build_outputs,
    has_timestamps,
    read_result_type,
    to_arrow_result,
)
from sparksig.spark.ship import ship
from sparksig.spark.variants import variant_result_type
from sparksig.spark.work import Work, Zone, list_columns, split_struct


def spark_udf(
    spark: SparkSession | str | os.PathLike[str],
    model: str | os.PathLike[str] | None = None,
    *,
    result_type: T.DataType | str | None = None,
    params: Mapping[str, Any] | None = None,
    method: str | None = None,
    model_config: Mapping[str, Any] | None = None,
    batch_rows: int | None = None,
    allow_pickle: bool = False,
    digest: str | None = None,
    trusted_types: Sequence[str] = (),
    on_version_mismatch: OnVersionMismatch = "warn",
    absent: Absent | None = None,
    environment: str | os.PathLike[str] = "worker",
    allow_install: bool = False,
    shipping: Shipping = "auto",
    **arguments: Any,
) -> ModelUDF:
    """Return a model as a function of columns.

    Call ``spark_udf(spark, model_dir)``, or ``spark_udf(model_dir)`` for the active session. The driver reads
    and checks the directory without running code of the model; each worker loads the model once. There is
    one exception: if the inputs of an estimator have no names, and the names of its features are not
    recorded, the driver loads it, too.

    ``spark.udf.register("name", udf)`` makes the result a function of SQL.

    Args:
        spark: the session, classic or of Spark Connect; or the model directory.
        model: the model directory, or a URI that :func:`sparksig.load_model` accepts.
        result_type: the Spark type of a prediction, as a DataType or DDL ("double", "array<float>", "a int, b
            string"); None for the type of the signature's outputs. Predictions are enforced against it.
        params: values for the model's params, the same for all rows.
        method: the method that predicts; None for the one that was saved. Another one needs ``result_type``.
        model_config: overrides entries of the configuration that a PythonModel was saved with.
        batch_rows: the number of rows in one call of the model; the last call of a partition may have fewer.
            None for the rows of Arrow's batches (``spark.sql.execution.arrow.maxRecordsPerBatch``).
        allow_pickle: allow code in the directory to run.
        digest: refuse the directory unless its content has this digest.
        trusted_types: types to allow in a skops file, in addition to those that are known to be safe.
        on_version_mismatch: "warn", "fail" or "ignore": the reaction if the driver has other versions of
            packages than the model was saved with.
        absent: what the model sees of an optional column that the table lacks, as in
            :func:`sparksig.load_model`.
        environment: the environment in which the model runs, as in :func:`sparksig.load_model`: "worker",
            "model" or the path of a built one. Each node builds or unpacks it once.
        allow_install: as in :func:`sparksig.load_model`.
        shipping: the way in which the model reaches the workers: "files" (Spark distributes it), "path" (each
            node copies it from the path or URI ``model``, which it must be able to read), "inline" (it is
            sent with the query, up to 8 MB), or "auto" for files if the server accepts them.
        **arguments: refused; for those of MLflow's function, the message says what to do instead.

    Returns:
        A function of columns. Call it without arguments to use the columns with the signature's names, with
        names or Columns in the signature's order, with keywords, or with a single struct of all columns.

    Raises:
        ModelError: the directory is missing, damaged, not trusted, or has no input or output schema.
        ContractError: the params do not fit, or an argument has an invalid value.
        UnsupportedError: this Spark cannot score the model, or return the result type.
        SparksigError: no session is active.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"] * 2, input_example={"x": 1.5})
        >>> double = spark_udf(spark, home, allow_pickle=True)
        >>> double
        ModelUDF(x) -> double
        >>> [row.y for row in spark.sql("select 1.5D as x").select(double().alias("y")).collect()]
        [3.0]
    """
    refuse_arguments("spark_udf", arguments)
    if model is None:
        if not isinstance(spark, (str, os.PathLike)):
            raise SparksigError("spark_udf needs a model directory: spark_udf(spark, model_dir)")
        model, session = spark, SparkSession.getActiveSession()
        if session is None:
            raise SparksigError("no Spark session is active: spark_udf(spark, model_dir)")
    else:
        session = spark  # type: ignore[assignment]
        if not hasattr(session, "createDataFrame"):
            raise SparksigError(f"spark_udf takes a Spark session first, not {name_type(spark)}")
        refuse_stopped_session(session)
    assert session is not None
    if batch_rows is not None and (type(batch_rows) is not int or batch_rows < 1):
        raise ContractError("batch_rows: expected an integer of 1 or more, or None")
    check_absent(absent)
    returned = None if result_type is None else read_result_type(session, result_type)
    prepared = prepare_model(
        model,
        allow_pickle=allow_pickle,
        digest=digest,
        trusted_types=trusted_types,
        method=method,
        model_config=model_config,
        outputs=None if returned is None else build_outputs(returned),
        on_version_mismatch=on_version_mismatch,
        environment=environment,
        allow_install=allow_install,
    )
    return build_udf(
        session, prepared, returned, params=params, batch_rows=batch_rows, absent=absent, shipping=shipping
    )


def build_udf(
    session: SparkSession,
    model: PreparedModel,
    returned: T.DataType | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    batch_rows: int | None = None,
    absent: Absent | None = None,
    shipping: str = "auto",
) -> ModelUDF:
    """Build the column function of a checked model; the arguments and errors are those of :func:`spark_udf`.

    ``returned`` is the type of the argument ``result_type``, from which the outputs of ``model`` are built.
    """
    require_result_type(model)
    work = Work(
        ship(session, model, shipping),
        model.loading,
        model.inputs,
        model.outputs,
        model.enforce_params(params),
        model.find_features(),
        None if returned is None else to_arrow_result(returned),
        str(session.conf.get("spark.sql.session.timeZone")),
        batch_rows=batch_rows,
        absent=model.choose_absent(absent),
    )
    return ModelUDF(work, returned)


def require_result_type(model: PreparedModel) -> None:
    """Check that the predictions of a model have a Spark type.

    Raises:
        UnsupportedError: they have no type in this version of Spark.
    """
    try:
        binding.to_spark_type(variant_result_type(model.outputs))
    except (ConversionError, UnsupportedError) as error:
        raise UnsupportedError(
            f"{model.directory.path}: the outputs have no Spark type: {error}. Pass result_type"
        ) from None


# --- the function -----------------------------------------------------------------------------------------


class ModelUDF:
    """A model as a column function, built by :func:`spark_udf`.

    Attributes:
        inputs: the schema that the model accepts.
        outputs: the schema that it returns.
        digest: the digest of the model directory, which every worker verifies.
        absent: the treatment of optional columns that the table lacks: "null", "omit" or "forbid".
        shipping: how the model reaches the workers: "files", "path", "inline", or "local" in local mode.
        return_type: the Spark type of the predictions.
    """

    def __init__(self, work: Work, returned: T.DataType | None = None) -> None:
        self._work = work
        self.inputs = work.inputs
        self.outputs = work.outputs
        self.digest = work.shipment.digest
        self.shipping = work.shipment.shipping
        self.absent = work.absent
        self.return_type: T.DataType = returned or binding.to_spark_type(variant_result_type(work.outputs))
        if not HAS_ARROW and "array<timestamp>" in self.return_type.simpleString():
            raise UnsupportedError("predictions that are arrays of times need Spark 4.1 or newer")

    @property
    def work(self) -> Work:
        """The instructions for its Python workers."""
        return self._work

    def __repr__(self) -> str:
        accepted = ", ".join(map(str, self.inputs.input_names()))
        return f"ModelUDF({accepted}) -> {self.return_type.simpleString()}"

    def __call__(self, *columns: Column | str, **named: Column | str) -> Column:
        """Return the predictions as a Column.

        A column function does not know the table: Spark resolves the names, ignoring case, and types are
        checked when the query runs. If the types of columns do not widen to the declared types, the query
        fails, and its message lists all of these columns.

        Args:
            columns: names or Columns in the signature's order: all of them; or a single struct with fields
                of these names, such as ``struct("*")``. Without columns and names, the columns with the
                signature's names are used.
            named: Columns or names by the signature's names; optional columns may be omitted.

        Raises:
            ContractError: too many, too few, or unknown columns; all findings.
            UnsupportedError: composite columns on Spark before 4.1.
        """
        binder = CallBinding(self.inputs, self._work.features, self.absent)
        specs, values = binder.bind(columns, named)
        if HAS_ARROW:
            names = None if specs is None else _name_transfers(specs)
            return self._call_arrow(values, names, is_packed=False)
        if specs is None or not all(isinstance(spec, ColSpec) for spec in specs):
            raise UnsupportedError(
                "Spark before 4.1 cannot pass tensors or a single struct to a column function. Pass each "
                "column as an argument, or use sparksig.score(df, model)"
            )
        binding.require_arrow(self.inputs)
        plain = [spec for spec in specs if isinstance(spec, ColSpec)]
        sent = binding.guard_columns(values, plain)
        types = [binding.get_transfer_type(spec) for spec in plain]
        names = _name_transfers(plain)
        return self._call_pandas(Bound(names, tuple(sent), tuple(plain), tuple(types)))

    def bind(
        self, table: T.StructType, columns: Sequence[str] | None = None, *, session: Any = None
    ) -> Bound:
        """Bind the columns of a table to the model; the entire schema is checked at once.

        Args:
            table: the schema of a table.
            columns: for a model whose inputs have no names: the columns to use, in this order.
            session: the session of the table; None for the active one.

        Raises:
            ContractError: columns are missing, duplicate, or of types that do not widen; all findings.
        """
        fold = get_name_folding(session)
        return binding.bind(table, self.inputs, columns, self._work.features, fold, self.absent)

    def predict_column(self, bound: Bound) -> Column:
        """Return the predictions for the columns that :meth:`bind` returned."""
        if HAS_ARROW:
            return self._call_arrow(list(bound.values), bound.names, is_packed=bound.is_packed)
        return self._call_pandas(bound)

    def replace_work(self, **changes: Any) -> ModelUDF:
        """Return the same function with other instructions for its workers, by the attributes of Work."""
        return ModelUDF(replace(self._work, **changes), self.return_type)

    # the attributes that spark.udf.register reads: it creates its own UDF from the function

    @property
    def _registered(self) -> Any:
        if not HAS_ARROW:
            raise UnsupportedError("registering a model for SQL needs Spark 4.1 or newer")
        function = _build_arrow_function(self._work, None, zoned=False)
        return F.arrow_udf(function, self._column_type)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        if name in ("func", "returnType", "evalType", "deterministic", "asNondeterministic"):
            return getattr(self._registered, name)
        raise AttributeError(f"a ModelUDF has no attribute {name!r}")

    @property
    def _column_type(self) -> T.DataType:
        if not self._work.has_details:
            return self.return_type
        fields = [T.StructField("value", self.return_type)]
        if self._work.lenient:
            fields.append(T.StructField("findings", T.ArrayType(_FINDING)))
        if self._work.observed:
            fields += [T.StructField("loads", T.LongType()), T.StructField("seconds", T.DoubleType())]
        return T.StructType(fields)

    def _call_arrow(self, values: list[Column], names: tuple[str, ...] | None, *, is_packed: bool) -> Column:
        zoned = [F.current_timezone()] if has_timestamps(self.return_type) else []
        function = _build_arrow_function(self._work, names, zoned=bool(zoned), is_packed=is_packed)
        scorer = F.arrow_udf(function, self._column_type)  # type: ignore[attr-defined]
        return self._name_predictions(scorer(*values, *zoned))

    def _call_pandas(self, bound: Bound) -> Column:
        zoned = [F.current_timezone()] if has_timestamps(self.return_type) else []
        sent, column_type = build_pandas_columns(bound), self._column_type
        if is_sent_as_json(column_type):
            function = build_pandas_function(self._work, bound, to_texts)
            texts = F.pandas_udf(function, "string")(*sent, *zoned)  # type: ignore[attr-defined]
            return self._name_predictions(
                F.from_json(
                    texts, column_type.json(), {"mode": "FAILFAST", "timestampFormat": TIMESTAMP_FORMAT}
                )
            )
        as_frame = isinstance(column_type, T.StructType)
        function = build_pandas_function(self._work, bound, to_frame if as_frame else to_series)
        scorer = F.pandas_udf(function, column_type)  # type: ignore[attr-defined]
        return self._name_predictions(scorer(*sent, *zoned))

    def _name_predictions(self, predictions: Column) -> Column:
        return predictions.alias(f"score({', '.join(map(str, self.inputs.input_names()))})"[:200])


_FINDING = T.StructType(
    [
        T.StructField("code", T.StringType()),
        T.StructField("path", T.StringType()),
        T.StructField("detail", T.StringType()),
    ]
)


def _name_transfers(specs: Sequence[ColSpec | TensorSpec]) -> tuple[str, ...]:
    """Return the names under which columns reach the worker; columns without names are numbered."""
    return tuple(str(index if spec.name is None else spec.name) for index, spec in enumerate(specs))


def _find_zone(arrays: list[pa.Array]) -> str:
    """Return the time zone of the query, which its timestamps have; empty without timestamps."""
    for array in arrays:
        dtype = array.type
        inner = [field.type for field in dtype] if pa.types.is_struct(dtype) else [dtype]
        for part in inner:
            if pa.types.is_timestamp(part) and part.tz:
                return str(part.tz)
    return ""


# --- Spark >= 4.1 ---------------------------------------------------------------------------------------


def _build_arrow_function(
    work: Work, names: tuple[str, ...] | None, *, zoned: bool, is_packed: bool = False
) -> Callable[..., Any]:
    """Return the function that scores a batch. All call sites of a query share a worker, and its model."""

    def open_batch(arrays: list[pa.Array], zone: Zone) -> pa.RecordBatch:
        if zoned:
            zone.read(arrays.pop(), lambda column: column[0].as_py())
        elif names is None:
            zone.name = zone.name or _find_zone(arrays)
        if names is None:
            return split_struct(arrays, work.inputs, work.features)
        if is_packed:
            arrays = arrays[0].flatten()
        return pa.RecordBatch.from_arrays(arrays, names=list(names))

    first_row = 0

    def score(*columns: pa.Array) -> pa.Array:
        nonlocal first_row
        zone = Zone()
        batch = open_batch(list(columns), zone)
        parts = list(work.run(iter([batch]), zone, first_row))
        first_row += batch.num_rows
        return parts[0] if len(parts) == 1 else pa.concat_arrays(parts)

    def score_joined(batches: Iterator[tuple[pa.Array, ...]]) -> Iterator[pa.Array]:
        zone = Zone()
        yield from work.run((open_batch(list_columns(batch), zone) for batch in batches), zone)

    if work.batch_rows is not None:  # a batch for the model may consist of several Arrow batches
        return score_joined
    # Spark derives the kind of the function from its annotations
    score.__annotations__ = {"columns": pa.Array, "return": pa.Array}
    return score
