"""The staging directory of a run, next to the output, which has the rows until they are published.

A killed run is completed from its staging directory. Other users may be able to write next to the output, so
the owner of the directory, the names in it, and the paths in its notes are verified before they are used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Protocol

from pydantic import Field, TypeAdapter, ValidationError

from sparksig.errors import OutputRefusedError
from sparksig.jobs.claims import LOCK, claim_file, is_claimed, lock_directory
from sparksig.jobs.config import ScoreConfig
from sparksig.jobs.console import print_error
from sparksig.jobs.engine import Layout, StagedCounts
from sparksig.jobs.files import read_file, write_file

MARKER = "_sparksig_run.json"
"""The file in a directory of Parquet files that describes the run which wrote them."""

_SCORED, PUBLISHING = "scored.json", "publishing.json"
"""The files with the notes of a staging directory."""


@dataclass(frozen=True)
class StagedResult:
    """The complete result of scoring, which is stored in the staging directory.

    Attributes:
        run_id: the name of the run.
        data: the name of the directory with the rows, in the staging directory.
        fingerprints: the model, the configuration and the input, see :func:`build_fingerprints`.
        input: the identity of the table that was read.
        counts: the rows, and the reasons why some were rejected.
        layout: "rows" if Spark divides them among the output and the quarantine; "tables" if they are
            divided, see :mod:`sparksig.jobs.staged_tables`.
    """

    run_id: str
    data: Annotated[str, Field(pattern=r"^data-[0-9a-f]{8}$")]
    fingerprints: Mapping[str, str]
    input: Mapping[str, Any]
    counts: StagedCounts
    layout: Layout = "rows"

    @property
    def final(self) -> str:
        """The name of the directory with the rows that are ready to be published."""
        return self.data.replace("data", "final")


class Directory(Protocol):
    """A directory of any file system; :class:`sparksig.spark.hadoop.HadoopPath` is one."""

    @property
    def uri(self) -> str:
        """The path, with its scheme."""

    @property
    def local(self) -> Path | None:
        """The path on this machine; None for another file system."""

    def __truediv__(self, name: str) -> Any: ...

    def list_names(self) -> list[str]:
        """Return the names of the entries of the directory; an empty list if it does not exist."""

    def is_owned(self) -> bool:
        """Return whether the user of this process owns it; True if the file system has no users."""

    def create(self) -> None:
        """Create the directory and its parents."""

    def delete(self) -> None:
        """Remove the directory with its content."""


@dataclass(frozen=True)
class StagingDirectory:
    """A hidden directory beside the output that belongs to one run.

    All attempts at the run share it, even simultaneous ones. Each attempt has a directory for its rows, and
    claims it by a lock that ends with its process. An attempt removes its own rows, and those of
    attempts whose processes have ended.

    Attributes:
        directory: the directory, which :meth:`reset` creates.
        run_id: the name of the run.
    """

    directory: Directory
    run_id: str
    _claims: dict[str, int | None] = field(default_factory=dict, repr=False, compare=False)

    def verify(self) -> None:
        """Check that the directory, if it exists, was created by this user for this run.

        Raises:
            OutputRefusedError: it belongs to another user, or has files that no run writes.
        """
        names = self.directory.list_names()
        unknown = [name for name in names if not KNOWN_NAMES.fullmatch(name)]
        if unknown:
            raise OutputRefusedError(
                f"{self.directory.uri} is the staging directory of the run {self.run_id}, and it has "
                f"{unknown[0]!r}, which no run writes. Remove it, or choose another run id"
            )
        if names and not self.directory.is_owned():
            raise OutputRefusedError(
                f"{self.directory.uri} is the staging directory of the run {self.run_id}, and it belongs to "
                "another user. Remove it, or choose another run id"
            )

    def reset(self) -> str:
        """Remove the rows of killed attempts, and return the name of a new directory for rows.

        Raises:
            OutputRefusedError: the staging directory belongs to another user, or cannot be created.
        """
        self.verify()
        data = f"data-{secrets.token_hex(4)}"
        with lock_directory(self.directory):
            unclaimed, others = self._divide_names(is_done=False)
            if self.read_published_files() is None or self.read_result() is None:
                for name in unclaimed if others else self.directory.list_names():
                    if name != LOCK:
                        (self.directory / name).delete()
            self._claim(data)
        return data

    def claim_rows(self, data: str) -> bool:
        """Claim the rows of an earlier attempt; return False if they do not exist any more."""
        with lock_directory(self.directory):
            if data not in self.directory.list_names():
                return False
            self._claim(data)
        return True

    def _claim(self, data: str) -> None:
        suffix = data.removeprefix("data-")
        local = self.directory.local
        self._claims[suffix] = None if local is None else claim_file(local / f"lock-{suffix}")

    def close(self) -> None:
        """Release the claims of this attempt, and leave its rows for the next attempt."""
        for descriptor in self._claims.values():
            if descriptor is not None:
                os.close(descriptor)
        self._claims.clear()

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Wait until no other attempt publishes, and let only this attempt publish."""
        message = f"waiting for another attempt at the run {self.run_id}, which is being published"
        return lock_directory(self.directory, lambda: print_error(message))

    def read_result(self) -> StagedResult | None:
        """Read the result of an attempt that scored all rows; None without a valid result."""
        content = read_file((self.directory / _SCORED).uri, {})
        if content is None:
            return None
        try:
            result = _RESULTS.validate_json(content)
        except ValidationError:  # written by another version, or changed
            return None
        return result if result.run_id == self.run_id else None

    def write_result(self, result: StagedResult) -> None:
        """Note that all rows are scored, unless the rows of another attempt are being published."""
        with lock_directory(self.directory):
            if self.read_published_files() is None:
                self._write_result(result)

    def _write_result(self, result: StagedResult) -> None:
        content = json.dumps(_RESULTS.dump_python(result, mode="json"))
        write_file((self.directory / _SCORED).uri, content.encode(), {})

    def read_published_files(self) -> list[str] | None:
        """Read the names of the files that are being published; None if publishing has not begun.

        Raises:
            OutputRefusedError: a name leads out of the directory.
        """
        body = read_json((self.directory / PUBLISHING).uri, {})
        if body is None:
            return None
        files = body.get("files")
        if not isinstance(files, list) or not all(map(_is_inside, files)):
            raise OutputRefusedError(
                f"{(self.directory / PUBLISHING).uri} was changed: it names files outside of the directory. "
                f"Remove {self.directory.uri}, and start the run again"
            )
        return files

    def begin_publishing(self, result: StagedResult) -> StagedResult:
        """Note that a result is being published, or return that of an attempt which has begun to publish.

        The directory is locked: an attempt that scored at the same time has its own rows.
        """
        earlier = None if self.read_published_files() is None else self.read_result()
        if earlier is not None:
            return earlier
        self._write_result(result)
        self.note_publishing()
        return result

    def note_publishing(self, files: Iterable[str] = ()) -> None:
        """Record that publishing has begun. After this, the run can only be completed."""
        write_file((self.directory / PUBLISHING).uri, json.dumps({"files": list(files)}).encode(), {})

    def remove(self, *, is_done: bool = False) -> None:
        """Remove the rows of this attempt, and the directory if no other attempt uses it.

        Args:
            is_done: the run is published, so that without locks the entire directory can be removed.

        Raises:
            OutputRefusedError: the directory belongs to another user.
        """
        self.verify()
        own = set(self._claims)
        self.close()
        if not self.directory.list_names():  # or it does not exist
            with contextlib.suppress(OSError):
                os.rmdir(self.directory.local or "")
            return
        with lock_directory(self.directory):
            unclaimed, others = self._divide_names(own, is_done=is_done)
            for name in unclaimed if others else ():
                (self.directory / name).delete()
            if not others:
                self.directory.delete()

    def _divide_names(self, own: Collection[str] = (), *, is_done: bool) -> tuple[list[str], list[str]]:
        """Return the names of directories that no attempt has claimed, and of those of other attempts."""
        local = self.directory.local
        unclaimed, others = list[str](), list[str]()
        for name in self.directory.list_names():
            match = re.search(_ATTEMPT, name)
            if match is None:
                continue
            is_other = None if local is None else is_claimed(local / f"lock-{match[1]}")
            if is_other is None:
                is_other = not is_done and match[1] not in own
            (others if is_other else unclaimed).append(name)
        return unclaimed, others


