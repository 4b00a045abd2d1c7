"""What all commands share: how they end, what they print, and the options that many of them have."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sparksig.signature import ModelSignature

__all__ = [
    "Commands",
    "as_json",
    "complain",
    "document_of",
    "names_of",
    "page",
    "resolve_at",
    "say",
    "show_html",
    "tell",
]

Command = TypeVar("Command", bound=Callable[..., Any])


class Commands(click.Group):
    """Commands that end with the exit codes of jobs, and with one message where the error is known."""

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> int:
        """Run one command; the process ends with its exit code, unless ``standalone_mode`` is False."""
        given = sys.argv[1:] if args is None else list(args)
        with _told_simply():
            try:
                ended = super().main(given, prog_name, complete_var, standalone_mode=False, **extra)
                code = ended if isinstance(ended, int) else 0
            except Exception as error:
                code = _report_failure(error, "--json" in given)
        if not standalone_mode:
            return code
        sys.exit(code)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is asked for, or the hint which one is like it."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            from sparksig.errors import nearest

            hint = nearest(args[0], self.list_commands(ctx)) or f"see {ctx.command_path} --help"
            ctx.fail(f"there is no command {args[0]!r}: {hint}")
        return super().resolve_command(ctx, args)


# --- how commands end ---------------------------------------------------------------------------------------


def _report_failure(error: Exception, json_wanted: bool) -> int:
    """Print why a command failed; return its exit code."""
    if isinstance(error, click.ClickException) and not json_wanted:
        error.show()
        return error.exit_code
    message, findings, code = _explain(error, with_findings=not json_wanted)
    report = _report_of(error)
    if json_wanted:
        body = {"error": message, "findings": [finding.to_dict() for finding in findings], "exit_code": code}
        say(json.dumps(body | ({} if report is None else {"report": json.loads(report.to_json())})))
        return code
    if report is not None:
        say(report.to_text(with_error=False))
    complain(message)
    return code


def _report_of(error: Exception) -> Any:
    """Return the report of the job that an error has ended; None where there is none."""
    return getattr(error, "sparksig_run", None)


def _explain(error: Exception, *, with_findings: bool) -> tuple[str, Sequence[Any], int]:
    """Return the message of an error, its findings, and its exit code."""
    if isinstance(error, click.Abort):
        return "interrupted", (), 130
    if isinstance(error, click.ClickException):
        return error.format_message(), (), error.exit_code
    if isinstance(error, UnicodeEncodeError) and error.reason.startswith("surrogates"):
        return "a name is no UTF-8 text", (), 1
    from sparksig.jobs.exits import exit_code
    from sparksig.jobs.failures import describe_failure
    from sparksig.spark.diagnosis import diagnose

    known = diagnose(error)
    findings = () if known is None else known.findings
    message = describe_failure(error, _report_of(error), with_findings=with_findings)
    return message, findings, exit_code(error)


def complain(text: str) -> None:
    """Print to standard error."""
    click.echo(f"sparksig: {_printable(text)}", err=True)


@contextlib.contextmanager
def _told_simply() -> Iterator[None]:
    """Warnings as single lines, and names that the terminal has no letters for in escapes."""

    def one_line(message: Warning | str, *rest: Any, **more: Any) -> None:
        del rest, more
        complain(f"note: {message}")

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)  # of PySpark, on every query
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = one_line
        yield


# --- what commands print ------------------------------------------------------------------------------------


def say(text: str, *, exact: bool = False, verdicts: bool = False) -> None:
    """Print to standard output; what could steer a terminal is shown in escapes.

    Args:
        text: what to print.
        exact: print it as it is where no terminal reads it.
        verdicts: the lines of a report end in "ok" or "fails", which a terminal shows in color.
    """
    if sys.stdout is None:  # it was closed
        return
    on_terminal = sys.stdout.isatty()
    shown = text if exact and not on_terminal else _printable(text)
    if verdicts and on_terminal and not os.environ.get("NO_COLOR"):
        shown = re.sub(r"(?m)^(  .*)(ok|fails)$", _colored, shown)
    try:
        click.echo(shown, color=True)  # what is there is meant
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would fail at the end
        if isinstance(error, BrokenPipeError):  # who reads has enough
            raise SystemExit(141) from None
        complain(f"standard output: {error.strerror}")
        raise SystemExit(1) from None


def _colored(line: re.Match[str]) -> str:
    return line[1] + click.style(line[2], fg="green" if line[2] == "ok" else "red")


def _printable(text: str) -> str:
    """Return a text without secrets in its URIs, and without what a terminal would act on."""
    from sparksig.errors import printable_lines

    return printable_lines(re.sub(r"(?<=//)[^/@\s]*@", "", text))


def tell(text: str, document: dict[str, Any], json_wanted: bool) -> None:
    """Print a text for people, or, if that is wanted, a document for machines."""
    say(json.dumps(document, allow_nan=False) if json_wanted else text)


def page(rows: Sequence[tuple[str, object]]) -> str:
    """Lines of names and values, aligned; what is None or empty is left out.

    Example:
        >>> print(page([("format", "sklearn"), ("run", None), ("digest", "c54c")]))
        format  sklearn
        digest  c54c
    """
    there = [(name, str(value)) for name, value in rows if value not in (None, "")]
    width = max((len(name) for name, _ in there), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in there)


def show_html(report: Any, path: str | None) -> None:
    """Write a report as a page of HTML, if somebody wants one."""
    if path is not None:
        report.to_html(path)


# --- options ------------------------------------------------------------------------------------------------


def as_json(command: Command) -> Command:
    """The option --json of a command."""
    text = "One JSON document on standard output, for machines; errors, too."
    return click.option("--json", "json_wanted", is_flag=True, help=text)(command)


def names_of(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> tuple[str, ...]:
    """Names from an option that may be repeated, each text a list with commas: a name's own is doubled.

    Example:
        >>> names_of(None, None, ["id,day", "a,,b"])
        ('id', 'day', 'a,b')
    """
    del ctx, param
    parts = [part.replace("\0", ",") for text in value for part in text.replace(",,", "\0").split(",")]
    return tuple(part for part in parts if part)


# --- contracts ----------------------------------------------------------------------------------------------


def resolve_at(text: str, side: str | None = None, **options: Any) -> Any:
    """Resolve a contract of the command line; what is wrong with it is wrong with the command.

    Args:
        text: a model directory, a signature's JSON file, a Parquet table, or DDL.
        side: "inputs" or "outputs"; None for all sides.
        options: of :func:`sparksig.tables.contract.resolve_contract`.

    Raises:
        ConfigError: it is not a contract, or has no such side.
        ModelError, TableNotFoundError: it cannot be read.
    """
    from sparksig.errors import ConfigError, ContractError, ConversionError, SignatureError
    from sparksig.tables.contract import resolve_contract, resolve_sides

    try:
        return resolve_sides(text) if side is None else resolve_contract(text, side=side, **options)
    except (ContractError, ConversionError, SignatureError) as error:
        raise ConfigError(error.message, error.findings) from None


def document_of(signature: ModelSignature) -> dict[str, Any]:
    """Return a signature as JSON built-ins: each side a list, where MLmodel files have text."""
    document: dict[str, Any] = json.loads(signature.to_json())
    return document
