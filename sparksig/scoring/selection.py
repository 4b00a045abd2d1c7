"""The rows of a split that go to one table: some rows and columns, in partitions. No Spark."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparksig.errors import Code, ContractError, Finding, quote
from sparksig.tables.partitions import NULL_PARTITION, judge_partition_text, report_partition_type


@dataclass(frozen=True)
class Selection:
    """The rows and columns of a split that go to one table.

    Attributes:
        folder: the directory of the table in the target of the split; empty for the target itself.
        columns: the names of the columns in the split, by their names in the table; None for all.
        findings: the column with the reasons why a row was rejected; None to select all rows.
        is_rejected: select the rejected rows instead of the others.
        partition_by: the columns by which the table is partitioned into directories.
        existing: the types with which the directories of an existing table are read, by column.
    """

    folder: str = ""
    columns: Mapping[str, str] | None = None
    findings: str | None = None
    is_rejected: bool = False
    partition_by: tuple[str, ...] = ()
    existing: Mapping[str, pa.DataType] = field(default_factory=dict)

    def select(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the selected rows and columns, with their names in the table."""
        if self.findings is not None:
            is_valid = batch.column(batch.schema.get_field_index(self.findings)).is_valid()
            batch = batch.filter(is_valid if self.is_rejected else pc.invert(is_valid))
        if self.columns is None:
            return batch
        arrays = [batch.column(batch.schema.get_field_index(name)) for name in self.columns.values()]
        return pa.RecordBatch.from_arrays(arrays, schema=self.describe(batch.schema))

    def describe(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema of the selected columns, without metadata."""
        columns = self.columns or {name: name for name in schema.names}
        return pa.schema([schema.field(name).with_name(new) for new, name in columns.items()])

    def divide(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Yield selected rows by directory, such as ``year=2026/day=1``, without the partition columns.

        Raises:
            ContractError: the names of directories would change texts.
        """
        if not batch.num_rows:
            return
        if not self.partition_by:
            yield self.folder, batch
            return
        folders = _name_folders(batch, self.partition_by, self.existing)
        codes = np.asarray(folders.indices)
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(folders.dictionary)))
        stored = batch.select([name for name in batch.schema.names if name not in self.partition_by])
        start = 0
        for folder, end in zip(folders.dictionary.to_pylist(), ends.tolist()):
            if end > start:  # a copy: a slice would keep the other rows in memory
                yield f"{self.folder}/{folder}".lstrip("/"), stored.take(pa.array(order[start:end]))
            start = end


# --- directories of partitions ----------------------------------------------------------------------------


def find_unsafe_partitions(schema: pa.Schema, by: Sequence[str]) -> list[Finding]:
    """Report columns whose values the names of directories would change."""
    findings = []
    for name in by:
        dtype = schema.field(name).type
        if name.startswith("."):
            expected, hint = "a name that does not begin with '.'", "readers skip such directories: rename it"
            findings.append(Finding(Code.INVALID_NAME, quote(name), expected, "one", hint))
        if pa.types.is_float64(dtype) or (pa.types.is_decimal(dtype) and dtype.scale == 0):
            hint = "choose another column, or engine: spark"
            expected = "whole numbers, dates or texts, in a column to partition by"
            findings.append(Finding(Code.TYPE_MISMATCH, quote(name), expected, str(dtype), hint))
        elif not (pa.types.is_integer(dtype) or dtype in (pa.string(), pa.date32())):
            findings.append(report_partition_type(quote(name), str(dtype)))
    return findings


_ESCAPED = re.compile(r"""[\x01-\x1f\x7f"#%'*/:=?\\{\[\]^]""")


def _name_folders(
    batch: pa.RecordBatch, by: Sequence[str], existing: Mapping[str, pa.DataType]
) -> pa.DictionaryArray:
    """Return the directory of each row, such as ``year=2026/day=1``."""
    parts, findings = [], list[Finding]()
    for name in by:
        values = batch.column(batch.schema.get_field_index(name)).dictionary_encode()
        if pa.types.is_string(values.dictionary.type):
            findings += _judge_texts(name, values, existing.get(name))
        texts = values.dictionary.cast(pa.string()).to_pylist()
        folders = [f"{_escape(name)}={_escape(text)}" for text in texts]
        findings += _judge_lengths(name, folders)
        nothing = f"{_escape(name)}={NULL_PARTITION}"
        parts.append(pa.array(folders, pa.string()).take(values.indices).fill_null(nothing))
    if findings:
        raise ContractError.of("the rows cannot be partitioned", findings)
    joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "/")
    return joined.dictionary_encode()


def _judge_texts(name: str, values: pa.DictionaryArray, existing: pa.DataType | None) -> list[Finding]:
    """Report the texts that the names of directories would change, with counts."""
    refused: Counter[Finding] = Counter()
    for entry in values.indices.drop_null().value_counts().to_pylist():
        finding = judge_partition_text(name, values.dictionary[entry["values"]].as_py(), existing)
        if finding is not None:
            refused[finding] += entry["counts"]
    return [replace(finding, count=count) for finding, count in refused.items()]


_MOST_BYTES = 255
"""The longest name of a directory on most file systems."""


def _judge_lengths(name: str, folders: Sequence[str]) -> list[Finding]:
    """Report that values are too long for the names of directories."""
    longest = max((len(folder.encode()) for folder in folders), default=0)
    if longest <= _MOST_BYTES:
        return []
    expected = f"values that make names of directories of at most {_MOST_BYTES} bytes"
    return [Finding(Code.INVALID_VALUE, quote(name), expected, f"one of {longest:,} bytes")]


def _escape(text: str) -> str:
    """Escape the characters that have a meaning for file systems and readers of partitions."""
    return _ESCAPED.sub(lambda match: f"%{ord(match[0]):02X}", text)
