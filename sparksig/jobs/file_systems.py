"""The file systems of pyarrow for paths and URIs, without Spark."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.fs

from sparksig.errors import UnsupportedError
from sparksig.models.registry import redact_uri
from sparksig.scoring.folder import Folder


def find_file_system(path: str, conf: Mapping[str, str]) -> tuple[Any, str]:
    """Return pyarrow's file system for a path or URI (None if it is unknown), and the path in it.

    A plain path is on Hadoop's default file system, which is local unless it is configured.
    """
    if not re.match(r"^\w[\w+.-]+:", path):
        configured = (
            "spark.hadoop.fs.defaultFS" in conf or {"HADOOP_CONF_DIR", "YARN_CONF_DIR"} & os.environ.keys()
        )
        return (None, path) if configured else (pyarrow.fs.LocalFileSystem(), str(Path(path).absolute()))
    if re.match(r"^file:/[^/]", path):  # the notation of Hadoop
        return pyarrow.fs.LocalFileSystem(), path.removeprefix("file:")
    try:
        files, inner_path = pyarrow.fs.FileSystem.from_uri(path)
    except (pyarrow.ArrowInvalid, OSError):
        return None, path
    return files, inner_path


def locate(path: str, conf: Mapping[str, str]) -> Folder:
    """Return a path as a folder.

    Raises:
        UnsupportedError: pyarrow does not know the file system.
    """
    store, inner_path = find_file_system(path, conf)
    if store is None:
        raise UnsupportedError(f"pyarrow does not know the file system of {redact_uri(path)!r}")
    uri = f"file:{inner_path}" if isinstance(store, pyarrow.fs.LocalFileSystem) else path.rstrip("/")
    return Folder(store, inner_path, uri)
