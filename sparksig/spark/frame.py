"""Scoring of a Spark DataFrame: the schema is checked first, and the result keeps columns of the table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparksig.convert.mlflow import refuse_arguments
from sparksig.engine.absent import Absent, warn_of_absent_columns
from sparksig.errors import ContractError, UnsupportedError
from sparksig.options import OnError, OnVersionMismatch, Shipping
from sparksig.scoring.names import find_name_conflicts
from sparksig.spark import bind as binding
from sparksig.spark.arguments import require_frame
from sparksig.spark.bind import Bound
from sparksig.spark.hadoop import is_connect
from sparksig.spark.names import get_name_folding
from sparksig.spark.null_types import restore_null_types
from sparksig.spark.udf import ModelUDF, spark_udf

_SCORED = "sparksig scored"
"""The name of the temporary column of predictions and their details, before it is split into columns."""


def score(
    df: DataFrame,
    model: str | os.PathLike[str] | ModelUDF,
    *,
    column: str = "prediction",
    keep: str | Sequence[str] = "*",
    params: Mapping[str, Any] | None = None,
    method: str | None = None,
    on_error: OnError = "fail",
    findings_column: str = "findings",
    flatten: bool = False,
    columns: Sequence[str] | None = None,
    observation: Any = None,
    result_type: T.DataType | str | None = None,
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
) -> DataFrame:
    """Add a column with a model's predictions to a Spark DataFrame.

    The entire schema of ``df`` is checked against the model's at once, without a Spark job. Columns are cast
    in the JVM where necessary, and only the model's columns are transferred to Python. A streaming DataFrame
    is scored like any other.

    Args:
        df: the table. Its columns are matched with the model's inputs by name.
        model: a model directory or URI, or the result of :func:`spark_udf`.
        column: the name of the predictions' column.
        keep: the columns of ``df`` in the result; "*" for all.
        params: values for the model's params.
        method: as in :func:`spark_udf`.
        on_error: "fail": a row that cannot be scored fails the query. "null": its prediction is null, and a
            column has the reasons; all other rows are scored.
        findings_column: the name of the column of reasons. Its values are arrays of structs of code, path and
            detail, or null.
        flatten: whether each field of a prediction of several outputs becomes a column, ``<column>_<field>``.
        columns: for a model whose inputs have no names: the columns to use, in this order; None for all.
        observation: a ``pyspark.sql.Observation``. After an action it has ``rows``, ``scored``, ``rejected``,
            ``model_loads`` and ``model_load_seconds``.
        result_type: as in :func:`spark_udf`.
        model_config: as in :func:`spark_udf`.
        batch_rows: as in :func:`spark_udf`.
        allow_pickle: as in :func:`spark_udf`.
        digest: as in :func:`spark_udf`.
        trusted_types: as in :func:`spark_udf`.
        on_version_mismatch: as in :func:`spark_udf`.
        absent: what the model sees of an optional column that ``df`` lacks: "null" for a column of nulls,
            "omit" for no column, "forbid" to refuse ``df``. None for "null" with estimators and boosters, and
            for "omit" with PythonModels, functions and loader modules.
        environment: as in :func:`spark_udf`.
        allow_install: as in :func:`spark_udf`.
        shipping: as in :func:`spark_udf`.
        **arguments: refused; for those of MLflow's function, the message says what to do instead.

    Returns:
        The table with the kept columns, the predictions and, with ``on_error="null"``, their findings.
        Nothing is computed before an action.

    Raises:
        ContractError: the table does not fit the model, lacks a column of ``keep``, or already has a column
            with the name of a new one. The error has all findings.
        ModelError: as :func:`spark_udf`.

    Warns:
        AbsentColumnWarning: ``df`` lacks optional columns of the model. It lists all of them.

    Example:
        >>> import tempfile, sparksig
        >>> home = tempfile.mkdtemp()
        >>> _ = sparksig.save_model(home, lambda model_input: model_input["x"] * 2, input_example={"x": 1.5})
        >>> [row.asDict() for row in score(spark.sql("select 3 as x"), home, allow_pickle=True).collect()]
        [{'x': 3, 'prediction': 6.0}]
        >>> score(spark.sql("select '3' as x"), home, allow_pickle=True)
        Traceback (most recent call last):
        sparksig.errors.ContractError: the table does not fit the model's input schema: 1 finding
          - x: expected double, got string (strings are not converted to or from other types:
            cast it explicitly) [TYPE_MISMATCH]
    """
    refuse_arguments("score", arguments)
    require_frame(df, "score(df, model)", model)
    if isinstance(model, ModelUDF):
        _refuse_arguments(
            params=params,
            method=method,
            result_type=result_type,
            model_config=model_config,
            batch_rows=batch_rows,
            digest=digest,
            trusted_types=trusted_types or None,
            absent=absent,
        )
        udf = model
    else:
        udf = spark_udf(
            df.sparkSession,
            model,
            result_type=result_type,
            params=params,
            method=method,
            model_config=model_config,
            batch_rows=batch_rows,
            allow_pickle=allow_pickle,
            digest=digest,
            trusted_types=trusted_types,
            on_version_mismatch=on_version_mismatch,
            absent=absent,
            environment=environment,
            allow_install=allow_install,
            shipping=shipping,
        )
    if on_error not in ("fail", "null"):
        raise ContractError(f"on_error: expected 'fail' or 'null', got {on_error!r}")
    rejects = findings_column if on_error == "null" else None
    bound = judge_table(df, udf, column, keep, flatten, rejects, columns)
    scored = add_predictions(df, udf, bound, column, keep, flatten, rejects, observation)
    warn_of_absent_columns(udf.inputs, df.columns, udf.absent, 2)
    return scored


def judge_table(
    df: DataFrame,
    udf: ModelUDF,
    output: str,
    keep: str | Sequence[str],
    flatten: bool = False,
    findings: str | None = None,
    columns: Sequence[str] | None = None,
) -> Bound:
    """Bind the columns of a table to a model's inputs, and check the names of the result.

    The arguments and errors are those of :func:`score`; ``findings`` is None for ``on_error="fail"``.

    Raises:
        UnsupportedError: the server does not convert timestamps as Spark does.
    """
    names = _name_outputs(udf, output, flatten, findings)
    problems = find_name_conflicts(df.columns, names, keep, get_name_folding(df.sparkSession))
    try:
        bound = udf.bind(restore_null_types(df, udf.inputs), columns, session=df.sparkSession)
    except ContractError as error:
        if not problems:
            raise
        raise ContractError.of("the table cannot be scored", [*error.findings, *problems]) from None
    if problems:
        raise ContractError.of("the table cannot be scored", problems)
    if any("timestamp_ntz" in dtype.simpleString() for dtype in bound.types):
        _require_local_times(df)
    return bound


_LOCAL_TIME = (
    "select cast(t as timestamp_ntz) = timestamp_ntz'{0}' from values (timestamp'{0}') as constants(t)"
)


def _require_local_times(df: DataFrame) -> None:
    """Raise an error if a server of Spark Connect does not cast timestamps to the session's local time.

    Sail casts them to the time in UTC. The query has constants only, so Spark starts no job for it.
    """
    spark, types = df.sparkSession, df.schema.simpleString().replace("timestamp_ntz", "")
    if not is_connect(spark) or "timestamp" not in types:
        return
    if not spark.sql(_LOCAL_TIME.format("2000-01-01 00:00:00")).collect()[0][0]:
        raise UnsupportedError(
            "the server does not cast timestamps to the local time of the session's time zone. Set "
            "spark.sql.session.timeZone to 'UTC', or cast the columns to timestamp_ntz"
        )


def add_predictions(
    df: DataFrame,
    udf: ModelUDF,
    bound: Bound,
    output: str,
    keep: str | Sequence[str],
    flatten: bool = False,
    findings: str | None = None,
    observation: Any = None,
) -> DataFrame:
    """Return the kept columns and the predictions of a table that :func:`judge_table` has bound."""
    details = {"lenient": findings is not None, "observed": observation is not None}
    prediction = udf.replace_work(**details).predict_column(bound)
    columns = ["*"] if keep == "*" else [binding.column(name) for name in keep]
    if not flatten and not any(details.values()):
        return df.select(*columns, prediction.alias(output))
    scored = df.select(*columns, prediction.alias(_SCORED))
    return _split_details(scored, udf, output, flatten, findings, observation)


def _refuse_arguments(**arguments: Any) -> None:
    wrong = [name for name, value in arguments.items() if value is not None]
    if wrong:
        raise ContractError(
            f"{' and '.join(wrong)} cannot be combined with a ModelUDF: pass them to spark_udf(...)"
        )


def _name_outputs(udf: ModelUDF, output: str, flatten: bool, findings: str | None) -> list[Any]:
    """Return the names of the new columns."""
    names: list[Any] = [output]
    if flatten:
        if not isinstance(udf.return_type, T.StructType):
            raise ContractError(
                "flatten=True needs a model with several outputs; the predictions of this model are "
                f"{udf.return_type.simpleString()}"
            )
        names = [f"{output}_{name}" for name in udf.return_type.names]
    return names if findings is None else [*names, findings]


def _split_details(
    scored: DataFrame,
    udf: ModelUDF,
    output: str,
    flatten: bool,
    findings: str | None,
    observation: Any,
) -> DataFrame:
    """Split the struct of predictions and their details into columns, and observe its counts."""
    details = binding.column(_SCORED)
    has_details = findings is not None or observation is not None
    value = details.getField("value") if has_details else details
    if observation is not None:
        failed = F.lit(False) if findings is None else details.getField("findings").isNotNull()
        scored = scored.observe(
            observation,
            F.count(F.lit(1)).alias("rows"),
            F.count(F.when(~failed, 1)).alias("scored"),
            F.count(F.when(failed, 1)).alias("rejected"),
            F.sum(details.getField("loads")).alias("model_loads"),
            F.sum(details.getField("seconds")).alias("model_load_seconds"),
        )
    predicted: list[Column] = [value.alias(output)]
    if flatten:
        assert isinstance(udf.return_type, T.StructType)
        predicted = [value.getField(name).alias(f"{output}_{name}") for name in udf.return_type.names]
    if findings is not None:
        predicted.append(details.getField("findings").alias(findings))
    return scored.select("*", *predicted).drop(_SCORED)
