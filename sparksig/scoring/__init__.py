"""Score Arrow batches with a model, without Spark: a cache of models, and batches in which rows may fail."""
