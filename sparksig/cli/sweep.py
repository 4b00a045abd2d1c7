"""``sparksig sweep``: the staging directories of killed runs and writes."""

from __future__ import annotations

import json
import re

import click

from sparksig.cli.base import add_json_option, print_text

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _parse_age(context: click.Context | None, option: click.Parameter | None, text: str) -> float:  # noqa: ARG001  as click calls it
    """Parse an age such as 12h: a number of seconds, minutes, hours or days.

    Example:
        >>> _parse_age(None, None, "12h"), _parse_age(None, None, "1d")
        (43200.0, 86400.0)
    """
    match = re.fullmatch(r"(\d+)([smhd])", text, re.ASCII)
    if match is None:
        raise click.BadParameter("expected a number of days, hours, minutes or seconds, for example 12h")
    return float(match[1]) * _UNITS[match[2]]


@click.command(
    short_help="List or remove the staging directories of killed runs.",
    epilog="\b\nExamples:\n  sparksig sweep results/\n  sparksig sweep results/ --older-than 7d --delete",
)
@click.argument("path", type=click.Path())
@click.option(
    "--older-than",
    metavar="AGE",
    default="1d",
    show_default=True,
    callback=_parse_age,
    help="Remove only directories that have not changed for this time: 30m, 12h, 7d.",
)
@click.option("--delete", is_flag=True, help="Remove the directories; otherwise they are only listed.")
@add_json_option
def sweep(path: str, older_than: float, delete: bool, json_wanted: bool) -> int:
    """List the staging directories in PATH, and those next to a table at PATH.

    A killed score job or write leaves a hidden directory, .NAME.sparksig-..., next to its output. A job with
    a run id uses it when it is started again; other directories are never read again. A directory that may be
    in use, or has the only copy of some rows, is not removed; the list has the reason.
    """
    from sparksig.jobs.leftovers import find_leftovers, remove_leftover

    leftovers = find_leftovers(path, older_than)
    removable = [leftover for leftover in leftovers if not leftover.obstacle]
    for leftover in removable if delete else ():
        remove_leftover(path, leftover)
    if json_wanted:
        removed = {id(leftover) for leftover in removable} if delete else set()
        bodies = [leftover.to_dict() | {"removed": id(leftover) in removed} for leftover in leftovers]
        print_text(json.dumps({"stagings": bodies}))
        return 0
    for leftover in leftovers:
        verb = "removed " if delete and not leftover.obstacle else ""
        print_text(f"{verb}{leftover}")
    if not leftovers:
        print_text("no staging directories")
    elif removable and not delete:
        print_text("nothing was removed: --delete removes them")
    return 0


COMMANDS: tuple[click.Command, ...] = (sweep,)
