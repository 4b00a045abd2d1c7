"""Spark: what is checked and cast in the JVM, what travels to Python, and how a model gets there."""
