"""What a run has scored, beside its output, until it is published: so a run that died is taken up again."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from sparksig.errors import OutputRefusedError
from sparksig.jobs.config import OutputSection, ScoreConfig
from sparksig.jobs.files import read_whole, write_whole
from sparksig.spark.hadoop import Place

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = [
    "MARKER",
    "Scored",
    "Staging",
    "fingerprint",
    "json_object",
    "names_of",
    "read_json",
    "staging_name",
]

MARKER = "_sparksig_run.json"
"""The file in a directory of Parquet files that names the run which wrote them."""

_SCORED, _PUBLISHING = "scored.json", "publishing.json"


@dataclass(frozen=True)
class Scored:
    """What a run has scored, all of it.

    Attributes:
        run_id: of the run.
        data: the name of the directory in the staging that has the rows.
        made_of: what they were made of, see :func:`fingerprint`.
        input: the identity of the table that was read.
        rows_in: rows read.
        scored: rows with a prediction.
        rejected: rows without one.
        findings: why, as JSON-ready built-ins.
        model_loads: how often workers loaded the model.
        model_load_seconds: how long that took.
    """

    run_id: str
    data: str
    made_of: Mapping[str, str]
    input: Mapping[str, Any]
    rows_in: int
    scored: int
    rejected: int
    findings: list[dict[str, Any]] = field(default_factory=list)
    model_loads: int = 0
    model_load_seconds: float = 0.0

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self))


def fingerprint(config: ScoreConfig, digest: str, identity: Mapping[str, Any]) -> dict[str, str]:
    """What the result of a run depends on: the model, the configuration, the input."""
    from sparksig import __version__

    told = config.model_dump(mode="json", exclude={"run_id", "report", "spark"})
    told["spark"] = {key: value for key, value in config.spark.items() if key.startswith("spark.sql.")}
    told["sparksig"] = __version__
    return {"model": digest, "config": _hash(told), "input": _hash(dict(identity))}


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Staging:
    """A hidden directory beside the output, which belongs to one run."""

    place: Place
    run_id: str

    @classmethod
    def of(cls, spark: SparkSession, output: OutputSection, run_id: str) -> Staging:
        """The staging of a run: beside the output's path, or in the place of its table's database."""
        if output.path is not None:
            path = Place.of(spark, output.path)
            return cls(path.parent / staging_name(path.name, run_id), run_id)
        names = names_of(spark, str(output.table))
        database = ".".join(f"`{name}`" for name in names[:-1])
        home = Place.of(spark, spark.catalog.getDatabase(database).locationUri)
        name = re.sub(r"[^A-Za-z0-9_-]", "_", names[-1])
        return cls(home / staging_name(name, run_id), run_id)

    def begin(self) -> str:
        """Remove what an earlier attempt has left, and name the directory of this one's rows.

        Two attempts at once never write into one directory.

        Raises:
            OutputRefusedError: what is there was not made by the run, or the directory cannot be made.
        """
        self.remove()
        self.place.make()
        return f"data-{secrets.token_hex(4)}"

    def found(self) -> Scored | None:
        """What an earlier attempt has scored, if it came to the end of it."""
        body = read_json((self.place / _SCORED).uri, {})
        try:
            return None if body is None or body.get("run_id") != self.run_id else Scored(**body)
        except TypeError:  # of another version
            return None

    def finish(self, scored: Scored) -> None:
        """Note that all is scored."""
        write_whole((self.place / _SCORED).uri, scored.to_json().encode(), {})

    def moved(self) -> list[str] | None:
        """The names of the files that are being published; None where publishing has not begun."""
        body = read_json((self.place / _PUBLISHING).uri, {})
        return None if body is None else list(body["files"])

    def publishing(self, files: Iterable[str] = ()) -> None:
        """Note that publishing has begun: from now on the run can only be brought to its end."""
        write_whole((self.place / _PUBLISHING).uri, json.dumps({"files": list(files)}).encode(), {})

    def remove(self) -> None:
        """Remove it.

        Raises:
            OutputRefusedError: there is something in it that the run has not made.
        """
        directories = r"(data|final)-[0-9a-f]{8}"
        ours = re.compile(
            rf"{directories}|\.{directories}\.sparksig-write-[0-9a-f]+|\.?({_SCORED}|{_PUBLISHING})(\..*)?"
        )
        strangers = [name for name in self.place.names() if not ours.fullmatch(name)]
        if strangers:
            raise OutputRefusedError(
                f"{self.place.uri} is not as the run {self.run_id} leaves it: {strangers[0]!r}"
            )
        self.place.delete()


def names_of(spark: SparkSession, table: str) -> list[str]:
    """The parts of a table's name, its database included."""
    session: Any = spark
    parts = session._jsparkSession.sessionState().sqlParser().parseMultipartIdentifier(table)
    names = [str(parts.apply(index)) for index in range(parts.length())]
    return names if len(names) > 1 else [spark.catalog.currentDatabase(), *names]


def staging_name(name: str, run_id: str) -> str:
    """What the staging of a run is called, beside an output of that name."""
    return f".{name}.sparksig-{run_id}"


def read_json(path: str, conf: Mapping[str, str]) -> dict[str, Any] | None:
    """An object in a file of JSON; None where there is no file, or one whose writer died."""
    content = read_whole(path, conf)
    return None if content is None else json_object(content)


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """An object of JSON; None if it is none."""
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
