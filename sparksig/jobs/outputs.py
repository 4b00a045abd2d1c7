"""Publishing what a run has scored: quarantine first, output last, every step one that can be repeated."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparksig.errors import OutputRefusedError, SparksigError
from sparksig.jobs.config import OutputSection, QuarantineSection, ScoreConfig
from sparksig.jobs.files import write_whole
from sparksig.jobs.rows import output_rows, quarantined_rows
from sparksig.jobs.staging import MARKER, Scored, Staging, json_object, read_json
from sparksig.spark.hadoop import Place
from sparksig.tables.delta import read_delta
from sparksig.writing import delta
from sparksig.writing.staged import RUN_COLUMN
from sparksig.writing.write import WritePlan, plan_write, write

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Publication", "plan_output", "plan_quarantine", "published", "refuse_quarantined"]

# --- before anything is scored ------------------------------------------------------------------------------


def plan_output(rows: DataFrame, config: ScoreConfig, run_id: str) -> WritePlan:
    """The dry run of the output's write."""
    section = config.output
    return plan_write(
        rows,
        _target(rows.sparkSession, section),
        format=section.format,
        mode=section.mode,
        run_id=_run_of(section, run_id),
        partition_by=section.partition_by,
        evolve=section.evolve,
        types="lossless",
    )


def plan_quarantine(rows: DataFrame, config: ScoreConfig, run_id: str) -> WritePlan:
    """Return what the quarantine's write would do; there is one."""
    section = config.quarantine
    assert section is not None
    target = _target(rows.sparkSession, section)
    return plan_write(rows, target, format=section.format, mode="append", run_id=run_id, types="lossless")


def published(spark: SparkSession, config: ScoreConfig, run_id: str) -> Mapping[str, Any] | None:
    """What is known of a run that the output has already; None if it has not."""
    section = config.output
    if section.format == "delta":
        target = _target(spark, section)
        there = read_delta(spark, target) is not None
        if not there or not delta.committed(spark, target, run_id):
            return None
        return json_object(delta.noted(spark, target, run_id)) or {}
    marker = read_json((_marked_place(spark, section, run_id) / MARKER).uri, {})
    return marker if marker is not None and marker.get("run_id") == run_id else None


def refuse_quarantined(spark: SparkSession, config: ScoreConfig) -> None:
    """See that the quarantine has no rows of a run that begins: it would keep them, or lose them for the new.

    Raises:
        OutputRefusedError: it has some, of another job, or of a run whose output somebody has removed.
    """
    section, run_id = config.quarantine, config.run_id
    if section is None or run_id is None:
        return
    if section.format == "delta":
        target = _target(spark, section)
        taken = read_delta(spark, target) is not None and delta.committed(spark, target, run_id)
    else:
        taken = (Place.of(spark, section.place) / f"{RUN_COLUMN}={run_id}").is_there()
    if taken:
        raise OutputRefusedError(
            f"the quarantine {section.place!r} has rows of a run {run_id} already, which is not this one: "
            "choose another run id, or remove them; nothing was written"
        )


def _marked_place(spark: SparkSession, section: OutputSection, run_id: str) -> Place:
    place = Place.of(spark, section.place)
    return place / f"{RUN_COLUMN}={run_id}" if section.mode == "append" else place


def _run_of(section: OutputSection, run_id: str) -> str | None:
    """The run as the write is told of it: an overwritten or new directory of Parquet is of one run anyway."""
    return run_id if section.format == "delta" or section.mode == "append" else None


def _target(spark: SparkSession, section: OutputSection | QuarantineSection) -> str:
    if section.path is None or re.match(r"/|[A-Za-z][\w+.-]*:/", section.path):
        return section.place
    return Place.of(spark, section.path).uri


