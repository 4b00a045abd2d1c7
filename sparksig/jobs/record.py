"""What a run of a job has done: recorded while it runs, reported in the end, whether it went well or not."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sparksig.report import render

__all__ = ["Run", "RunReport"]


@dataclass
class Run:
    """What is known of a run so far; jobs write into it while they go on.

    Attributes:
        job: "score", "check" or "infer".
        run_id: names the run.
        phases: seconds of each phase, in order.
        told: everything else that the report says, by the names of its fields:
            model_path, model_digest: of the model that was used (str).
            signature: the model's, or the one that was inferred (ModelSignature).
            input: what was read (dict): place, format, and version (Delta) or files, bytes and sha256.
            rows_in, scored, rejected: counts; rows_in = scored + rejected.
            findings: of rejected rows (tuple of Finding with counts).
            check: what a check has found (Report).
            model_loads, model_load_seconds: how often the model was loaded by workers, and how long that took.
            output, quarantine: places that were written, or were to be (str).
            written: rows written, by place (dict).
            repeated: whether the run was done before, and nothing was done now (bool).
    """

    job: str
    run_id: str
    phases: dict[str, float] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what is done inside; what fails is timed, too."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + time.perf_counter() - started

    def tell(self, **fields: Any) -> None:
        """Note fields of the report."""
        self.told.update(fields)


@dataclass(frozen=True)
class RunReport:
    """What a score job did.

    Attributes:
        rows_in: rows read from the input.
        scored: rows with a prediction, as written.
        rejected: rows without one; rows_in = scored + rejected.
        seconds: from reading the table to the last file written.
        output: where the predictions are.
        digest: of the model directory.
    """

    rows_in: int
    scored: int
    rejected: int
    seconds: float
    output: str
    digest: str

    @property
    def rows_per_second(self) -> float:
        """Rows read per second."""
        return self.rows_in / self.seconds if self.seconds else 0.0

    def to_json(self) -> str:
        """The report as JSON."""
        return json.dumps(asdict(self) | {"rows_per_second": self.rows_per_second})

    def _repr_html_(self) -> str:
        return render("run.html", rows=self._rows(), whole=False)

    def to_html(self, path: str | Path) -> None:
        """Write the report as one page of HTML that needs nothing else.

        Raises:
            MissingDependencyError: jinja2 is not installed.
            OSError: the file cannot be written.
        """
        Path(path).write_text(render("run.html", rows=self._rows(), whole=True), encoding="utf-8")

    def _rows(self) -> list[tuple[str, str]]:
        return [
            ("rows in", f"{self.rows_in:,}"),
            ("scored", f"{self.scored:,}"),
            ("rejected", f"{self.rejected:,}"),
            ("seconds", f"{self.seconds:.1f}"),
            ("rows per second", f"{self.rows_per_second:,.0f}"),
            ("model digest", self.digest),
            ("output", self.output),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{name:<16} {value}" for name, value in self._rows())
