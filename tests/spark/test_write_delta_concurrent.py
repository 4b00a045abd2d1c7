"""Writers of one Delta table at the same time: all land, or one is refused with the reason."""

from __future__ import annotations

import threading

import pytest
from pyspark.sql import functions as F

import sparksig
from sparksig import OutputRefusedError
from sparksig.jobs import exit_code

pytestmark = [pytest.mark.spark, pytest.mark.xdist_group("spark")]


def wait(batches):
    """Delay the rows until both writers have read the version of the table."""
    import time

    time.sleep(1)
    yield from batches


CASES = {
    "two creators": (False, {"mode": "error"}, {"mode": "error"}),
    "overwrite and append": (True, {"mode": "overwrite"}, {"mode": "append"}),
    "two appends": (True, {"mode": "append"}, {"mode": "append"}),
    "evolution and append": (True, {"mode": "append", "evolve": True}, {"mode": "append"}),
}


@pytest.mark.parametrize(("exists", "first", "second"), CASES.values(), ids=CASES)
def test_both_land_or_one_is_refused(delta, tmp_path, exists, first, second):
    spark, path, results = delta, str(tmp_path / "t"), {}
    if exists:
        sparksig.write(spark.range(100, 102), path, format="delta")

    def write(start, options):
        rows = spark.range(start, start + 4, 1, 2).mapInArrow(wait, "id bigint")
        if options.get("evolve"):
            rows = rows.withColumn("x", F.lit(1))
        try:
            results[start] = sparksig.write(rows, path, format="delta", **options).rows
        except Exception as error:
            results[start] = error

    writers = [threading.Thread(target=write, args=writer) for writer in ((0, first), (10, second))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    landed = [start for start, result in results.items() if result == 4]
    assert landed
    for error in (result for result in results.values() if result != 4):
        assert isinstance(error, OutputRefusedError), error
        assert exit_code(error) == 6
        assert "another writer created or changed the table at the same time (" in error.message
        assert error.message.endswith("nothing was written. Start again")
    rows = sorted(row.id for row in spark.read.format("delta").load(path).collect())
    expected = {row for start in landed for row in range(start, start + 4)}
    assert expected <= set(rows) <= expected | {100, 101}
    assert len(rows) == len(set(rows))
