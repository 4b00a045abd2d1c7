"""The rows of a Parquet table that are looked at: all of them, or a sample that its footers choose."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sparksig.parquet.files import File, Table
from sparksig.sampling import Choice, heads_claim, uniform_claim

__all__ = ["Part", "Rows", "rows_of"]


@dataclass(frozen=True)
class Part:
    """Some rows of a file.

    Attributes:
        file: which has them.
        first_row: the place of the first of them; None where they do not follow each other.
        batch: the rows.
    """

    file: File
    first_row: int | None
    batch: pa.RecordBatch


@dataclass(frozen=True)
class Rows:
    """The rows that are looked at.

    Attributes:
        parts: they.
        whole: how many row groups with rows the table has.
        opened: how many of them are looked into.
        method: how they were chosen; "all" if they were not.
    """

    parts: Iterator[Part]
    whole: int = 0
    opened: int = 0
    method: str = "all"

    def claim(self, rows: int, bad: int) -> str:
        """What they say of the whole table; nothing if they are the table."""
        if self.method == "all":
            return ""
        if self.method == "uniform":
            return uniform_claim(rows, bad)
        return heads_claim(rows, self.opened, self.whole, "row groups")


def rows_of(table: Table, columns: Sequence[str], choice: Choice | None) -> Rows:
    """Some columns of the rows that are chosen; of all rows, if nobody chooses."""
    if choice is None:
        return Rows(_all(table, columns))
    groups = [(file, index) for file in table.files for index, rows in enumerate(file.groups) if rows]
    if choice.method == "uniform":
        return Rows(_uniform(table, columns, groups, choice), len(groups), len(groups), "uniform")
    chosen = choice.chosen(len(groups))
    heads = _heads(table, columns, [groups[index] for index in chosen], choice.each(chosen))
    return Rows(heads, len(groups), len(chosen), "partitions")


def _all(table: Table, columns: Sequence[str]) -> Iterator[Part]:
    for file in table.files:
        first = 0
        for batch in table.batches(file, columns):
            yield Part(file, first, batch)
            first += batch.num_rows


Groups = Sequence[tuple[File, int]]


def _heads(table: Table, columns: Sequence[str], groups: Groups, each: int) -> Iterator[Part]:
    """The first rows of row groups."""
    for file, index in groups:
        left, first = each, sum(file.groups[:index])
        for batch in table.batches(file, columns, [index]):
            part = batch.slice(0, left)
            yield Part(file, first, part)
            left, first = left - part.num_rows, first + part.num_rows
            if not left:
                break


def _uniform(table: Table, columns: Sequence[str], groups: Groups, choice: Choice) -> Iterator[Part]:
    """Rows, each as likely as any other: their places are known before any is read."""
    count = min(choice.rows, table.rows)
    choose = random.Random(choice.seed)  # noqa: S311  a sample is no secret
    places = np.array(sorted(choose.sample(range(table.rows), count)), dtype=np.int64)
    start = 0
    for file, index in groups:
        end = start + file.groups[index]
        inside = places[np.searchsorted(places, start) : np.searchsorted(places, end)] - start
        start = end
        seen = 0
        for batch in table.batches(file, columns, [index]) if len(inside) else ():
            here = inside[(inside >= seen) & (inside < seen + batch.num_rows)] - seen
            seen += batch.num_rows
            if len(here):
                yield Part(file, None, batch.take(pa.array(here)))
