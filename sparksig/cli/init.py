"""``sparksig init``: a commented configuration of a score job."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparksig.cli.base import add_json_option, escape_variables, print_document, print_error
from sparksig.cli.models import MODEL, find_permission
from sparksig.cli.spark import locate_table

if TYPE_CHECKING:
    from sparksig.models.directory import ModelDirectory

_HEADER = """\
# The configuration of a score job: which model scores which table, and the output.
# Print the plan:  {plan}
# Run the job:     {run}
#
# Keys after a "#" are optional; their values are defaults or examples. To set a key, remove its "#", and the
# "#" of its section. Relative paths start at the current directory. ${{env:NAME}} in a text stands for a
# variable of the environment.

"""
_EXAMPLES = {
    "input.schema": "id bigint, price double",
    "input.filter": "price > 0",
    "budget.rows": 100,
    "budget.share": 0.001,
    "quarantine.path": "rejected",
    "report.json": "score-{run_id}.json",
    "report.html": "score-{run_id}.html",
    "run_id": "nightly-2026-01-31",
    "spark": {"spark.sql.session.timeZone": "UTC"},
}
_KEPT_COLUMNS = 20


@click.command(
    short_help="Write a commented configuration of a score job.",
    epilog="\b\nExamples:\n"
    "  sparksig init model orders/\n"
    "  sparksig init models:/churn/7 sales.orders -o nightly.yaml",
)
@MODEL
@click.argument("table", metavar="TABLE", type=click.Path())
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    default="score.yaml",
    show_default=True,
    help="The file to write.",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@add_json_option
def init(model: str, table: str, output: str, force: bool, json_wanted: bool) -> None:
    """Write a configuration that scores TABLE with MODEL, with a comment for each key.

    MODEL is a directory or a URI, and TABLE is a path, or the name of a table in the catalog. The predictions
    are written to TABLE-scored, next to the table. The job runs with the file unchanged; edit it as needed.
    """
    from sparksig.errors import OutputRefusedError
    from sparksig.jobs.config import ScoreConfig
    from sparksig.jobs.config_text import write_config
    from sparksig.jobs.loading import build_config
    from sparksig.jobs.start_checks import use_config_keys
    from sparksig.models.directory import ModelDirectory
    from sparksig.models.registry import fetch_model

    if Path(output).exists() and not force:
        raise OutputRefusedError(f"{output}: the file exists. Pass --force to replace it, or -o FILE")
    directory = ModelDirectory.read(fetch_model(model))
    values = _choose_values(model, table, directory)
    build_config(values, ScoreConfig, (), "the command line")
    run = f"sparksig score --config {shlex.quote(output)}"
    header = _HEADER.format(plan=f"{run} --dry-run", run=run)
    text = write_config(ScoreConfig, values, _EXAMPLES)
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    Path(output).write_text(f"{header}{text}\n", encoding="utf-8")
    permission = find_permission(directory)
    if permission:
        print_error(f"note: {use_config_keys(permission)} in {output}")
    document = {"config": output, "dry_run": f"{run} --dry-run", "output": values["output"]}
    print_document(f"written to {output}. Print the plan with:\n  {run} --dry-run", document, json_wanted)


def _choose_values(model: str, table: str, directory: ModelDirectory) -> dict[str, Any]:
    """Choose the values of the configuration for a model and a table."""
    from sparksig.tables.parquet import open_parquet

    location = {key: escape_variables(value) for key, value in locate_table(table).items()}
    columns = [column.name for column in open_parquet(table).columns] if location.keys() == {"path"} else []
    schema = directory.require_signature(model).inputs
    inputs = () if schema is None else schema.input_names()
    keep = [name for name in columns if name not in inputs]
    output = {key: _name_output(value) for key, value in location.items() if key != "format"}
    return {
        "model": {"path": escape_variables(model), "allow_pickle": False},
        "input": location,
        "output": {
            **output,
            "mode": "error",
            "column": _choose_column(columns),
            "keep": keep if 0 < len(keep) <= _KEPT_COLUMNS else "*",
        },
    }


def _name_output(source: str) -> str:
    """Return the path or the name of an output beside a table.

    Example:
        >>> _name_output("data/orders/"), _name_output("orders.parquet"), _name_output("sales.orders")
        ('data/orders-scored', 'orders-scored', 'sales.orders_scored')
    """
    if "/" not in source and not source.endswith(".parquet") and not Path(source).exists():
        return f"{source}_scored"
    return f"{source.rstrip('/').removesuffix('.parquet')}-scored"


def _choose_column(columns: list[str]) -> str:
    """Return a name for the predictions that no column of the table has, in any case."""
    existing = {name.lower() for name in columns}
    names = ("prediction", *(f"prediction_{number}" for number in range(2, len(columns) + 3)))
    return next(name for name in names if name not in existing)
