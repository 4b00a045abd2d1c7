"""Score a table with a model: spark-submit jobs/score.py --config conf/score.yaml."""

from __future__ import annotations

import sys

from sparksig.jobs import run

if __name__ == "__main__":
    sys.exit(run("score"))
