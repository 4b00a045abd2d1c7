"""Single files that jobs write: whole or not at all, wherever they are."""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.fs

from sparksig.errors import UnsupportedError
from sparksig.jobs.tables import file_system

__all__ = ["read_whole", "write_whole"]

_WITH_RENAME = ("local", "hdfs")
"""File systems of pyarrow on which a file shows while it is written; on object stores it does not."""


def write_whole(path: str, data: bytes, conf: Mapping[str, str]) -> None:
    """Write a file, in the place of one that is there; parent directories are made.

    Args:
        path: a path, or a URI.
        data: the content.
        conf: Spark settings, which say what a plain path is.

    Raises:
        OSError: it cannot be written.
        UnsupportedError: nothing here knows the URI's file system.
    """
    files, place = file_system(path, conf)
    if files is None:
        _by_hadoop(path, data)
        return
    if files.type_name not in _WITH_RENAME:
        with files.open_output_stream(place) as stream:
            stream.write(data)
        return
    if files.get_file_info(place).type == pyarrow.fs.FileType.Directory:
        raise IsADirectoryError("a directory is there")
    files.create_dir(place.rpartition("/")[0] or "/", recursive=True)
    temporary = f"{place}.{secrets.token_hex(4)}.tmp"
    try:
        with files.open_output_stream(temporary) as stream:
            stream.write(data)
        files.move(temporary, place)
    except BaseException:
        with contextlib.suppress(OSError):
            files.delete_file(temporary)
        raise


def read_whole(path: str, conf: Mapping[str, str]) -> bytes | None:
    """The content of a file; None if there is none.

    Raises:
        OSError: it cannot be read.
        UnsupportedError: nothing here knows the URI's file system.
    """
    files, place = file_system(path, conf)
    if files is None:
        return _read_by_hadoop(path)
    if files.get_file_info(place).type != pyarrow.fs.FileType.File:
        return None
    with files.open_input_stream(place) as stream:
        content: bytes = stream.read()
    return content


# --- file systems that only Spark knows: s3a://, dbfs:/, and the cluster's own -----------------------------


def _hadoop(path: str) -> tuple[Any, Any, Any]:
    """The JVM's classes, the file system of a path, and the path in it."""
    pyspark: Any = sys.modules.get("pyspark")
    context = pyspark.SparkContext._active_spark_context if pyspark is not None else None
    if context is None:
        raise UnsupportedError(
            f"{path!r} is on a file system that pyarrow does not know, and there is no Spark session to ask"
        )
    place = context._jvm.org.apache.hadoop.fs.Path(path)
    return context._jvm, place.getFileSystem(context._jsc.hadoopConfiguration()), place


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped]

    try:
        yield
    except Py4JJavaError as error:
        raise OSError(str(error.java_exception.toString())) from None
    except Py4JError as error:  # the JVM may have died
        raise OSError(f"Spark does not answer: {type(error).__name__}") from None


def _by_hadoop(path: str, data: bytes) -> None:
    with _as_os_errors():
        java, files, place = _hadoop(path)
        temporary = java.org.apache.hadoop.fs.Path(
            place.getParent(), f"{place.getName()}.{secrets.token_hex(4)}.tmp"
        )
        stream = files.create(temporary, False)
        stream.write(bytearray(data))
        stream.close()
        files.delete(place, False)  # renaming replaces nothing
        if not files.rename(temporary, place):
            files.delete(temporary, False)
            raise OSError("it cannot be put in its place")


def _read_by_hadoop(path: str) -> bytes | None:
    with _as_os_errors():
        java, files, place = _hadoop(path)
        if not files.exists(place):
            return None
        stream = files.open(place)
        content = bytes(java.org.apache.commons.io.IOUtils.toByteArray(stream))
        stream.close()
    return content
