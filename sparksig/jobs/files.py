"""Single files that jobs write completely or not at all, on any file system."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.fs

from sparksig.errors import UnsupportedError
from sparksig.jobs.file_systems import find_file_system

_WITH_RENAME = ("local", "hdfs")
"""The pyarrow file systems on which readers see incomplete files, in contrast to object stores."""


def write_file(path: str, data: bytes, conf: Mapping[str, str], *, is_private: bool = False) -> None:
    """Write a file, or replace it; create its parent directories.

    Args:
        path: a path, or a URI.
        data: the content.
        conf: Spark settings, which decide on the file system of a plain path.
        is_private: only this user may read the file, if it is on this machine.

    Raises:
        OSError: the file cannot be written.
        UnsupportedError: neither pyarrow nor a classic Spark session knows the file system.
    """
    files, target = find_file_system(path, conf)
    if files is None:
        _write_with_hadoop(path, data)
        return
    if files.type_name not in _WITH_RENAME:
        with files.open_output_stream(target) as stream:
            stream.write(data)
        return
    if files.get_file_info(target).type == pyarrow.fs.FileType.Directory:
        raise IsADirectoryError("it is a directory")
    files.create_dir(target.rpartition("/")[0] or "/", recursive=True)
    temporary = f"{target}.{secrets.token_hex(4)}.tmp"
    try:
        if is_private and files.type_name == "local":
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL, 0o600))
        with files.open_output_stream(temporary) as stream:
            stream.write(data)
        files.move(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            files.delete_file(temporary)
        raise


def read_file(path: str, conf: Mapping[str, str]) -> bytes | None:
    """Return the content of a file; None if it does not exist.

    Raises:
        OSError: the file cannot be read.
        UnsupportedError: neither pyarrow nor a classic Spark session knows the file system.
    """
    files, target = find_file_system(path, conf)
    if files is None:
        return _read_with_hadoop(path)
    if files.get_file_info(target).type != pyarrow.fs.FileType.File:
        return None
    with files.open_input_stream(target) as stream:
        content: bytes = stream.read()
    return content


# --- file systems that only Spark supports: s3a://, dbfs:/, and others ------------------------------------


def _hadoop(path: str) -> tuple[Any, Any, Any]:
    """Return the JVM's classes, the file system of a path, and the path in it."""
    pyspark: Any = sys.modules.get("pyspark")
    context = pyspark.SparkContext._active_spark_context if pyspark is not None else None
    if context is None:
        raise UnsupportedError(
            f"{path!r} is on a file system that pyarrow does not know, and no classic Spark "
            "session is active. Choose a path that this machine accesses, or start the job with spark-submit"
        )
    target = context._jvm.org.apache.hadoop.fs.Path(path)
    return context._jvm, target.getFileSystem(context._jsc.hadoopConfiguration()), target


@contextlib.contextmanager
def _convert_errors() -> Iterator[None]:
    from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped]

    try:
        yield
    except Py4JJavaError as error:
        raise OSError(str(error.java_exception.toString())) from None
    except Py4JError as error:  # the JVM may have ended
        raise OSError(f"Spark does not answer: {type(error).__name__}") from None


def _write_with_hadoop(path: str, data: bytes) -> None:
    with _convert_errors():
        java, files, target = _hadoop(path)
        temporary = java.org.apache.hadoop.fs.Path(
            target.getParent(), f"{target.getName()}.{secrets.token_hex(4)}.tmp"
        )
        stream = files.create(temporary, False)
        stream.write(bytearray(data))
        stream.close()
        files.delete(target, False)  # renaming replaces nothing
        if not files.rename(temporary, target):
            files.delete(temporary, False)
            raise OSError("the temporary file cannot be renamed")


def _read_with_hadoop(path: str) -> bytes | None:
    with _convert_errors():
        java, files, target = _hadoop(path)
        if not files.exists(target):
            return None
        stream = files.open(target)
        content = bytes(java.org.apache.commons.io.IOUtils.toByteArray(stream))
        stream.close()
    return content
