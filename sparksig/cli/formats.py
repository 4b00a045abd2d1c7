"""The formats of commands that report findings: text, JSON, JUnit XML, and annotations of GitHub."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from sparksig.cli.base import print_text, printable_text

if TYPE_CHECKING:
    from sparksig.comparison import Comparison
    from sparksig.errors import Finding
    from sparksig.tables.report import Report

Command = TypeVar("Command", bound=Callable[..., Any])

FORMATS = ("text", "json", "junit", "github")


@dataclass(frozen=True)
class Case:
    """A column or a side of a contract, with its failures.

    Attributes:
        name: the column or the side.
        failures: pairs of a code and a message; empty if the column is ok.
        level: "warning" for a remark that breaks nothing, "error" if the command itself failed.

    Example:
        >>> Case("price", (("TYPE_MISMATCH", "price: expected double, got string"),)).failures[0][0]
        'TYPE_MISMATCH'
    """

    name: str
    failures: tuple[tuple[str, str], ...] = ()
    level: Literal["failure", "warning", "error"] = "failure"


# --- options ------------------------------------------------------------------------------------------------


def add_formats(command: Command) -> Command:
    """Add the options --format, --json and --only-findings to a command."""
    options = (
        click.option(
            "--format",
            "output_format",
            type=click.Choice(FORMATS),
            help="text (default); json; junit: XML for CI servers; github: annotations of a workflow.",
        ),
        click.option("--json", "json_wanted", is_flag=True, help="The same as --format json."),
        click.option(
            "--only-findings", is_flag=True, help="In text: omit the columns and sides that are ok."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def print_result(
    result: Report | Comparison,
    cases: Iterable[Case],
    suite: str,
    *,
    output_format: str | None,
    json_wanted: bool,
    only_findings: bool,
) -> int:
    """Print the result of a check or a comparison in the format of the options; return the exit code."""
    if json_wanted and output_format not in (None, "json"):
        raise click.UsageError(f"--json is short for --format json: drop it, or --format {output_format}")
    chosen = "json" if json_wanted else output_format or "text"
    if only_findings and chosen != "text":
        raise click.UsageError(f"--only-findings applies to text: drop it, or --format {chosen}")
    if chosen == "json":
        print_text(result.to_json())
    elif chosen == "junit":
        print_text(to_junit(suite, cases))
    elif chosen == "github":
        headline = str(result).partition("\n")[0]
        print_text("\n".join([*to_github(cases), headline]))
    else:
        print_text(result.to_text(only_findings=only_findings), verdicts=True)
    return 0 if result.ok else 3


# --- cases --------------------------------------------------------------------------------------------------


def list_columns(report: Report) -> list[Case]:
    """Return a report as cases: one for each column, and one for each other path with findings."""
    grouped = {column.name: report.list_findings(column.name) for column in report.columns}
    covered = {finding for findings in grouped.values() for finding in findings}
    for finding in report.findings:
        if finding not in covered:
            grouped.setdefault(finding.path or "table", []).append(finding)
    cases = [Case(name, _describe(findings)) for name, findings in grouped.items()]
    return cases + [Case(finding.path, _describe([finding]), "warning") for finding in report.warnings]


def list_sides(comparison: Comparison) -> list[Case]:
    """Return a comparison as cases: one for each path that breaks callers, one for each side that is ok."""
    cases = []
    for name, side in comparison.sides.items():
        grouped: dict[str, list[Finding]] = {}
        for finding in side.upgrade:
            grouped.setdefault(finding.below(name).path, []).append(finding.below(name))
        if side.declared and not grouped:
            grouped[name] = []
        cases += [Case(path, _describe(findings)) for path, findings in grouped.items()]
    return cases


def _describe(findings: Sequence[Finding]) -> tuple[tuple[str, str], ...]:
    return tuple((finding.code.value, str(finding)) for finding in findings)


def format_error(message: str, code: int, output_format: str) -> str:
    """Return the error that ended a command, as JUnit XML or as an annotation."""
    case = Case("sparksig", ((f"exit code {code}", message),), "error")
    return to_junit("sparksig", [case]) if output_format == "junit" else to_github([case])[0]


# --- formats ------------------------------------------------------------------------------------------------


def to_junit(suite: str, cases: Iterable[Case]) -> str:
    """Return cases as JUnit XML in ASCII; warnings are omitted.

    Example:
        >>> cases = [Case("id"), Case("x", (("EMPTY", "x < 1"),))]
        >>> print(to_junit("check", cases).partition("?>")[2].strip())
        <testsuites>
          <testsuite name="check" tests="2" failures="1" errors="0">
            <testcase classname="check" name="id" />
            <testcase classname="check" name="x">
              <failure type="EMPTY" message="x &lt; 1">x &lt; 1</failure>
            </testcase>
          </testsuite>
        </testsuites>
    """
    from xml.etree import ElementTree

    listed = [case for case in cases if case.level != "warning"]
    levels = [case.level for case in listed if case.failures]
    name = printable_text(suite)
    root = ElementTree.Element("testsuites")
    totals = {"tests": len(listed), "failures": levels.count("failure"), "errors": levels.count("error")}
    counts = {key: str(total) for key, total in totals.items()}
    parent = ElementTree.SubElement(root, "testsuite", {"name": name, **counts})
    for case in listed:
        attributes = {"classname": name, "name": printable_text(case.name)}
        element = ElementTree.SubElement(parent, "testcase", attributes)
        if case.failures:
            texts = [printable_text(text) for _, text in case.failures]
            failure = ElementTree.SubElement(
                element, case.level, {"type": case.failures[0][0], "message": texts[0]}
            )
            failure.text = "\n".join(texts)
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True)
    return document.decode("ascii")


def to_github(cases: Iterable[Case]) -> list[str]:
    """Return the failures of cases as workflow commands of GitHub, which annotate the run.

    Example:
        >>> to_github([Case("a:b", (("EMPTY", "100 %"),))])
        ['::error title=a%3Ab EMPTY::100 %25']
    """
    lines = []
    for case in cases:
        level = "warning" if case.level == "warning" else "error"
        for code, text in case.failures:
            title = _escape(f"{case.name} {code}", is_property=True)
            lines.append(f"::{level} title={title}::{_escape(text)}")
    return lines


def _escape(text: str, *, is_property: bool = False) -> str:
    """Escape a text for a workflow command; a property may not have colons and commas, either."""
    escaped = printable_text(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace(":", "%3A").replace(",", "%2C") if is_property else escaped
