"""Access to file systems through Spark's Hadoop, without a Spark job and without Spark's warnings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparksig.errors import OutputRefusedError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def get_file_system(spark: SparkSession, path: str) -> tuple[Any, Any, Any]:
    """Return the JVM's classes, the file system of a path, and the path in it; only for a classic session."""
    session: Any = spark
    java = session._jvm
    place = java.org.apache.hadoop.fs.Path(path)
    return java, place.getFileSystem(session._jsparkSession.sessionState().newHadoopConf()), place


def list_items(sequence: Any) -> list[Any]:
    """Return the items of a sequence of Scala."""
    return [sequence.apply(index) for index in range(sequence.size())]


def is_connect(frame: SparkSession | DataFrame) -> bool:
    """Return whether a session or a DataFrame belongs to Spark Connect."""
    return type(frame).__module__.startswith("pyspark.sql.connect")


def is_missing(spark: SparkSession, path: str) -> bool:
    """Return whether a path certainly does not exist; always False on Spark Connect.

    Spark's readers report a missing path, too, but first log a warning with a stack trace.
    """
    return not is_connect(spark) and not HadoopPath(spark, path).exists()


_RENAMES_AT_ONCE = ("file", "hdfs", "viewfs")
"""The file systems that rename a directory in one step. Object stores copy its files instead."""


@dataclass(frozen=True)
class HadoopPath:
    """A path, which may exist or not, in a file system that Spark's Hadoop accesses.

    Attributes:
        spark: the session.
        uri: the path with its scheme.
    """

    spark: SparkSession
    uri: str

    @classmethod
    def qualify(cls, spark: SparkSession, path: str) -> HadoopPath:
        """Return the absolute path, with its scheme, of a path that Spark accepts."""
        _, files, place = get_file_system(spark, path)
        return cls(spark, str(place.makeQualified(files.getUri(), files.getWorkingDirectory()).toString()))

    def __truediv__(self, name: str) -> HadoopPath:
        return HadoopPath(self.spark, f"{self.uri.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        """The last part of the path; empty for a file system's root."""
        return str(get_file_system(self.spark, self.uri)[2].getName())

    @property
    def parent(self) -> HadoopPath:
        """The parent directory.

        Raises:
            OutputRefusedError: the path is the root of a file system.
        """
        above = get_file_system(self.spark, self.uri)[2].getParent()
        if above is None:
            raise OutputRefusedError(f"{self.uri} is the root of a file system; nothing was written")
        return HadoopPath(self.spark, str(above.toString()))

    @property
    def local(self) -> Path | None:
        """The path on this machine; None for other file systems."""
        return Path(self.uri.removeprefix("file:")) if self.uri.startswith("file:/") else None

    def is_in(self, other: HadoopPath) -> bool:
        """Return whether this path equals another one or is below it; links on this machine are followed."""
        inner, outer = (os.path.realpath(path.local) if path.local else path.uri for path in (self, other))
        return f"{inner.rstrip('/')}/".startswith(f"{outer.rstrip('/')}/")

    def exists(self) -> bool:
        """Return whether a file or directory exists here."""
        _, files, place = get_file_system(self.spark, self.uri)
        return bool(files.exists(place))

    def is_directory(self) -> bool:
        """Return whether a directory exists here."""
        _, files, place = get_file_system(self.spark, self.uri)
        return bool(files.exists(place) and files.getFileStatus(place).isDirectory())

    def list_names(self) -> list[str]:
        """Return the names of the entries of the directory; an empty list if it does not exist."""
        _, files, place = get_file_system(self.spark, self.uri)
        if not files.exists(place):
            return []
        return sorted(str(entry.getPath().getName()) for entry in files.listStatus(place))

    def list_files(self) -> Iterator[str]:
        """Yield the relative paths of all files below the directory."""
        _, files, place = get_file_system(self.spark, self.uri)
        entries = files.listFiles(place, True)
        while entries.hasNext():
            yield str(entries.next().getPath().toString()).removeprefix(f"{self.uri.rstrip('/')}/")

    def is_owned(self) -> bool:
        """Return whether the user of this process owns it; True on object stores, which have no users."""
        if self.local is not None:
            owner = getattr(os.lstat(self.local), "st_uid", None)
            return owner is None or owner == os.geteuid()
        if not self.renames_at_once:
            return True
        java, files, place = get_file_system(self.spark, self.uri)
        user = java.org.apache.hadoop.security.UserGroupInformation.getCurrentUser().getShortUserName()
        return bool(files.getFileStatus(place).getOwner() == user)

    def read_status(self) -> tuple[int, int]:
        """Return the size of a file in bytes, and the time of its last change in milliseconds."""
        if self.local is not None:
            local_status = os.stat(self.local)
            return local_status.st_size, local_status.st_mtime_ns // 1_000_000
        _, files, place = get_file_system(self.spark, self.uri)
        status = files.getFileStatus(place)
        return int(status.getLen()), int(status.getModificationTime())

    def create(self) -> None:
        """Create the directory and its parents.

        Raises:
            OutputRefusedError: it cannot be created.
        """
        from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]

        _, files, place = get_file_system(self.spark, self.uri)
        try:
            is_created = bool(files.mkdirs(place))
        except Py4JJavaError as error:
            reason = str(error.java_exception.getClass().getSimpleName())
            raise OutputRefusedError(f"{self.uri} cannot be created: {reason}; nothing was written") from None
        if not is_created:
            raise OutputRefusedError(f"{self.uri} cannot be created; nothing was written")

    def delete(self) -> None:
        """Remove the file, or the directory with its content."""
        _, files, place = get_file_system(self.spark, self.uri)
        files.delete(place, True)

    @property
    def renames_at_once(self) -> bool:
        """True if this file system renames a directory in one step."""
        return self.uri.partition(":")[0] in _RENAMES_AT_ONCE

    def move_to(self, target: HadoopPath) -> None:
        """Rename it in one step, unless the target exists.

        Raises:
            OutputRefusedError: the target exists.
        """
        from py4j.protocol import Py4JJavaError

        java, files, place = get_file_system(self.spark, self.uri)
        hadoop = java.org.apache.hadoop.fs
        option = getattr(hadoop, "Options$Rename")
        gateway: Any = self.spark.sparkContext._gateway
        options = gateway.new_array(option, 1)
        options[0] = option.NONE
        try:  # a file system's own rename() moves a directory into an existing one
            hadoop.FileContext.getFileContext(files.getConf()).rename(place, hadoop.Path(target.uri), options)
        except Py4JJavaError as error:
            if not target.exists():
                raise
            reason = str(error.java_exception.getClass().getSimpleName())
            raise OutputRefusedError(f"{target.uri!r} already exists ({reason})") from None

    def move_file_to(self, target: HadoopPath) -> None:
        """Move a file; on object stores it is copied."""
        _, files, place = get_file_system(self.spark, self.uri)
        target.parent.create()
        if not files.rename(place, get_file_system(self.spark, target.uri)[2]):
            raise OSError(f"{self.uri} cannot be moved to {target.uri}")