_RESULTS = TypeAdapter(StagedResult)

_ATTEMPT = r"(?:data|final|lock)-([0-9a-f]{8})"
KNOWN_NAMES = re.compile(
    rf"{_ATTEMPT}|\.{_ATTEMPT}\.sparksig-write-[0-9a-f]+|{LOCK}|\.?({_SCORED}|{PUBLISHING})(\..*)?"
)
"""The names of the files and directories in a staging directory."""


def _is_inside(name: Any) -> bool:
    """Return whether a name is a relative path that stays in its directory."""
    if not isinstance(name, str) or not name or "\\" in name or "\0" in name:
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def name_staging(name: str, run_id: str) -> str:
    """Return the name of the staging directory of a run, beside an output of that name."""
    return f".{name}.sparksig-{run_id}"


def build_fingerprints(config: ScoreConfig, digest: str, identity: Mapping[str, Any]) -> dict[str, str]:
    """Return digests of the model, the configuration, and the input, on which a result depends."""
    from sparksig import __version__

    settings = config.model_dump(mode="json", exclude={"run_id", "report", "spark", "engine"})
    settings["spark"] = {key: value for key, value in config.spark.items() if key.startswith("spark.sql.")}
    settings["sparksig"] = __version__
    return {"model": digest, "config": _hash(settings), "input": _hash(dict(identity))}


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def read_json(path: str, conf: Mapping[str, str]) -> dict[str, Any] | None:
    """Read an object from a JSON file; None if the file does not exist, or is incomplete."""
    content = read_file(path, conf)
    return None if content is None else parse_object(content)


def read_notes(directory: str, run_id: str, conf: Mapping[str, str]) -> dict[str, Any] | None:
    """Read the notes of a run in the marker of a directory; None if it does not have the rows of this run."""
    notes = read_json(f"{directory.rstrip('/')}/{MARKER}", conf)
    return notes if notes is not None and notes.get("run_id") == run_id else None


def parse_object(text: str | bytes) -> dict[str, Any] | None:
    """Parse an object of JSON; None for anything else."""
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
