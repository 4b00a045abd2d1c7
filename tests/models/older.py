"""A model that was trained with scikit-learn 1.5 and NumPy 1.26, with its environment and an archive of it.

The environment and its archive are built once for each checkout, in ``build/cache``.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparksig.models import archives, virtualenvs
from sparksig.models.directory import ModelDirectory
from sparksig.models.environments import open_archive
from sparksig.models.node_cache import CACHE_VARIABLE
from sparksig.models.requirements import Requirements

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "build" / "cache"
VERSIONS = "scikit-learn 1.5.0, NumPy 1.26.0"
LINES = ("scikit-learn==1.5.0", "skops==0.12.0", "numpy==1.26.0", "scipy==1.13.1", "pandas==2.2.0")

_TRAIN = """
import os, sys, numpy as np, pandas as pd, sklearn
from sklearn.ensemble import RandomForestRegressor
import sparksig

class Reporting(sparksig.PythonModel):
    "A forest that reports its versions, its process and the process that started it."

    def __init__(self, forest):
        self.forest = forest

    def predict(self, model_input):
        versions = f"scikit-learn {sklearn.__version__}, NumPy {np.__version__}"
        facts = {"versions": versions, "process": os.getpid(), "parent": os.getppid()}
        return pd.DataFrame({"y": self.forest.predict(model_input), **facts})

folder, *requirements = sys.argv[1:]
rng = np.random.default_rng(3)
frame = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
forest = RandomForestRegressor(20, random_state=1).fit(frame, np.sin(frame["a"]) + frame["b"] ** 2)
for name, model in {"forest": forest, "reporting": Reporting(forest)}.items():
    path = os.path.join(folder, name)
    sparksig.save_model(path, model, input_example=frame.head(3), pip_requirements=requirements)
frame.to_parquet(os.path.join(folder, "rows.parquet"))
np.save(os.path.join(folder, "expected.npy"), forest.predict(frame))
"""


@dataclass(frozen=True)
class OlderModels:
    """Models and their data in a folder.

    Attributes:
        folder: the models ``forest`` and ``reporting``, which reports where it runs, ``rows.parquet``, and
            ``expected.npy``, the predictions of the environment that trained the models.
        python: the interpreter of that environment.
    """

    folder: Path
    python: Path

    @property
    def environment(self) -> Path:
        """The directory of the environment."""
        return self.python.parents[1]


def train_older_models(folder: Path) -> OlderModels:
    """Train the models in their own environment; build it if this checkout does not have it yet."""
    version = ".".join(platform.python_version_tuple()[:2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(CACHE))
        python = virtualenvs.build_environment(Requirements(LINES, version)) / "bin" / "python"
    variables = {"PYTHONPATH": str(ROOT), "PATH": os.defpath}
    subprocess.run([python, "-c", _TRAIN, str(folder), *LINES], check=True, env=variables)
    return OlderModels(folder, python)


def build_older_archive(models: OlderModels) -> tuple[Path, Path]:
    """Return the archive of the environment, and the directory that it is unpacked in; build both once."""
    code = Path(archives.__file__).read_bytes() + models.environment.name.encode()
    archive = CACHE / f"{hashlib.sha256(code).hexdigest()[:32]}.tar.gz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(CACHE))
        if not archive.exists():
            archives.build_archive(ModelDirectory.read(models.folder / "forest"), archive)
        return archive, open_archive(archive).locate().parents[1]
