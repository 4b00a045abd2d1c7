"""Text and HTML for people: aligned columns, counts with their nouns, and rendered templates."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from sparksig.errors import MissingDependencyError

__all__ = ["aligned", "count_nouns", "format_nulls", "render"]


def count_nouns(count: int, noun: str) -> str:
    """Format a count with its noun in the right number.

    Example:
        >>> count_nouns(1, "row"), count_nouns(2_000, "row group")
        ('1 row', '2,000 row groups')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def format_nulls(count: int | None, rows: int | None) -> str:
    """Format the number of nulls of a column with its share of the rows; empty if it is unknown.

    Example:
        >>> format_nulls(1, 3), format_nulls(0, 3)
        ('1 null (33.3 %)', 'no nulls')
    """
    if not count:
        return "" if count is None else "no nulls"
    nulls = count_nouns(count, "null")
    if not rows:
        return nulls
    share = 100 * count / rows
    return f"{nulls} ({share:.1f} %)" if share >= 0.05 else f"{nulls} (< 0.1 %)"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align the cells of rows in columns.

    Example:
        >>> aligned([("id", "long"), ("price", "double")])
        ['  id     long', '  price  double']
    """
    widths = [max(map(len, cells)) for cells in zip(*rows)]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def render(template: str, **values: Any) -> str:
    """Render a template of this package; all text is escaped.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise MissingDependencyError.naming("jinja2", "a report as HTML", "report") from None

    def load_template(name: str) -> str:
        return files("sparksig").joinpath("templates", name).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(load_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template(template).render(nulls=format_nulls, count=count_nouns, **values)
    return page.strip() + "\n"
