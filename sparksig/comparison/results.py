"""The result of a comparison, with its views as text, JSON and HTML."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from sparksig.errors import ContractError, Finding
from sparksig.views import TextView, render


class Verdict(str, Enum):
    """The verdict of a comparison, in the terms of schema registries.

    Backward compatible: new can replace old, so existing callers keep working. Forward compatible: old can
    replace new, so callers of new work with old. Fully compatible: both.

    Example:
        >>> Verdict.BACKWARD == "backward compatible"
        True
    """

    IDENTICAL = "identical"
    FULL = "fully compatible"
    BACKWARD = "backward compatible"
    FORWARD = "forward compatible"
    INCOMPATIBLE = "incompatible"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Note:
    """A difference that breaks no caller.

    Example:
        >>> print(Note("id", "integer -> long"))
        id: integer -> long
    """

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text

    def to_dict(self) -> dict[str, str]:
        """Return the note as JSON-ready built-ins."""
        return {"path": self.path, "text": self.text}

    def below(self, prefix: str) -> Note:
        """Return the note with ``prefix`` in front of its path."""
        return replace(self, path=f"{prefix}.{self.path}" if self.path else prefix)


@dataclass(frozen=True)
class SideComparison:
    """One side of two contracts: inputs, outputs, or params.

    Example:
        >>> SideComparison(notes=(Note("id", "integer -> long"),)).verdict
        <Verdict.FULL: 'fully compatible'>
    """

    upgrade: tuple[Finding, ...] = ()  # the reasons why new cannot replace old
    rollback: tuple[Finding, ...] = ()  # the reasons why old cannot replace new
    notes: tuple[Note, ...] = ()  # the other differences
    declared: bool = True  # whether at least one of the contracts declares this side

    @property
    def verdict(self) -> Verdict:
        """The verdict on this side."""
        if self.upgrade:
            return Verdict.INCOMPATIBLE if self.rollback else Verdict.FORWARD
        if self.rollback:
            return Verdict.BACKWARD
        return Verdict.FULL if self.notes else Verdict.IDENTICAL

    def to_dict(self) -> dict[str, Any]:
        """Return the side as JSON-ready built-ins."""
        return {
            "verdict": self.verdict.value,
            "declared": self.declared,
            "upgrade": [finding.to_dict() for finding in self.upgrade],
            "rollback": [finding.to_dict() for finding in self.rollback],
            "notes": [note.to_dict() for note in self.notes],
        }


UNDECLARED = SideComparison(declared=False)


@dataclass(frozen=True, repr=False)
class Comparison(TextView):
    """The result of :func:`sparksig.compare`.

    Attributes:
        inputs: the comparison of the inputs.
        outputs: the comparison of the outputs.
        params: the comparison of the params.

    Example:
        >>> comparison = Comparison(SideComparison(notes=(Note("id", "integer -> long"),)))
        >>> comparison.ok, str(comparison.verdict), comparison.combined.notes[0].path
        (True, 'fully compatible', 'inputs.id')
    """

    inputs: SideComparison = UNDECLARED
    outputs: SideComparison = UNDECLARED
    params: SideComparison = UNDECLARED

    @property
    def sides(self) -> dict[str, SideComparison]:
        """The three sides by their names."""
        return {"inputs": self.inputs, "outputs": self.outputs, "params": self.params}

    @property
    def combined(self) -> SideComparison:
        """All sides combined; each path begins with the name of its side."""
        upgrade = [finding.below(name) for name, side in self.sides.items() for finding in side.upgrade]
        rollback = [finding.below(name) for name, side in self.sides.items() for finding in side.rollback]
        notes = [note.below(name) for name, side in self.sides.items() for note in side.notes]
        return SideComparison(tuple(upgrade), tuple(rollback), tuple(notes))

    @property
    def verdict(self) -> Verdict:
        """The verdict on all sides."""
        return self.combined.verdict

    @property
    def ok(self) -> bool:
        """True if new can replace old on every side, so that existing callers keep working."""
        return not any(side.upgrade for side in self.sides.values())

    def raise_if_failed(self) -> None:
        """Raise an error if new cannot replace old.

        Raises:
            ContractError: new cannot replace old; all reasons, with paths that begin with the side's name.
        """
        if not self.ok:
            raise ContractError.of(_NOT_NEW, self.combined.upgrade)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON-ready built-ins."""
        sides = {name: side.to_dict() for name, side in self.sides.items()}
        return {"ok": self.ok, "verdict": self.verdict.value, **sides}

    def to_json(self) -> str:
        """Return the comparison as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, *, only_findings: bool = False) -> str:
        """Return the comparison as text.

        Args:
            only_findings: omit the sides that are identical or not declared, and the other differences.

        Example:
            >>> comparison = Comparison(SideComparison(notes=(Note("id", "integer -> long"),)))
            >>> print(comparison.to_text(only_findings=True))
            new against old: fully compatible
              inputs   fully compatible
        """
        combined = self.combined
        lines = [f"new against old: {combined.verdict}"]
        for name, side in self.sides.items():
            if not (only_findings and side.verdict is Verdict.IDENTICAL):
                lines.append(f"  {name:<9}{side.verdict if side.declared else 'not declared'}")
        sections: list[tuple[str, Sequence[object]]] = [*_list_reasons(combined)]
        if not only_findings:
            sections.append(("other differences", combined.notes))
        for title, entries in sections:
            lines += [f"{title}:", *(f"- {entry}" for entry in entries)] if entries else []
        return "\n".join(lines)

    def _render(self) -> str:
        return self._render_html(is_page=False)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the comparison to the file ``path``, as a self-contained HTML page.

        Raises:
            MissingDependencyError: jinja2 is not installed.
            OSError: the file cannot be written.
        """
        Path(path).write_text(self._render_html(is_page=True), encoding="utf-8")

    def _render_html(self, *, is_page: bool) -> str:
        combined, reasons = self.combined, _list_reasons(self.combined)
        return render(
            "comparison.html", sides=self.sides, combined=combined, reasons=reasons, is_page=is_page
        )


_NOT_NEW = "new cannot replace old"
_NOT_OLD = "old cannot replace new"


def _list_reasons(combined: SideComparison) -> list[tuple[str, tuple[Finding, ...]]]:
    """Return the reasons of both directions, each with its title."""
    return [(_NOT_NEW, combined.upgrade), (_NOT_OLD, combined.rollback)]
