"""The files of a job's input: their existence, sizes and times.

A classic session gives access to Spark's Hadoop. Spark Connect does not, so there Spark lists the files by
its data source ``binaryFile``, which reads no content unless a query asks for it.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import unquote

from sparksig.spark.hadoop import HadoopPath, is_connect

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_NOT_FOUND = re.compile(r"PATH_NOT_FOUND|not found|No such file|Not a directory")
"""The texts of Spark, and of Sail, for a path that does not exist."""


def read_statuses(spark: SparkSession, paths: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the sizes in bytes, and the times in milliseconds, of files by their names in Spark.

    Args:
        spark: the session.
        paths: the encoded names, as ``DataFrame.inputFiles`` returns them.

    Raises:
        FileNotFoundError: a file does not exist any more.
    """
    names = {unquote(path): path for path in paths}
    if is_connect(spark):
        statuses = _query_statuses(spark, list(names)) if names else {}
        if missing := [name for name in names if _strip_scheme(name) not in statuses]:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), missing[0])
        return {path: statuses[_strip_scheme(name)] for name, path in names.items()}
    with ThreadPoolExecutor(16) as pool:
        targets = [HadoopPath(spark, re.sub("^file:///", "file:/", name)) for name in names]
        return dict(zip(names.values(), pool.map(HadoopPath.read_status, targets)))


def _strip_scheme(name: str) -> str:
    """Return a name as all servers agree on it: Sail omits the scheme, and the slash after it."""
    return re.sub("^(file:)?/+", "", name)


def _query_statuses(spark: SparkSession, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the sizes and times of files, by their names without a scheme, by a Spark job.

    The result is empty if a file does not exist.
    """
    # without recursiveFileLookup, Spark would look for partition columns in the names
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    files = reader.load([escape_pattern(name) for name in names])
    try:
        rows = files.selectExpr("path", "length", "unix_millis(modificationTime)").collect()
    except Exception as error:  # its class depends on the server
        if _NOT_FOUND.search(str(error)):
            return {}
        raise
    return {_strip_scheme(row[0]): (int(row[1]), int(row[2])) for row in rows}


def path_exists(spark: SparkSession, path: str) -> bool:
    """Return whether a file or directory exists at a path that Spark accepts.

    On Spark Connect an empty directory does not count: Sail lists a directory that does not exist as empty.
    """
    if not is_connect(spark):
        return HadoopPath.qualify(spark, path).exists()
    try:
        return bool(spark.read.format("binaryFile").load(path).inputFiles())
    except Exception as error:  # its class depends on the server
        if _NOT_FOUND.search(str(error)):
            return False
        raise


def escape_pattern(path: str) -> str:
    r"""Escape a path so that Spark does not read it as a pattern.

    Example:
        >>> print(escape_pattern("file:/data/[1]"))
        file:/data/\[1\]
    """
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", path)
