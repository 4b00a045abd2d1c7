"""Contracts that are Parquet tables."""
