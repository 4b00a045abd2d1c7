"""Spark Connect, in an application of its own: a process has either a classic or a Connect session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

APPLICATION = """
import warnings
import sparksig
from pyspark.sql import SparkSession

warnings.simplefilter("ignore", sparksig.IntegerColumnWarning)
spark = SparkSession.builder.remote("local[1]").config("spark.ui.enabled", "false").getOrCreate()
assert type(spark).__module__.startswith("pyspark.sql.connect"), type(spark)
# whoever runs this, and not only asks for its schema, fails
df = spark.sql("select cast(raise_error('it ran') as int) as i, map('k', 1L) as m, "
               "named_struct('x', date'2020-01-01', 'y', array(1.5D)) as `a b`")
print("inferred", sparksig.infer_signature(df).inputs.to_json())
spark.stop()
"""


def test_inference_takes_the_schema_alone(tmp_path):
    pytest.importorskip("grpc")
    (tmp_path / "application.py").write_text(APPLICATION)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
    }
    environment |= {"PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    environment |= {name: value for name, value in os.environ.items() if name == "JAVA_HOME"}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "application.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    [line] = [line for line in done.stdout.splitlines() if line.startswith("inferred")]
    assert line.removeprefix("inferred ") == (
        '[{"type": "integer", "name": "i", "required": true}, '
        '{"type": "map", "values": {"type": "long"}, "name": "m", "required": true}, '
        '{"type": "object", "properties": {"x": {"type": "datetime", "required": true}, '
        '"y": {"type": "array", "items": {"type": "double"}, "required": true}}, '
        '"name": "a b", "required": true}]'
    )
