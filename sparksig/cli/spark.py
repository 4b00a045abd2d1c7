"""Tables that need Spark: Delta tables, and tables of a catalog."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


_UNTIL_THE_END = contextlib.ExitStack()
"""Contexts that are open until the process of a command ends."""


def read_table(app: str, table: str, conf: Sequence[str]) -> DataFrame:
    """Read a table by its path (Delta or Parquet) or its name, in a session with these settings."""
    try:
        from sparksig.jobs.config import InputSection
        from sparksig.jobs.inputs import read_input
        from sparksig.spark.quiet import mute_query_errors, mute_stack_traces
        from sparksig.spark.session import build_session
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("pyspark"):
            raise
        from sparksig.errors import MissingDependencyError

        raise MissingDependencyError.naming("pyspark", "--spark", "spark") from None
    settings = dict(_parse_setting(text) for text in conf)
    spark = build_session(
        app, {"spark.log.level": "ERROR", "spark.ui.showConsoleProgress": "false", **settings}
    )
    _UNTIL_THE_END.enter_context(mute_query_errors())
    _UNTIL_THE_END.enter_context(mute_stack_traces(spark))
    return read_input(spark, InputSection.model_validate(locate_table(table)))


def _parse_setting(text: str) -> tuple[str, str]:
    key, equal, value = text.partition("=")
    if not equal:
        raise click.UsageError(f"--conf {text!r}: a Spark setting is KEY=VALUE")
    return key, value


def locate_table(table: str) -> dict[str, str]:
    """Return the input section of a job for a path or the name of a table."""
    path = Path(table.removeprefix("file://"))
    if (path / "_delta_log").is_dir():
        return {"path": table, "format": "delta"}
    is_path = "/" in table or path.exists() or path.suffix == ".parquet"
    return {"path": table} if is_path else {"table": table}
