"""The command line: ``sparksig show | infer | check | init | score | diff | export | ...``.

Commands import heavy modules when they run, so that ``--help`` is fast.
"""

from __future__ import annotations

from typing import NoReturn

import click

from sparksig import __version__
from sparksig.cli import environments, jobs, models, sweep, tables
from sparksig.cli.base import Commands, print_text
from sparksig.cli.init import init
from sparksig.cli.show import show

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=Commands, context_settings=_SETTINGS)
@click.version_option(__version__, message="sparksig %(version)s")
def cli() -> None:
    """Models and tables under a contract: show signatures, check tables, score tables.

    \b
    Examples:
      sparksig show model                        the inputs and outputs of a model
      sparksig check orders/ model --mode full   whether a table can be scored
      sparksig infer orders/ -o signature.json   the signature of a table
      sparksig init model orders/                a configuration of the score job
      sparksig diff model model-new              whether the new model can replace the old one

    Exit codes: 0 done, 2 usage or configuration, 3 findings, 4 error budget exceeded, 5 model damaged or not
    trusted, 6 output refused, 7 no such configuration, 8 no such model, 9 no such table, 10 the model failed,
    1 other errors.
    """  # noqa: D301  click's mark for lines to leave alone


for command in (
    show,
    *models.COMMANDS,
    *tables.COMMANDS,
    init,
    *jobs.COMMANDS,
    *sweep.COMMANDS,
    *environments.COMMANDS,
):
    cli.add_command(command)


@cli.command(
    short_help="Print the completion script of a shell.",
    epilog='\b\nExample, for ~/.bashrc:\n  eval "$(sparksig completion bash)"',
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, options and files in a shell."""
    from click.shell_completion import get_completion_class

    completer = get_completion_class(shell)
    assert completer is not None
    print_text(completer(cli, {}, "sparksig", "_SPARKSIG_COMPLETE").source())


def main() -> NoReturn:
    """Run the command line: ``sparksig`` and ``python -m sparksig``."""
    cli.main(prog_name="sparksig")
    raise AssertionError("the command has ended the process")
