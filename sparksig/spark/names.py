"""The comparison of names in a Spark session: it ignores case, unless spark.sql.caseSensitive is true."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sparksig.errors import Code, Finding, quote

if TYPE_CHECKING:
    from pyspark.sql import types as T

Fold = Callable[[str], str]
"""A function that maps a name to the text that Spark compares: names with the same text are equal."""

CASE_SENSITIVE = "spark.sql.caseSensitive"


def choose_folding(setting: object) -> Fold:
    """Return the function that folds names for a value of spark.sql.caseSensitive.

    Example:
        >>> choose_folding("false")("Kids"), choose_folding("true")("Kids")
        ('kids', 'Kids')
    """
    return str if str(setting).lower() == "true" else str.casefold


def get_name_folding(session: Any = None) -> Fold:
    """Return the function that folds names as a session compares them.

    Args:
        session: a classic session or one of Spark Connect; the active one, if None.
    """
    spark_sql = sys.modules.get("pyspark.sql")  # no session is active before it is imported
    if session is None and spark_sql is not None:
        session = spark_sql.SparkSession.getActiveSession()
    return choose_folding("false" if session is None else session.conf.get(CASE_SENSITIVE, "false"))


def find_variables(table: T.StructType) -> list[Finding]:
    """Report columns that Hadoop would change in Parquet files, where it substitutes variables.

    Spark passes the schema of its Parquet files through a Hadoop configuration, where ``${...}`` stands for a
    setting or an environment variable. A name could disclose a secret, and a column could be read as nulls.
    """
    expected = "names and metadata without ${, in a table that Spark stores as Parquet"
    hint = "Spark replaces them by settings or environment variables: rename the column, or drop its metadata"
    return [
        Finding(Code.INVALID_NAME, quote(field.name), expected, "a name or metadata with ${", hint)
        for field in table.fields
        if "${" in field.json()
    ]
