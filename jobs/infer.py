"""Infer the signature of a table: spark-submit jobs/infer.py --config conf/infer.yaml."""

from __future__ import annotations

import sys

from sparksig.jobs import run

if __name__ == "__main__":
    sys.exit(run("infer"))
