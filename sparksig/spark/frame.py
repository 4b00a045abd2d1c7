"""A model over a DataFrame: checked whole at plan time, cast in the JVM, scored, the kept columns beside."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame

from sparksig.errors import Code, ContractError, Finding, UnsupportedError, kind, nearest, step
from sparksig.spark.contract import column
from sparksig.spark.udf import ModelUDF, spark_udf

__all__ = ["score"]


def score(
    df: DataFrame,
    model: str | os.PathLike[str] | ModelUDF,
    output: str = "prediction",
    keep: str | Sequence[str] = "*",
    *,
    params: Mapping[str, Any] | None = None,
    on_error: str = "fail",
    allow_pickle: bool = False,
    digest: str | None = None,
    trusted_types: Sequence[str] = (),
) -> DataFrame:
    """``df`` with the model's predictions in a column of their own.

    The schema of ``df`` is checked against the model's now, whole, without a Spark job; what is needed is
    cast in the JVM; only the model's columns travel to Python. The kept columns stay where they are.

    Args:
        df: what to score; its columns are found by the signature's names.
        model: a model directory, or what :func:`spark_udf` made of one.
        output: the name of the predictions' column.
        keep: the columns of ``df`` in the result; "*" for all.
        params: values for the model's params.
        on_error: "fail": a row that breaks the contract fails the query.
        allow_pickle: as in :func:`spark_udf`.
        digest: as in :func:`spark_udf`.
        trusted_types: as in :func:`spark_udf`.

    Raises:
        ContractError: the table does not fit the model, a kept column is not there, or ``output`` is; all
            findings.
        ModelError: as :func:`spark_udf`.
        UnsupportedError: ``on_error="null"``, which does not go yet.
    """
    if not hasattr(df, "sparkSession"):
        raise ContractError(f"score takes a Spark DataFrame, not {kind(df)}")
    if on_error != "fail":
        raise UnsupportedError(f'on_error={on_error!r} does not go yet: "fail" is the only way so far')
    udf = model
    if not isinstance(udf, ModelUDF):
        udf = spark_udf(
            df.sparkSession,
            model,  # type: ignore[arg-type]
            params=params,
            allow_pickle=allow_pickle,
            digest=digest,
            trusted_types=trusted_types,
        )
    elif params is not None:
        raise ContractError("params belong to spark_udf(..., params=) where the model is given as a ModelUDF")
    findings = _name_findings(df, output, keep)
    try:
        prediction = udf.on(df.schema).alias(output)
    except ContractError as error:
        if not findings:
            raise
        raise ContractError.of("the table cannot be scored", [*error.findings, *findings]) from None
    if findings:
        raise ContractError.of("the table cannot be scored", findings)
    kept = [df["*"]] if keep == "*" else [column(name) for name in keep]
    return df.select(*kept, prediction)


def _name_findings(df: DataFrame, output: str, keep: str | Sequence[str]) -> list[Finding]:
    if isinstance(keep, str) and keep != "*":
        return [
            Finding(
                Code.INVALID_VALUE, "keep", 'a list of names, or "*"', "a single string", f"keep=[{keep!r}]"
            )
        ]
    if not isinstance(output, str) or not all(isinstance(name, str) for name in keep):
        found = kind(output) if not isinstance(output, str) else "others"
        return [Finding(Code.INVALID_VALUE, "", "names of columns, as strings", found)]
    kept = df.columns if keep == "*" else list(keep)
    twice = [name for name in kept if keep != "*" and (kept.count(name) > 1 or df.columns.count(name) > 1)]
    if twice:
        return [Finding(Code.DUPLICATE_NAME, step(twice[0]), "one column of that name to keep", "several")]
    findings = [
        Finding(
            Code.MISSING_COLUMN, step(name), "a column to keep", "no such column", nearest(name, df.columns)
        )
        for name in kept
        if name not in df.columns
    ]
    if output.casefold() in {name.casefold() for name in kept}:
        hint = "choose another name for output=, or keep= other columns"
        findings.append(
            Finding(Code.DUPLICATE_NAME, step(output), "no kept column of the output's name", "one", hint)
        )
    return findings
