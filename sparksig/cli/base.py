"""Code that all commands share: exit codes, output, and common options."""

from __future__ import annotations

import contextlib
import itertools
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

Command = TypeVar("Command", bound=Callable[..., Any])


class Commands(click.Group):
    """A group of commands that ends with the exit codes of jobs, and with one message for a known error."""

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> int:
        """Run one command; the process ends with its exit code, unless ``standalone_mode`` is False."""
        arguments = sys.argv[1:] if args is None else list(args)
        with _simplify_output():
            try:
                result = super().main(arguments, prog_name, complete_var, standalone_mode=False, **extra)
                code = result if isinstance(result, int) else 0
            except Exception as error:
                code = _report_failure(error, find_format(arguments))
        if not standalone_mode:
            return code
        sys.exit(code)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of a name; fail with the most similar name if no command has this one."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            from sparksig.errors import suggest

            hint = suggest(args[0], self.list_commands(ctx)) or f"see {ctx.command_path} --help"
            ctx.fail(f"unknown command {args[0]!r}: {hint}")
        return super().resolve_command(ctx, args)


# --- ends of commands ---------------------------------------------------------------------------------------


def find_format(arguments: Sequence[str]) -> str:
    """Return the format that the arguments of a command select, even if other arguments are wrong.

    Example:
        >>> find_format(["check", "--json"]), find_format(["check", "--format=junit"]), find_format(["show"])
        ('json', 'junit', 'text')
    """
    if "--json" in arguments:
        return "json"
    pairs = [*itertools.pairwise(arguments), *(argument.partition("=")[::2] for argument in arguments)]
    return next((value for name, value in pairs if name == "--format" and value), "text")


def _report_failure(error: Exception, output_format: str) -> int:
    """Print the reason why a command failed; return its exit code."""
    is_json = output_format == "json"
    if isinstance(error, click.ClickException) and not is_json:
        error.show()
        return error.exit_code
    message, findings, code = _explain(error, with_findings=not is_json)
    report = _get_report(error)
    if is_json:
        body = {"error": message, "findings": [finding.to_dict() for finding in findings], "exit_code": code}
        print_text(json.dumps(body | ({} if report is None else {"report": json.loads(report.to_json())})))
        return code
    if output_format in ("junit", "github"):
        from sparksig.cli.formats import format_error

        print_text(format_error(message, code, output_format))
    if report is not None:
        print_text(report.to_text(with_error=False))
    print_error(message)
    return code


def _get_report(error: Exception) -> Any:
    """Return the report of the job that an error has ended; None for other errors."""
    return getattr(error, "sparksig_run", None)


def _explain(error: Exception, *, with_findings: bool) -> tuple[str, Sequence[Any], int]:
    """Return the message of an error, its findings, and its exit code."""
    if isinstance(error, click.Abort):
        return "interrupted", (), 130
    if isinstance(error, click.ClickException):
        return error.format_message(), (), error.exit_code
    if isinstance(error, UnicodeEncodeError) and error.reason.startswith("surrogates"):
        return "a name is not valid UTF-8", (), 1
    from sparksig.jobs.exit_codes import exit_code
    from sparksig.jobs.failures import describe_failure
    from sparksig.spark.diagnosis import diagnose

    diagnosis = diagnose(error)
    findings = () if diagnosis is None else diagnosis.findings
    message = describe_failure(error, _get_report(error), with_findings=with_findings)
    return message, findings, exit_code(error)


def print_error(text: str) -> None:
    """Print to standard error."""
    click.echo(f"sparksig: {printable_text(text)}", err=True)


@contextlib.contextmanager
def _simplify_output() -> Iterator[None]:
    """Print warnings as single lines, and escape characters that the terminal cannot encode."""

    def print_line(message: Warning | str, *context: Any, **options: Any) -> None:
        del context, options
        print_error(f"note: {message}")

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)  # PySpark warns on every query
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = print_line
        yield


# --- output ------------------------------------------------------------------------------------------------


_VERDICTS = re.compile(
    r"(?m)^(  .*)(?:(ok|identical|(?:fully|backward) compatible)|(fails|incompatible|forward compatible))$"
)


def print_text(text: str, *, exact: bool = False, verdicts: bool = False) -> None:
    """Print to standard output; escape characters that could control a terminal.

    Exact text is escaped on terminals only; verdicts at line ends are colored there.
    """
    if sys.stdout is None:  # it was closed
        return
    on_terminal = sys.stdout.isatty()
    output = text if exact and not on_terminal else printable_text(text)
    if verdicts and on_terminal and not os.environ.get("NO_COLOR"):
        output = _VERDICTS.sub(_color_verdict, output)
    try:
        click.echo(output, color=True)  # colors are only added above
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # flushing at exit would fail again
        if isinstance(error, BrokenPipeError):  # the reader has closed the pipe
            raise SystemExit(141) from None
        print_error(f"standard output: {error.strerror}")
        raise SystemExit(1) from None


def _color_verdict(line: re.Match[str]) -> str:
    return line[1] + (click.style(line[2], fg="green") if line[2] else click.style(line[3], fg="red"))


def printable_text(text: str) -> str:
    """Return a text without secrets in its URIs; characters that could control a terminal are escaped."""
    from sparksig.errors import make_lines_printable

    return make_lines_printable(re.sub(r"(?<=//)[^/@\s]*@", "", text))


def print_document(text: str, document: dict[str, Any], json_wanted: bool) -> None:
    """Print a text, or a document as JSON."""
    print_text(json.dumps(document, allow_nan=False) if json_wanted else text)


def write_html(report: Any, path: str | None) -> None:
    """Write a report as a page of HTML, if a path is given."""
    if path is not None:
        report.to_html(path)


# --- options ------------------------------------------------------------------------------------------------


def add_json_option(command: Command) -> Command:
    """Add the option --json to a command."""
    text = "Print one JSON document, also for errors."
    return click.option("--json", "json_wanted", is_flag=True, help=text)(command)


def parse_names(ctx: click.Context, param: click.Parameter, value: Sequence[str]) -> tuple[str, ...]:
    """Parse lists of names with commas; two commas stand for a comma in a name.

    Example:
        >>> parse_names(None, None, ["id,day", "a,,b"])
        ('id', 'day', 'a,b')
    """
    del ctx, param
    parts = [part.replace("\0", ",") for text in value for part in text.replace(",,", "\0").split(",")]
    return tuple(part for part in parts if part)


def escape_variables(text: str) -> str:
    """Return a text of a configuration in which ``${env:`` is literal: the shell expands variables."""
    return text.replace("${env:", "$${env:")


# --- contracts ----------------------------------------------------------------------------------------------


def resolve_argument(text: str, side: str | None = None, **options: Any) -> Any:
    """Resolve a contract of the command line; a malformed contract is a usage error."""
    from sparksig.errors import ConfigError, ContractError, ConversionError, SignatureError
    from sparksig.tables.contract import resolve_contract, resolve_sides

    try:
        return resolve_sides(text) if side is None else resolve_contract(text, side=side, **options)
    except (ContractError, ConversionError, SignatureError) as error:
        raise ConfigError(error.message, error.findings) from None


def to_document(signature: ModelSignature) -> dict[str, Any]:
    """Return a signature as JSON built-ins: each side a list, where MLmodel files have text."""
    document: dict[str, Any] = json.loads(signature.to_json())
    return document
