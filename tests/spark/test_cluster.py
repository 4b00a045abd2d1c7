"""A model shipped to executors that are processes of their own, in an application of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.spark import models

ROOT = Path(__file__).parents[2]

APPLICATION = """
import shutil, sys
import sparksig
from pyspark.sql import functions as F
from sparksig.spark.session import build_session

model, log = sys.argv[1:]
spark = build_session("cluster")
udf = sparksig.spark_udf(model, allow_pickle=True)
shutil.rmtree(model)  # what the workers load is what was shipped
df = spark.range(0, 1000, 1, 8).select(F.col("id").cast("double").alias("x"))
total = df.select(udf().alias("y")).agg(F.sum("y")).collect()[0][0]
print("total", total, "loads", len(open(log).readlines()))
"""


def test_executors_load_what_the_driver_shipped_once_each(tmp_path):
    log = tmp_path / "loads"
    path = models.save_python(tmp_path / "m", models.Counting(str(log)), {"x": "double"}, {"y": "double"})
    (tmp_path / "application.py").write_text(APPLICATION)
    here = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{here}:{os.environ['PATH']}",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    command = ["spark-submit", "--master", "local-cluster[2,1,1024]", "--conf", "spark.ui.enabled=false",
               "--conf", f"spark.executorEnv.PYTHONPATH={ROOT}",
               str(tmp_path / "application.py"), path, str(log)]  # fmt: skip
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    [line] = [line for line in done.stdout.splitlines() if line.startswith("total")]
    _, total, _, loads = line.split()
    assert float(total) == 999 * 1000
    assert 1 <= int(loads) <= 2
