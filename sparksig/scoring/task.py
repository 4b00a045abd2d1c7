"""The scoring of splits in a process, with one copy of the model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sparksig.models.flavors.interface import LoadOptions
from sparksig.scoring.cache import CACHE, load_cached
from sparksig.scoring.part import Target
from sparksig.scoring.scan import ScanPlan, Split
from sparksig.scoring.split import SplitResult, score_split


@dataclass(frozen=True)
class SplitTask:
    """The part of a run that is the same for each of its splits.

    Attributes:
        digest: the digest of the model directory.
        locate: returns the path of the directory in the process that scores.
        loading: how to load it.
        plan: the columns to read, the model's schemas, the columns to write.
        target: the directory of the files.
    """

    digest: str
    locate: Callable[[], Path]
    loading: LoadOptions
    plan: ScanPlan
    target: Target

    verb = "scored"

    def run(self, split: Split) -> SplitResult:
        """Score a split with the one copy of the model in this process."""
        before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # in the model's directory
        try:
            earlier = CACHE.info()
            model = load_cached(self.digest, self.locate, self.loading)
            current = CACHE.info()
            result = score_split(split, model, self.plan, self.target)
            seconds = {"load": current.seconds - earlier.seconds, **result.seconds}
            return replace(result, loads=current.loads - earlier.loads, seconds=seconds)
        finally:
            sys.dont_write_bytecode = before
