"""Enforcement of a schema on data: pandas, Arrow, NumPy and Python values, by one casting table."""
