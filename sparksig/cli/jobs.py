"""``sparksig score``: the score job, by a configuration or by arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sparksig.cli.base import add_json_option, escape_variables, parse_names, print_text
from sparksig.cli.spark import locate_table

if TYPE_CHECKING:
    from sparksig.jobs import ScoreConfig


@click.command(
    short_help="Score a table with a model, on Spark or without it.",
    epilog="\b\nExamples:\n"
    "  sparksig score --config score.yaml --set input.path=/data/today\n"
    "  sparksig score model orders/ scored/ --keep id,day --dry-run\n"
    "  sparksig score model orders/ scored/ --keep id --engine local\n"
    "  sparksig score model orders/ scored/ --keep id --set model.allow_pickle=true --set budget.rows=10",
)
@click.argument("paths", nargs=-1, metavar="[MODEL INPUT OUTPUT]", type=click.Path())
@click.option(
    "--config", metavar="FILE", type=click.Path(), help="A YAML file, for example from sparksig init."
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A key of the configuration; repeatable."
)
@click.option(
    "--keep",
    multiple=True,
    callback=parse_names,
    metavar="A,B",
    help="Columns of the input in the output; * for all.",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "spark", "direct", "local"]),
    help="The engine that reads, scores and writes; local needs no Spark.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan, and do nothing else.")
@add_json_option
def score(
    paths: tuple[str, ...],
    config: str | None,
    overrides: tuple[str, ...],
    keep: tuple[str, ...],
    engine: str | None,
    dry_run: bool,
    json_wanted: bool,
) -> int:
    """Score a table with a model, and write the predictions: the same job as jobs/score.py.

    Pass either --config, or MODEL, INPUT (a path, or the name of a table), OUTPUT (a path) and --keep. --set
    sets any other key of a configuration. Exit codes are those of the job.
    """
    from sparksig.jobs import JOBS, ScoreConfig, load_config

    if (config is None) == (not paths) or (paths and len(paths) != 3):
        raise click.UsageError("pass either --config FILE, or MODEL INPUT OUTPUT")
    if config is not None and keep:
        raise click.UsageError("--keep needs MODEL INPUT OUTPUT; with --config, pass --set output.keep=[...]")
    if engine is not None:
        overrides = (*overrides, f"engine={engine}")
    job = JOBS["score"]
    chosen = load_config(config, ScoreConfig, overrides) if config else _build_config(paths, keep, overrides)
    if dry_run:
        plan = job.plan(chosen)
        print_text(plan.to_json() if json_wanted else str(plan))
        return plan.exit_code
    report = job.run(chosen)
    print_text(report.to_json() if json_wanted else str(report))
    return 0


def _build_config(paths: tuple[str, ...], keep: tuple[str, ...], overrides: tuple[str, ...]) -> ScoreConfig:
    from sparksig.jobs import ScoreConfig
    from sparksig.jobs.loading import build_config

    model, source, output = map(escape_variables, paths)
    keep_section = {"keep": "*" if keep == ("*",) else list(keep)} if keep else {}
    data = {
        "model": {"path": model},
        "input": locate_table(source),
        "output": {"path": output, **keep_section},
    }
    return build_config(data, ScoreConfig, overrides, "the command line")


COMMANDS: tuple[click.Command, ...] = (score,)
