"""Enforcement of a schema on Arrow data, and its conversion to the frames that models receive."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pandas as pd
import pyarrow as pa

from sparksig.engine import plan as plans
from sparksig.engine.absent import Absent
from sparksig.engine.blocks import Layout, to_pandas
from sparksig.engine.findings import FIRST_ROWS
from sparksig.engine.sources import split_batches
from sparksig.engine.text_dtypes import OBJECTS, TextDtypes
from sparksig.errors import ContractError, Finding
from sparksig.schema import Schema


@dataclass(frozen=True)
class Options:
    """The options of enforcement."""

    strict_nulls: bool = False  # refuse nulls in required columns and properties of every type
    extra: str = "ignore"  # "ignore" or "forbid" undeclared columns and properties
    show_values: bool = False  # findings may show values
    share: bool = False  # the result may share memory with the data; a model's frame never does
    texts: TextDtypes = OBJECTS
    absent: Absent = "omit"  # the treatment of optional columns that the data lacks

    def compile(self, schema: Schema, arrow_schema: pa.Schema) -> plans.Plan:
        """Compile a schema against an Arrow schema with these options."""
        return plans.compile(schema, arrow_schema, self.strict_nulls, self.extra, self.absent)


def enforce_batches(
    data: pa.Table | pa.RecordBatch, schema: Schema, options: Options
) -> list[pa.RecordBatch]:
    """Apply one plan to each batch of a table, and merge equal findings of several batches."""
    plan = options.compile(schema, data.schema)
    merged: dict[Finding, Finding] = {}
    enforced, first_row = [], 0
    for batch in split_batches(data):
        try:
            enforced.append(plan.apply(batch, show_values=options.show_values, first_row=first_row))
        except ContractError as error:
            for finding in error.findings:
                key = replace(finding, count=None, rows=())
                before = merged.get(key, replace(key, count=0))
                rows = (*before.rows, *finding.rows)[:FIRST_ROWS]
                count = None if finding.count is None else (before.count or 0) + finding.count
                merged[key] = replace(key, count=count, rows=rows)
        first_row += batch.num_rows
    if merged:
        noun = "batch" if isinstance(data, pa.RecordBatch) else "table"
        raise ContractError.of(f"a {noun} of {first_row} rows breaks the contract", merged.values())
    return enforced


def build_frame(data: pa.Table | pa.RecordBatch, schema: Schema, options: Options) -> pd.DataFrame:
    """Enforce a schema on Arrow data, and convert the result to the frame that a model receives."""
    plan = options.compile(schema, data.schema)
    layout = build_layout(plan, options.texts)
    if isinstance(data, pa.RecordBatch):  # the fast path for the many batches of Spark
        frame = to_pandas(plan.apply(data, show_values=options.show_values), layout)
    else:
        batches = enforce_batches(data, schema, options)
        if len(batches) > 1:  # several batches remain if 32-bit offsets cannot address all texts
            batches = pa.Table.from_batches(batches).combine_chunks().to_batches() or batches[:1]
        frames = [to_pandas(batch, layout) for batch in batches]
        frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    if not schema.has_input_names():
        frame.columns = choose_labels(data.schema.names)
    return frame


@lru_cache(maxsize=256)
def build_layout(plan: plans.Plan, texts: TextDtypes) -> Layout:
    """Build the layout of a plan's frames, once for each plan."""
    return Layout.from_specs(plan.specs, texts)


def choose_labels(labels: Any) -> pd.Index:
    """Return the labels of unnamed columns in the model's frame: those of the data, or 0 to n-1."""
    label_list = list(labels)
    numbers = list(range(len(label_list)))
    if label_list in (numbers, [str(number) for number in numbers]):
        return pd.RangeIndex(len(label_list))
    return labels.copy() if isinstance(labels, pd.Index) else pd.Index(label_list)
