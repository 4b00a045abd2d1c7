"""The score job: a table scored with a model, the predictions written, or nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.fs

from sparksig.errors import Code, ConfigError, Finding, OutputRefusedError, nearest, step
from sparksig.jobs.config import ScoreConfig
from sparksig.jobs.record import Run, RunReport, recorded
from sparksig.jobs.tables import check_footers, file_system, read
from sparksig.params import ParamSchema, enforce_params

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["score"]


def score(config: ScoreConfig) -> RunReport:
    """Score a Parquet table with a model and write the predictions as Parquet.

    Everything that can be known beforehand is checked before the first Spark task: the model (found,
    whole, trusted), the table's schema against it, the output's place. If the job fails, nothing is left
    at the output's place.

    Raises:
        SparksigError: as :data:`EXIT_CODES` lists.
    """
    return recorded("score", config, _score)


def _score(config: ScoreConfig, run: Run) -> None:
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    from sparksig.spark.contract import column
    from sparksig.spark.frame import score as score_frame
    from sparksig.spark.session import build_session
    from sparksig.spark.udf import check_model, spark_udf

    trust = config.model.model_dump(include={"digest", "allow_pickle", "trusted_types"})
    _, _, (inputs, _, declared) = check_model(config.model.path, **trust)
    _check_params(config, declared)
    check_footers(config, inputs)
    _refuse_existing(config)
    spark = build_session("sparksig score", config.spark)
    udf = spark_udf(spark, config.model.path, params=config.params, **trust)
    table = read(spark, config.input.place)
    score_frame(table, udf, config.output.column, config.output.keep)  # all findings, on the whole schema
    needed = dict.fromkeys([*config.output.keep, *(str(spec.name) for spec in udf.inputs)])
    seen, written = Observation("read"), Observation("written")
    rows = table.select([column(name) for name in needed if name in table.columns])
    rows = rows.observe(seen, F.count(F.lit(1)).alias("rows"))
    scored = score_frame(rows, udf, config.output.column, config.output.keep)
    _write(scored.observe(written, F.count(F.lit(1)).alias("rows")), config)
    rows_in, rows_out = int(seen.get["rows"]), int(written.get["rows"])
    run.tell(rows_in=rows_in, scored=rows_out, rejected=rows_in - rows_out)
    run.tell(model_digest=udf.digest, output=config.output.place)


def _check_params(config: ScoreConfig, declared: ParamSchema | None) -> None:
    known = [spec.name for spec in declared or ()]
    findings = [
        Finding(
            Code.UNKNOWN_KEY, f"params.{step(name)}", "a param of the model", "another", nearest(name, known)
        )
        for name in config.params
        if name not in known
    ]
    if findings:
        raise ConfigError.of("the configuration is wrong", findings)
    enforce_params(config.params, declared)


def _refuse_existing(config: ScoreConfig) -> None:
    """See that nothing is at the output's place; an empty directory (a failed job leaves one) is removed."""
    path = config.output.place
    if f"{path.rstrip('/')}/".startswith(f"{config.input.place.rstrip('/')}/"):
        raise OutputRefusedError(f"the output's place {path!r} is the input, or in it; nothing was written")
    files, place = file_system(path, config.spark)
    if files is None:
        return  # Spark refuses an existing path itself
    above = place.rpartition("/")[0]
    if above and files.get_file_info(above).type == pyarrow.fs.FileType.File:
        raise OutputRefusedError(f"the output's place {path!r} is below a file; nothing was written")
    info = files.get_file_info(place)
    if info.type == pyarrow.fs.FileType.NotFound:
        return
    if info.type == pyarrow.fs.FileType.Directory and not files.get_file_info(pyarrow.fs.FileSelector(place)):
        files.delete_dir(place)
        return
    raise OutputRefusedError(f"something is at the output's place already: {path!r}; nothing was written")


def _write(scored: DataFrame, config: ScoreConfig) -> None:
    try:
        scored.write.mode("errorifexists").parquet(config.output.place)
    except Exception:
        files, place = file_system(config.output.place, config.spark)
        if files is None:
            raise
        left = files.get_file_info(pyarrow.fs.FileSelector(place, allow_not_found=True))
        if not left and files.get_file_info(place).type == pyarrow.fs.FileType.Directory:
            files.delete_dir(place)  # Spark takes back its files, but leaves their directory
        raise
