"""Text and HTML for people: aligned columns, counts with their nouns, and rendered templates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from sys import modules
from typing import Any

from sparksig.errors import MissingDependencyError


class TextView:
    """A base class for results that are shown as their text, in terminals and notebooks.

    Example:
        >>> class Answer(TextView):
        ...     def __str__(self):
        ...         return "1 < 2"
        >>> Answer()
        1 < 2
        >>> Answer()._repr_html_()
        '<pre>1 &lt; 2</pre>'
    """

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        try:
            return self._render()
        except MissingDependencyError:
            return f"<pre>{escape(str(self))}</pre>"

    def _render(self) -> str:
        """Render the result as HTML, without the frame of a page."""
        return f"<pre>{escape(str(self))}</pre>"


def format_facts(facts: Iterable[tuple[str, str | None]]) -> list[str]:
    """Format pairs of a name and a text below each other; unknown texts are omitted.

    Example:
        >>> format_facts([("model", "fraud"), ("run", None), ("rows", "3")])
        ['model  fraud', 'rows   3']
    """
    known = [(name, text) for name, text in facts if text]
    width = max((len(name) for name, _ in known), default=0)
    return [f"{name:<{width}}  {text}" for name, text in known]


def format_size(count: int) -> str:
    """Format a number of bytes in the usual unit.

    Example:
        >>> format_size(999), format_size(57_100_000)
        ('999 bytes', '57.1 MB')
    """
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


def format_number(number: float) -> str:
    """Format a number with four digits, or as an integer from 1,000 on.

    Example:
        >>> format_number(0.123456), format_number(39_873.4), format_number(1e12)
        ('0.1235', '39,873', '1e+12')
    """
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e9 else f"{number:.4g}"


def format_share(count: int, total: int) -> str:
    """Format the share of a count in a total.

    Example:
        >>> format_share(1, 3), format_share(1, 100_000)
        ('33.3 %', '< 0.1 %')
    """
    share = 100 * count / total
    return f"{share:.1f} %" if share >= 0.05 or not count else "< 0.1 %"


def count_nouns(count: int, noun: str, plural: str = "") -> str:
    """Format a count with its noun in the right number.

    Example:
        >>> count_nouns(1, "row"), count_nouns(2_000, "row group"), count_nouns(2, "class", "classes")
        ('1 row', '2,000 row groups', '2 classes')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


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
    return f"{nulls} ({format_share(count, rows)})"


def align_cells(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align the cells of rows in columns.

    Example:
        >>> align_cells([("id", "long"), ("price", "double")])
        ['  id     long', '  price  double']
    """
    widths = [max(map(len, cells)) for cells in zip(*rows)]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def render(template: str, **values: Any) -> str:
    """Render a template of this package; all text is escaped."""
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
    helpers = {
        "nulls": format_nulls,
        "count": count_nouns,
        "number": format_number,
        "share": format_share,
        "version": modules["sparksig"].__version__,
    }
    environment.globals.update(helpers)
    page = environment.get_template(template).render(**values)
    return page.strip() + "\n"
