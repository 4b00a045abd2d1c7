"""Scoring on Spark: sessions, column functions, and the shipping of models to workers."""
