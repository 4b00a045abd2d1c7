"""Check a table against a contract: spark-submit jobs/check.py --config conf/check.yaml."""

from __future__ import annotations

import sys

from sparksig.jobs import run

if __name__ == "__main__":
    sys.exit(run("check"))
