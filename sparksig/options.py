"""The values of options that several public functions share."""

from __future__ import annotations

from typing import Literal

CheckMode = Literal["schema", "sample", "full"]
"""The rows that a check reads: none, some, or all."""

SaveMode = Literal["error", "append", "overwrite"]
"""The treatment of an existing table by a write."""

Side = Literal["inputs", "outputs"]
"""A side of a signature."""

TypeRule = Literal["exact", "lossless"]
"""The types that fit a table's contract: the declared types, or every type that widens to them."""

Missing = Literal["forbid", "allow"]
"""The treatment of optional columns that a table lacks."""

Extra = Literal["forbid", "allow", "warn"]
"""The treatment of columns that a contract does not declare."""

TableFormat = Literal["parquet", "delta"]
"""The format of a table that is written."""

SampleMethod = Literal["partitions", "uniform"]
"""The choice of sampled rows."""

OnError = Literal["fail", "null"]
"""The treatment of rows that cannot be scored."""

OnVersionMismatch = Literal["warn", "fail", "ignore"]
"""The reaction to other package versions than those that a model was saved with."""

Shipping = Literal["auto", "files", "path", "inline"]
"""The way in which a model reaches Spark's workers."""
