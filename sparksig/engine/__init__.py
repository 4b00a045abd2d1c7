"""The engine: data enforced against a schema, by the casting table, in Arrow kernels."""
