"""The limit for rejected rows: a run that exceeds its error budget ends early."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace

from sparksig.errors import BudgetExceededError, Finding
from sparksig.views import count_nouns

EXTRA_ROWS = 100
"""The number of rejected rows beyond the limit after which a run ends early.

A run that exceeds its limit by fewer rows is finished, so that its report has exact counts of all errors.
"""

_MOST_KINDS = 5
"""The number of kinds of findings in a message."""


@dataclass(frozen=True)
class RejectionLimit:
    """The number of rows that a run may reject. It is sent to all workers.

    Attributes:
        rows: the number of rows.
        run: identifies the run, because a process may work for several runs.
    """

    rows: int
    run: str = field(default_factory=lambda: uuid.uuid4().hex)


class RejectionCount:
    """The number of rejected rows of a run in this process.

    A process sees only a part of the rows. It ends the run only if this part already exceeds the limit.

    Args:
        limit: the number of rows that the entire run may reject.

    Example:
        >>> from sparksig.errors import Code
        >>> count = RejectionCount(1)
        >>> finding = Finding(Code.PREDICTION_FAILED, "", "a prediction", "ValueError: no rate")
        >>> count.add(101, finding)
        >>> count.add(1, finding)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        sparksig.errors.BudgetExceededError: at least 102 rows cannot be scored, and the budget is 1 row; ...
          - expected a prediction, got ValueError: no rate, 102 times [PREDICTION_FAILED]
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._total = 0
        self._kinds: dict[Finding, int] = {}
        self._attempts: dict[int, tuple[int, int]] = {}
        self._partition: int | None = None

    def start(self, partition: int, attempt: int) -> None:
        """Count the following rows for an attempt to score a partition; forget its earlier attempt."""
        self._partition = partition
        previous = self._attempts.get(partition)
        if previous is None or previous[0] != attempt:
            self._total -= 0 if previous is None else previous[1]
            self._attempts[partition] = (attempt, 0)

    def add(self, rows: int, finding: Finding) -> None:
        """Count rejected rows.

        Args:
            rows: the number of further rejected rows.
            finding: the finding of such a row.

        Raises:
            BudgetExceededError: the rejected rows exceed the limit by more than ``EXTRA_ROWS``.
        """
        self._total += rows
        kind = replace(finding, count=None, rows=())
        if kind in self._kinds or len(self._kinds) < _MOST_KINDS:
            self._kinds[kind] = self._kinds.get(kind, 0) + rows
        if self._partition is not None:
            attempt, before = self._attempts[self._partition]
            self._attempts[self._partition] = (attempt, before + rows)
        if self._total > self._limit + EXTRA_ROWS:
            total, limit = count_nouns(self._total, "row"), count_nouns(self._limit, "row")
            raise BudgetExceededError(
                f"at least {total} cannot be scored, and the budget is {limit}; nothing was written",
                [replace(kind, count=count) for kind, count in self._kinds.items()],
            )


_COUNTS: dict[tuple[str, int], RejectionCount] = {}
"""The count of the newest stage of a run in this process."""


def count_rejections(limit: RejectionLimit, stage: int, partition: int, attempt: int) -> RejectionCount:
    """Return the count of this process for a stage of a run, which every attempt of a task continues.

    Args:
        limit: the limit of the run.
        stage: identifies one pass over the rows of the run.
        partition: identifies the rows of the task.
        attempt: identifies the attempt to score them.
    """
    key = (limit.run, stage)
    if key not in _COUNTS:
        _COUNTS.clear()
        _COUNTS[key] = RejectionCount(limit.rows)
    _COUNTS[key].start(partition, attempt)
    return _COUNTS[key]
