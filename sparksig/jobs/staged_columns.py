"""The columns of staged rows, the options to stage them, and the findings of rejected rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sparksig.errors import Code, ContractError, Finding, quote
from sparksig.jobs.config import ScoreConfig
from sparksig.scoring.limits import RejectionLimit
from sparksig.scoring.splits import ScanOptions

PREFIX = "sparksig "
"""The prefix of the columns that are staged with those of the table, for a quarantine."""

PREDICTION, REASONS, RECORD = f"{PREFIX}prediction", f"{PREFIX}findings", f"{PREFIX}record"


MOST_REASONS = 50
"""The largest number of reasons in a report."""


def select_table_columns(names: Iterable[str]) -> list[str]:
    """Return the columns of the table among the staged columns."""
    return [name for name in names if not name.startswith(PREFIX)]


def name_predictions(names: Iterable[str], config: ScoreConfig) -> dict[str, str]:
    """Return the staged columns of predictions by their names in the output."""
    return {
        name.replace(PREDICTION, config.output.column, 1): name
        for name in names
        if name.startswith(PREDICTION)
    }


def name_findings(config: ScoreConfig) -> str:
    """Return the name of the staged column with the findings of rejected rows."""
    return "findings" if config.quarantine is None else REASONS


def build_limit(config: ScoreConfig) -> RejectionLimit | None:
    """Return the limit of rejected rows that ends a run early; None without one."""
    if config.budget is None or config.budget.rows is None:
        return None
    return RejectionLimit(config.budget.rows)


def build_scan_options(config: ScoreConfig, columns: Sequence[str], **options: Any) -> ScanOptions:
    """Build the options with which splits read and write the rows of a job.

    Args:
        config: the configuration.
        columns: the columns of the input that are staged for a quarantine.
        options: the options that depend on the engine.
    """
    has_quarantine = config.quarantine is not None
    return ScanOptions(
        output=PREDICTION if has_quarantine else config.output.column,
        keep=columns if has_quarantine else config.output.keep,
        flatten=config.output.flatten,
        lenient=config.budget is not None,
        findings=name_findings(config),
        batch_rows=config.model.batch_rows,
        filter=config.input.filter,
        limit=build_limit(config),
        **options,
    )


def refuse_reserved_names(names: Sequence[str]) -> None:
    """Check that no column of the table has the name of a column that is staged in addition.

    Raises:
        ContractError: a column has such a name.
    """
    expected, hint = f"a name that does not begin with {PREFIX!r}", "the job reserves these names: rename it"
    findings = [
        Finding(Code.INVALID_NAME, quote(name), expected, "such a name", hint)
        for name in names
        if name.startswith(PREFIX)
    ]
    if findings:
        raise ContractError.of("the table cannot be scored with a quarantine", findings)


def build_reason(code: str, path: str, detail: str, rows: int) -> Finding:
    """Build the finding of rejected rows from an entry of their findings."""
    pattern = r"(?:.*?: )?expected (.*?), got (.*?)(?: \((.*)\))? \[\w+\]"
    if code == Code.PREDICTION_FAILED.value:  # the text of an exception may end in parentheses
        pattern = r"expected (.*?), got (.*)() \[\w+\]"
    parts = re.fullmatch(pattern, detail, re.DOTALL)
    expected, actual, hint = parts.groups("") if parts else ("a row that can be scored", "another", "")
    return Finding(Code(code), path, expected, actual, hint, count=rows)
