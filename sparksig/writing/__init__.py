"""Checked writes of Spark tables: the plan, Parquet, Delta, and the constraints on values."""
