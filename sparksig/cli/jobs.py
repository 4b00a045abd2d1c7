"""``sparksig score``: the score job, by its configuration, or by a command line that says the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sparksig.cli.base import as_json, names_of, say
from sparksig.cli.spark import where

if TYPE_CHECKING:
    from sparksig.jobs import ScoreConfig

__all__ = ["COMMANDS"]


@click.command(
    short_help="Score a table with a model, on Spark or without it.",
    epilog="\b\nExamples:\n"
    "  sparksig score --config score.yaml --set input.path=/data/today\n"
    "  sparksig score model orders/ scored/ --keep id,day --dry-run\n"
    "  sparksig score model orders/ scored/ --keep id --engine local\n"
    "  sparksig score model orders/ scored/ --keep id --set model.allow_pickle=true --set budget.rows=10",
)
@click.argument("places", nargs=-1, metavar="[MODEL INPUT OUTPUT]", type=click.Path())
@click.option("--config", metavar="FILE", type=click.Path(), help="A YAML file, as conf/score.yaml.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="A key of the configuration; repeatable."
)
@click.option(
    "--keep",
    multiple=True,
    callback=names_of,
    metavar="A,B",
    help="Columns to keep beside the prediction; * for all.",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "spark", "direct", "local"]),
    help="Who reads, scores and writes; local needs no Spark.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing of it.")
@as_json
def score(
    places: tuple[str, ...],
    config: str | None,
    overrides: tuple[str, ...],
    keep: tuple[str, ...],
    engine: str | None,
    dry_run: bool,
    json_wanted: bool,
) -> int:
    """Score a table with a model, and write the predictions: the same job as jobs/score.py.

    Either --config, or MODEL, INPUT (a path, or the name of a table), OUTPUT (a path) and --keep; --set says
    whatever else a configuration can. Exit codes are those of the job.
    """
    from sparksig.jobs import JOBS, ScoreConfig, load_config

    if (config is None) == (not places) or (places and len(places) != 3):
        raise click.UsageError("either --config FILE, or MODEL INPUT OUTPUT")
    if config is not None and keep:
        raise click.UsageError("--keep with MODEL INPUT OUTPUT; with --config, --set output.keep=[...]")
    if engine is not None:
        overrides = (*overrides, f"engine={engine}")
    job = JOBS["score"]
    chosen = load_config(config, ScoreConfig, overrides) if config else _configured(places, keep, overrides)
    if dry_run:
        plan = job.plan(chosen)
        say(plan.to_json() if json_wanted else str(plan))
        return plan.exit_code
    report = job.do(chosen)
    say(report.to_json() if json_wanted else str(report))
    return 0


def _configured(places: tuple[str, ...], keep: tuple[str, ...], overrides: tuple[str, ...]) -> ScoreConfig:
    from sparksig.jobs import ScoreConfig
    from sparksig.jobs.loading import build_config

    model, source, output = (place.replace("${env:", "$${env:") for place in places)  # the shell has expanded
    kept = {"keep": "*" if keep == ("*",) else list(keep)} if keep else {}
    data = {"model": {"path": model}, "input": where(source), "output": {"path": output, **kept}}
    return build_config(data, ScoreConfig, overrides, "the command line")


COMMANDS: tuple[click.Command, ...] = (score,)
