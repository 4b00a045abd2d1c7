"""Commands about tables: infer, check, diff."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from sparksig.cli.base import (
    add_json_option,
    parse_names,
    print_document,
    resolve_argument,
    to_document,
    write_html,
)
from sparksig.cli.formats import add_formats, list_columns, list_sides, print_result
from sparksig.options import CheckMode, Extra, Missing, SampleMethod, Side, TypeRule

if TYPE_CHECKING:
    from sparksig.signature import ModelSignature
    from sparksig.tables.sample import SampledSignature

ROWS = click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="The number of rows in a sample.",
)
SEED = click.option(
    "--seed",
    type=click.IntRange(-(2**63), 2**63 - 1),
    default=0,
    metavar="INTEGER",
    help="The seed of the sample: the same seed selects the same rows.",
)
METHOD = click.option(
    "--method",
    type=click.Choice(get_args(SampleMethod)),
    default="partitions",
    show_default=True,
    help="The rows of the sample: the first of some row groups, or a uniform choice from all rows.",
)
SPARK = click.option(
    "--spark", "by_spark", is_flag=True, help="Read with Spark: for Delta tables and tables of a catalog."
)
CONF = click.option(
    "--conf", multiple=True, metavar="KEY=VALUE", help="A Spark setting, with --spark; repeatable."
)


def add_contract_options(command: Any) -> Any:
    """Add the options of a contract to a command."""
    for name, choices, text in (
        ("--extra", Extra, "Undeclared columns; a table's contract forbids them by default."),
        ("--missing", Missing, "Absent columns; a table's contract forbids them by default."),
        (
            "--types",
            TypeRule,
            "For a table's contract: exact types (default), or types that widen without loss.",
        ),
    ):
        command = click.option(name, type=click.Choice(get_args(choices)), help=text)(command)
    return command


# --- infer --------------------------------------------------------------------------------------------------


@click.command(
    short_help="Infer the signature of a table from some rows.",
    epilog="\b\nExamples:\n"
    "  sparksig infer orders/ -o signature.json\n"
    "  sparksig infer orders/ --rows 100000 --method uniform --columns id,price\n"
    "  sparksig infer example.json\n"
    "  sparksig infer lake/orders --spark",
)
@click.argument("example", metavar="TABLE", type=click.Path())
@ROWS
@SEED
@METHOD
@click.option(
    "--columns",
    multiple=True,
    callback=parse_names,
    metavar="A,B",
    help="The columns of the signature; default: all.",
)
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="A file for the signature, as JSON.")
@SPARK
@CONF
@add_json_option
def infer(
    example: str,
    rows: int,
    seed: int,
    method: str,
    columns: tuple[str, ...],
    output: str | None,
    by_spark: bool,
    conf: tuple[str, ...],
    json_wanted: bool,
) -> None:
    """Infer the signature of a table from some of its rows, with the evidence for each column.

    TABLE is a Parquet file, a directory or URI of Parquet files, or a JSON file with an example of a model's
    input: a record, or a list of records. A column is optional if the sample has nulls in it.
    """
    evidence: SampledSignature | None = None
    if example.endswith(".json") and not by_spark:
        if columns:
            raise click.UsageError("--columns selects columns of a table, not of an example: drop it")
        signature = _infer_from_file(Path(example))
    else:
        from sparksig.tables.check import open_table
        from sparksig.tables.infer import infer_table
        from sparksig.tables.sample import Sampler

        opened = open_table(_open_table("sparksig infer", example, by_spark, conf))
        evidence = infer_table(opened, Sampler(rows, seed=seed, method=method), columns or None)
        signature = evidence.signature
    if output is not None:
        from sparksig.jobs.signature_files import write_signature

        write_signature(output, signature, {})
    written = f"\nwritten to {output}" if output is not None else ""
    text = signature.to_text() if evidence is None else f"{signature.to_text()}\n{_format_evidence(evidence)}"
    evidence_columns = [] if evidence is None else [asdict(column) for column in evidence.evidence]
    document = {"signature": to_document(signature), "evidence": evidence_columns, "output": output}
    print_document(text + written, document, json_wanted)


def _format_evidence(sampled: SampledSignature) -> str:
    """Format the evidence for each column as a line."""
    from sparksig.errors import quote
    from sparksig.views import align_cells, count_nouns, format_nulls

    rows = max((column.rows for column in sampled.evidence), default=0)
    partitions = max((column.partitions or 0 for column in sampled.evidence), default=0)
    source = f" of {count_nouns(partitions, sampled.noun)}" if partitions else ""
    lines = [
        (quote(column.name), format_nulls(column.nulls, None), column.suggestion)
        for column in sampled.evidence
    ]
    return "\n".join(
        [f"seen in {count_nouns(rows, 'row') if rows else 'no rows'}{source}", *align_cells(lines)]
    )


def _infer_from_file(path: Path) -> ModelSignature:
    """Infer the signature of the example in a JSON file: records, or an example of MLflow."""
    from sparksig.convert.json import loads
    from sparksig.errors import InferenceError, TableNotFoundError
    from sparksig.infer import infer_signature

    if not path.is_file():
        raise TableNotFoundError(f"no file at {str(path)!r}")
    try:
        example = loads(path.read_bytes())
    except ValueError as error:
        raise InferenceError(f"{path}: {error}") from None
    if isinstance(example, dict) and example.keys() in ({"columns", "data"}, {"columns", "data", "index"}):
        example = _build_records(example["columns"], example["data"], path)
    return infer_signature(example)


def _build_records(columns: Any, data: Any, path: Path) -> list[dict[str, Any]]:
    """Return the rows of a frame in JSON, which has the names of its columns once."""
    from sparksig.errors import InferenceError

    names = columns if isinstance(columns, list) and all(isinstance(name, str) for name in columns) else None
    if names is None or len(set(names)) < len(names):
        raise InferenceError(f"{path}: the columns of a frame are a list of distinct names")
    if not isinstance(data, list) or not all(
        isinstance(row, list) and len(row) == len(names) for row in data
    ):
        raise InferenceError(f"{path}: the data of a frame are lists of {len(names)} values, one list a row")
    return [dict(zip(names, row)) for row in data]


def _open_table(app: str, table: str, by_spark: bool, conf: tuple[str, ...]) -> Any:
    from sparksig.tables.parquet import open_parquet

    if not by_spark:
        return open_parquet(table)
    from sparksig.cli.spark import read_table

    return read_table(app, table, conf)


# --- check --------------------------------------------------------------------------------------------------


@click.command(
    short_help="Check a table against a contract.",
    epilog="\b\nExamples:\n"
    "  sparksig check orders/ model\n"
    "  sparksig check orders/ signature.json --mode full --row-key id --html report.html\n"
    "  sparksig check orders/ 'id bigint not null, price double' --mode sample --method uniform\n"
    "  sparksig check lake/orders model --spark --mode full\n"
    "  sparksig check orders/ model --format junit > check.xml",
)
@click.argument("table", type=click.Path())
@click.argument("contract")
@click.option(
    "--mode",
    type=click.Choice(get_args(CheckMode)),
    default="schema",
    show_default=True,
    help="Check only types, or also the values of some or all rows.",
)
@click.option(
    "--side",
    type=click.Choice(get_args(Side)),
    default="inputs",
    show_default=True,
    help="The side of a signature.",
)
@ROWS
@SEED
@METHOD
@click.option(
    "--row-key",
    multiple=True,
    callback=parse_names,
    metavar="A,B",
    help="Columns that identify a row; findings show their values.",
)
@click.option(
    "--strict-nulls/--no-strict-nulls",
    default=True,
    show_default=True,
    help="Refuse nulls in required columns of all types, or only where models refuse them.",
)
@click.option("--refuse-nan", is_flag=True, help="Report NaN as a finding.")
@click.option("--html", metavar="FILE", type=click.Path(), help="Also write the report as a page of HTML.")
@add_contract_options
@SPARK
@CONF
@add_formats
def check(
    table: str,
    contract: str,
    rows: int,
    seed: int,
    method: str,
    row_key: tuple[str, ...],
    html: str | None,
    by_spark: bool,
    conf: tuple[str, ...],
    output_format: str | None,
    json_wanted: bool,
    only_findings: bool,
    **options: Any,
) -> int:
    """Check a table against a contract; exit code 3 if the table breaks it.

    TABLE is a Parquet file, or a directory or URI of Parquet files. CONTRACT is a model directory, a JSON
    file with a signature, another Parquet table, or DDL.
    """
    if table.endswith(".json") and not contract.endswith(".json"):
        raise click.UsageError(f"the table comes before the contract: sparksig check {contract} {table}")
    from sparksig.models.registry import redact_uri
    from sparksig.tables.check import check as check_table
    from sparksig.tables.sample import Sampler

    declared: Any = contract
    if not by_spark:
        choice = {name: options[name] for name in ("types", "missing", "extra")}
        declared = resolve_argument(contract, options["side"], **choice)
    opened = _open_table("sparksig check", table, by_spark, conf)
    sampler = Sampler(rows, seed=seed, method=method)
    report = check_table(opened, declared, sampler=sampler, row_key=row_key or None, **options)
    report = replace(report, table=redact_uri(table))
    write_html(report, html)
    return print_result(
        report,
        list_columns(report),
        f"sparksig check {table}",
        output_format=output_format,
        json_wanted=json_wanted,
        only_findings=only_findings,
    )


# --- diff ---------------------------------------------------------------------------------------------------


@click.command(
    short_help="Report whether one contract can replace another.",
    epilog="\b\nExamples:\n"
    "  sparksig diff model model-new            exit code 3 if callers would break\n"
    "  sparksig diff signature.json model\n"
    "  sparksig diff orders/ model              whether the model can score the table, by its types\n"
    "  sparksig diff 'id int' 'id bigint' --types lossless",
)
@click.argument("old")
@click.argument("new")
@click.option("--side", type=click.Choice(get_args(Side)), help="Compare only this side.")
@click.option(
    "--html", metavar="FILE", type=click.Path(), help="Also write the comparison as a page of HTML."
)
@add_contract_options
@add_formats
def diff(
    old: str,
    new: str,
    side: Side | None,
    html: str | None,
    types: TypeRule | None,
    missing: Missing | None,
    extra: Extra | None,
    output_format: str | None,
    json_wanted: bool,
    only_findings: bool,
) -> int:
    """Report whether NEW can replace OLD, and OLD can replace NEW; exit code 3 if NEW cannot replace OLD.

    Each is a model directory (or its MLmodel), a JSON file with a signature, a Parquet table, or DDL. Tables
    and DDL are compared with the inputs of signatures by default.
    """
    from sparksig.comparison import compare

    comparison = compare(
        resolve_argument(old), resolve_argument(new), side=side, types=types, missing=missing, extra=extra
    )
    write_html(comparison, html)
    return print_result(
        comparison,
        list_sides(comparison),
        f"sparksig diff {old} {new}",
        output_format=output_format,
        json_wanted=json_wanted,
        only_findings=only_findings,
    )


COMMANDS: tuple[click.Command, ...] = (infer, check, diff)
