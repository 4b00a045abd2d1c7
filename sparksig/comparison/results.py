"""What a comparison has found, and how people look at it: as text, JSON, and a page of HTML."""

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

__all__ = ["UNDECLARED", "Comparison", "Note", "SideComparison", "Verdict"]


class Verdict(str, Enum):
    """Who can take whose place, in the words of schema registries.

    Backward compatible: new can take old's place, so callers keep working. Forward compatible: old can take
    new's place, so what was made for new works with old. Fully compatible: both.

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
    """A difference that keeps no caller from working.

    Attributes:
        path: where it is, as of a :class:`Finding`.
        text: what it is.

    Example:
        >>> print(Note("id", "integer -> long"))
        id: integer -> long
    """

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text

    def to_dict(self) -> dict[str, str]:
        """The note as JSON-ready built-ins."""
        return {"path": self.path, "text": self.text}

    def below(self, prefix: str) -> Note:
        """The same note seen from one level further out: below ``prefix``."""
        return replace(self, path=f"{prefix}.{self.path}" if self.path else prefix)


@dataclass(frozen=True)
class SideComparison:
    """One side of two contracts: inputs, outputs, or params.

    Attributes:
        upgrade: why new cannot take old's place; nothing, if it can.
        rollback: why old cannot take new's place; nothing, if it can.
        notes: what else is different in new.
        declared: whether either of the two declares this side.

    Example:
        >>> SideComparison(notes=(Note("id", "integer -> long"),)).verdict
        <Verdict.FULL: 'fully compatible'>
    """

    upgrade: tuple[Finding, ...] = ()
    rollback: tuple[Finding, ...] = ()
    notes: tuple[Note, ...] = ()
    declared: bool = True

    @property
    def verdict(self) -> Verdict:
        """What it comes to."""
        if self.upgrade:
            return Verdict.INCOMPATIBLE if self.rollback else Verdict.FORWARD
        if self.rollback:
            return Verdict.BACKWARD
        return Verdict.FULL if self.notes else Verdict.IDENTICAL

    def to_dict(self) -> dict[str, Any]:
        """The side as JSON-ready built-ins."""
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
    """What :func:`sparksig.compare` has found.

    Attributes:
        inputs: of what the models take.
        outputs: of what they give.
        params: of what they can be told.

    Example:
        >>> told = Comparison(SideComparison(notes=(Note("id", "integer -> long"),)))
        >>> told.ok, str(told.verdict), told.whole.notes[0].path
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
    def whole(self) -> SideComparison:
        """All sides as one; paths begin with the side's name."""
        upgrade = [one.below(name) for name, side in self.sides.items() for one in side.upgrade]
        rollback = [one.below(name) for name, side in self.sides.items() for one in side.rollback]
        notes = [one.below(name) for name, side in self.sides.items() for one in side.notes]
        return SideComparison(tuple(upgrade), tuple(rollback), tuple(notes))

    @property
    def verdict(self) -> Verdict:
        """What all sides come to."""
        return self.whole.verdict

    @property
    def ok(self) -> bool:
        """Whether new can take old's place on every side: callers keep working."""
        return not any(side.upgrade for side in self.sides.values())

    def raise_if_failed(self) -> None:
        """Raise the reasons why new cannot take old's place.

        Raises:
            ContractError: there are some; it has all of them, paths begin with the side's name.
        """
        if not self.ok:
            raise ContractError.of(_NOT_NEW, self.whole.upgrade)

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON-ready built-ins."""
        sides = {name: side.to_dict() for name, side in self.sides.items()}
        return {"ok": self.ok, "verdict": self.verdict.value, **sides}

    def to_json(self) -> str:
        """The comparison as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def __str__(self) -> str:
        whole = self.whole
        lines = [f"new against old: {whole.verdict}"]
        for name, side in self.sides.items():
            lines.append(f"  {name:<9}{side.verdict if side.declared else 'not declared'}")
        told: list[tuple[str, Sequence[object]]] = [*_reasons(whole), ("different as well", whole.notes)]
        for title, entries in told:
            lines += [f"{title}:", *(f"- {one}" for one in entries)] if entries else []
        return "\n".join(lines)

    def _render(self) -> str:
        return self._rendered(whole=False)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the comparison to the file ``path``, as one page of HTML that needs nothing else.

        Raises:
            MissingDependencyError: jinja2 is not installed.
            OSError: the file cannot be written.
        """
        Path(path).write_text(self._rendered(whole=True), encoding="utf-8")

    def _rendered(self, *, whole: bool) -> str:
        told = self.whole
        return render("comparison.html", sides=self.sides, told=told, reasons=_reasons(told), whole=whole)


_NOT_NEW = "new cannot take old's place"
_NOT_OLD = "old cannot take new's place"


def _reasons(whole: SideComparison) -> list[tuple[str, tuple[Finding, ...]]]:
    """Both kinds of reasons under their titles."""
    return [(_NOT_NEW, whole.upgrade), (_NOT_OLD, whole.rollback)]