# --- publishing ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Publication:
    """A run's result on its way from the staging to where it is wanted.

    Attributes:
        config: of the job.
        staging: where the result is.
        scored: what it is.
    """

    config: ScoreConfig
    staging: Staging
    scored: Scored

    @property
    def _spark(self) -> SparkSession:
        return self.staging.place.spark

    def publish(self) -> dict[str, int]:
        """Publish it, and remove the staging; after a crash the same again ends it, without duplicates.

        Returns:
            The number of rows written, by place.

        Raises:
            OutputRefusedError: something came to the output's place meanwhile.
        """
        if self.staging.moved() is None:
            self.staging.publishing()
        written = {**self._publish_quarantine(), **self._publish_output()}
        self.staging.remove()
        return written

    def _staged(self) -> DataFrame:
        return self._spark.read.parquet((self.staging.place / self.scored.data).uri)

    def _publish_quarantine(self) -> dict[str, int]:
        section, rows = self.config.quarantine, self.scored.rejected
        if section is None or not rows:
            return {}
        run_id = self.staging.run_id
        bad = quarantined_rows(self._staged(), self.config, run_id)
        done = write(
            bad,
            _target(self._spark, section),
            format=section.format,
            mode="append",
            run_id=run_id,
            types="lossless",
        )
        _check_count(section.place, rows, rows if done.repeated else done.rows)
        return {section.place: rows}

    def _publish_output(self) -> dict[str, int]:
        section = self.config.output
        rows = self.scored.rows_in if self.config.quarantine is None else self.scored.scored
        if section.format == "parquet" and section.mode == "error":
            self._move(self._final(rows))
            return {section.place: rows}
        done = write(
            output_rows(self._staged(), self.config),
            _target(self._spark, section),
            format=section.format,
            mode=section.mode,
            run_id=_run_of(section, self.staging.run_id),
            partition_by=section.partition_by,
            evolve=section.evolve,
            note=self._told(),
            types="lossless",
        )
        _check_count(section.place, rows, rows if done.repeated else done.rows)
        if section.format == "parquet":
            self._mark(_marked_place(self._spark, section, self.staging.run_id))
        return {section.place: rows}

    def _final(self, rows: int) -> Place:
        """The directory that becomes the output as it is."""
        data = self.staging.place / self.scored.data
        if self.config.quarantine is not None or self.config.output.partition_by:
            final = self.staging.place / self.scored.data.replace("data", "final")
            if not self.staging.moved():
                done = write(
                    output_rows(self._staged(), self.config),
                    final.uri,
                    mode="overwrite",
                    partition_by=self.config.output.partition_by,
                )
                _check_count(self.config.output.place, rows, done.rows)
            data = final
        if not self.staging.moved():
            self._mark(data)
        return data

    def _mark(self, place: Place) -> None:
        write_whole((place / MARKER).uri, self._told().encode(), {})

    def _told(self) -> str:
        """What is to be known of the run when it is started again."""
        scored = self.scored
        told = {
            "run_id": scored.run_id,
            "rows_in": scored.rows_in,
            "scored": scored.scored,
            "rejected": scored.rejected,
            "model_digest": scored.made_of["model"],
            "config": scored.made_of["config"],
            "input": dict(scored.input),
        }
        return json.dumps(told)

    def _move(self, final: Place) -> None:
        """Give the directory its name, in one step; file by file where the file system has no such step."""
        target = Place.of(self._spark, self.config.output.place)
        if target.renames_at_once:
            if target.is_directory() and not target.names():
                target.delete()
            final.move_to(target)
            return
        files = self.staging.moved()
        if not files:
            files = sorted(final.files(), key=lambda name: (name.rpartition("/")[2].startswith("_"), name))
            self.staging.publishing(files)
        strangers = set(target.files() if target.is_there() else ()) - set(files)
        if strangers:
            raise OutputRefusedError(
                f"something is at the output's place {target.uri!r} that the run has not made"
            )
        for name in files:
            if (final / name).is_there():
                (final / name).move_file_to(target / name)
        missing = set(files) - set(target.files())
        if missing:
            raise SparksigError(f"{target.uri}: {len(missing)} files of the run are neither here nor there")


def _check_count(place: str, expected: int, found: int) -> None:
    if expected != found:
        raise SparksigError(f"{place}: {found:,} rows were written instead of {expected:,}")
