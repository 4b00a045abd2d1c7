"""Commands about tables: infer, check, diff."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparksig.cli.base import as_json, document_of, names_of, resolve_at, say, show_html, tell
from sparksig.options import Extra, Missing, Side, TypeRule

if TYPE_CHECKING:
    from sparksig.signature import ModelSignature
    from sparksig.tables.sample import SampledSignature

__all__ = ["COMMANDS"]

ROWS = click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="How many rows a sample has.",
)
SEED = click.option(
    "--seed",
    type=click.IntRange(-(2**63), 2**63 - 1),
    default=0,
    metavar="INTEGER",
    help="Of a sample: the same rows for the same seed.",
)
METHOD = click.option(
    "--method",
    type=click.Choice(["partitions", "uniform"]),
    default="partitions",
    show_default=True,
    help="Of a sample: the first rows of some row groups, or each row as likely as any other.",
)
SPARK = click.option(
    "--spark", "by_spark", is_flag=True, help="By Spark: for Delta tables, and tables by name."
)
CONF = click.option(
    "--conf", multiple=True, metavar="KEY=VALUE", help="A Spark setting, with --spark; repeatable."
)


def CONTRACT_OPTIONS(command: Any) -> Any:  # noqa: N802  as the other options are written
    """Add the options of a contract to a command."""
    for name, choices, text in (
        ("--extra", ("forbid", "allow", "warn"), "Columns that are not declared; of a table: forbid."),
        ("--missing", ("forbid", "allow"), "Declared columns that may be absent; of a table: forbid."),
        ("--types", ("exact", "lossless"), "Of a table: as declared (the default), or losslessly widened."),
    ):
        command = click.option(name, type=click.Choice(choices), help=text)(command)
    return command


# --- infer --------------------------------------------------------------------------------------------------


@click.command(
    short_help="The signature of a table, from some rows.",
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
    "--columns", multiple=True, callback=names_of, metavar="A,B", help="The columns to take; all, if none."
)
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Write the signature there, as JSON.")
@SPARK
@CONF
@as_json
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
    """The signature of a table from some of its rows, with what was seen of each column.

    TABLE is a Parquet file, a directory or URI of Parquet files, or a JSON file with an example of what a
    model takes: a record, or a list of records. Columns are optional where nulls were seen.
    """
    evidence: SampledSignature | None = None
    if example.endswith(".json") and not by_spark:
        if columns:
            raise click.UsageError("--columns are those of a table: an example is taken as it is")
        signature = _from_json(Path(example))
    else:
        from sparksig.tables.check import open_table
        from sparksig.tables.infer import infer_table
        from sparksig.tables.sample import Sampler

        opened = open_table(_open_table("sparksig infer", example, by_spark, conf))
        evidence = infer_table(opened, Sampler(rows, seed=seed, method=method), columns or None)
        signature = evidence.signature
    if output is not None:
        from sparksig.jobs.signatures import write_signature

        write_signature(output, signature, {})
    written = f"\nwritten to {output}" if output is not None else ""
    text = signature.to_text() if evidence is None else f"{signature.to_text()}\n{_format_evidence(evidence)}"
    evidence_columns = [] if evidence is None else [asdict(column) for column in evidence.evidence]
    document = {"signature": document_of(signature), "evidence": evidence_columns, "output": output}
    tell(text + written, document, json_wanted)


def _format_evidence(sampled: SampledSignature) -> str:
    """Format the evidence for each column as a line."""
    from sparksig.errors import step
    from sparksig.views import aligned, count_nouns, format_nulls

    rows = max((column.rows for column in sampled.evidence), default=0)
    partitions = max((column.partitions or 0 for column in sampled.evidence), default=0)
    of = f" of {count_nouns(partitions, sampled.noun)}" if partitions else ""
    lines = [
        (step(column.name), format_nulls(column.nulls, None), column.suggestion)
        for column in sampled.evidence
    ]
    return "\n".join([f"seen in {count_nouns(rows, 'row') if rows else 'no rows'}{of}", *aligned(lines)])


def _from_json(path: Path) -> ModelSignature:
    """Infer the signature of the example in a JSON file: records, or an example of MLflow."""
    from sparksig.convert.json import loads
    from sparksig.errors import InferenceError, TableNotFoundError
    from sparksig.infer import infer_signature

    if not path.is_file():
        raise TableNotFoundError(f"there is no file at {str(path)!r}")
    try:
        example = loads(path.read_bytes())
    except ValueError as error:
        raise InferenceError(f"{path}: {error}") from None
    if isinstance(example, dict) and example.keys() in ({"columns", "data"}, {"columns", "data", "index"}):
        example = _records(example["columns"], example["data"], path)
    return infer_signature(example)


def _records(columns: Any, data: Any, path: Path) -> list[dict[str, Any]]:
    """Return the rows of a frame in JSON, which has the names of its columns once."""
    from sparksig.errors import InferenceError

    names = columns if isinstance(columns, list) and all(isinstance(name, str) for name in columns) else None
    if names is None or len(set(names)) < len(names):
        raise InferenceError(f"{path}: the columns of a frame are a list of names, none of them twice")
    if not isinstance(data, list) or not all(
        isinstance(row, list) and len(row) == len(names) for row in data
    ):
        raise InferenceError(f"{path}: the data of a frame are lists of {len(names)} values, one list a row")
    return [dict(zip(names, row)) for row in data]


def _open_table(app: str, table: str, by_spark: bool, conf: tuple[str, ...]) -> Any:
    from sparksig.tables.parquet import open_parquet

    if not by_spark:
        return open_parquet(table)
    from sparksig.cli.spark import read

    return read(app, table, conf)


# --- check --------------------------------------------------------------------------------------------------


@click.command(
    short_help="What of a table breaks a contract.",
    epilog="\b\nExamples:\n"
    "  sparksig check orders/ model\n"
    "  sparksig check orders/ signature.json --mode full --row-key id --html report.html\n"
    "  sparksig check orders/ 'id bigint not null, price double' --mode sample --method uniform\n"
    "  sparksig check lake/orders model --spark --mode full",
)
@click.argument("table", type=click.Path())
@click.argument("contract")
@click.option(
    "--mode",
    type=click.Choice(["schema", "sample", "full"]),
    default="schema",
    show_default=True,
    help="The types alone, the values of some rows, or of all.",
)
@click.option(
    "--side",
    type=click.Choice(["inputs", "outputs"]),
    default="inputs",
    show_default=True,
    help="Of a signature.",
)
@ROWS
@SEED
@METHOD
@click.option(
    "--row-key",
    multiple=True,
    callback=names_of,
    metavar="A,B",
    help="Columns that name a row; their values are shown.",
)
@click.option(
    "--strict-nulls/--no-strict-nulls",
    default=True,
    show_default=True,
    help="Required means values, whatever the type; or as a model takes nulls.",
)
@click.option("--refuse-nan", is_flag=True, help="NaN breaks the contract, too.")
@click.option("--html", metavar="FILE", type=click.Path(), help="Write the report as a page of HTML, too.")
@CONTRACT_OPTIONS
@SPARK
@CONF
@as_json
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
    json_wanted: bool,
    **options: Any,
) -> int:
    """What of a table breaks a contract; ends with exit code 3 if anything does.

    TABLE is a Parquet file, or a directory or URI of Parquet files. CONTRACT is a model directory, a JSON
    file with a signature, another Parquet table, or DDL.
    """
    if table.endswith(".json") and not contract.endswith(".json"):
        raise click.UsageError(f"the table comes first, then the contract: sparksig check {contract} {table}")
    from sparksig.tables.check import check as check_table
    from sparksig.tables.sample import Sampler

    declared: Any = contract
    if not by_spark:
        choice = {name: options[name] for name in ("types", "missing", "extra")}
        declared = resolve_at(contract, options["side"], **choice)
    opened, sampler = (
        _open_table("sparksig check", table, by_spark, conf),
        Sampler(rows, seed=seed, method=method),
    )
    report = check_table(opened, declared, sampler=sampler, row_key=row_key or None, **options)
    show_html(report, html)
    say(report.to_json() if json_wanted else str(report), verdicts=not json_wanted)
    return 0 if report.ok else 3


# --- diff ---------------------------------------------------------------------------------------------------


@click.command(
    short_help="Whether one contract can take another's place.",
    epilog="\b\nExamples:\n"
    "  sparksig diff model model-new            in CI: ends with 3 if callers would break\n"
    "  sparksig diff signature.json model\n"
    "  sparksig diff orders/ model              whether the model can score the table, by its types\n"
    "  sparksig diff 'id int' 'id bigint' --types lossless",
)
@click.argument("old")
@click.argument("new")
@click.option("--side", type=click.Choice(["inputs", "outputs"]), help="Compare nothing else.")
@click.option(
    "--html", metavar="FILE", type=click.Path(), help="Write the comparison as a page of HTML, too."
)
@CONTRACT_OPTIONS
@as_json
def diff(
    old: str,
    new: str,
    side: Side | None,
    html: str | None,
    types: TypeRule | None,
    missing: Missing | None,
    extra: Extra | None,
    json_wanted: bool,
) -> int:
    """Whether NEW can take OLD's place, and the reverse; ends with exit code 3 if NEW cannot.

    Each is a model directory (or its MLmodel), a JSON file with a signature, a Parquet table, or DDL. Tables
    and DDL are compared with the inputs of signatures, unless --side says otherwise.
    """
    from sparksig.comparison import compare

    comparison = compare(
        resolve_at(old), resolve_at(new), side=side, types=types, missing=missing, extra=extra
    )
    show_html(comparison, html)
    say(comparison.to_json() if json_wanted else str(comparison))
    return 0 if comparison.ok else 3


COMMANDS: tuple[click.Command, ...] = (infer, check, diff)
