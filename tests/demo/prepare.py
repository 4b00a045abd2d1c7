"""What `make demo` scores: scikit-learn's breast cancer data, as a model directory and a Parquet table.

Real measurements (569 patients, 30 features, column names with spaces), the table repeated to 500,720
rows in 8 files, with a row id.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier

import sparksig

REPEATS, FILES = 880, 8


def main(home: Path) -> None:
    """Make ``home/model`` and ``home/table`` anew; what an earlier run scored is removed."""
    shutil.rmtree(home, ignore_errors=True)
    data = load_breast_cancer(as_frame=True)
    model = GradientBoostingClassifier(random_state=0).fit(data.data, data.target)
    signature = sparksig.infer_signature(data.data, model.predict(data.data))
    sparksig.save_model(home / "model", model, signature)
    (home / "table").mkdir(parents=True)
    frame = pd.concat([data.data] * (REPEATS // FILES), ignore_index=True)
    for part in range(FILES):
        frame.insert(0, "id", np.arange(len(frame)) + part * len(frame))
        frame.to_parquet(home / "table" / f"part-{part}.parquet", index=False)
        del frame["id"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
