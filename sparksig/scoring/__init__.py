"""Score Arrow batches with a model, without Spark: a cache of models, and batches in which rows may fail."""

from __future__ import annotations

from sparksig.scoring.batches import BATCH_BYTES, regroup_batches, score_batches
from sparksig.scoring.cache import CACHE, CacheInfo, ModelCache, load_cached
from sparksig.scoring.failures import FINDINGS, score_leniently
from sparksig.scoring.results import finish_predictions, score_and_finish, select_column

__all__ = [
    "BATCH_BYTES",
    "CACHE",
    "FINDINGS",
    "CacheInfo",
    "ModelCache",
    "finish_predictions",
    "load_cached",
    "regroup_batches",
    "score_and_finish",
    "score_batches",
    "score_leniently",
    "select_column",
]
