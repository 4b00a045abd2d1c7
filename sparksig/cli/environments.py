"""Commands about the environments of models: env check, env build."""

from __future__ import annotations

import click

from sparksig.cli.base import add_json_option, print_document
from sparksig.cli.models import MODEL


@click.group(
    "env",
    short_help="Compare or build the environment of a model.",
    epilog="\b\nExamples:\n  sparksig env check model\n  sparksig env build model -o env.tar.gz",
)
def env() -> None:
    """Compare the environment of a model with this one, or build it in advance."""


@env.command(
    short_help="Compare an environment with the model's.",
    epilog="\b\nExamples:\n  sparksig env check model\n  sparksig env check model --environment env.tar.gz",
)
@MODEL
@click.option(
    "--environment",
    type=click.Path(dir_okay=False),
    help="A file of `sparksig env build`, also as FILE@sha256:DIGEST. Default: this command's environment.",
)
@add_json_option
def check(model: str, environment: str | None, json_wanted: bool) -> None:
    """Compare the packages of an environment with those that a model was saved with.

    Each difference says whether it matters for loading the model, or may matter. A file that load_model and
    score refuse as environment is refused here with the same message.
    """
    from sparksig.models.directory import ModelDirectory
    from sparksig.models.environments import compare_environment, open_archive
    from sparksig.models.registry import fetch_model

    directory = ModelDirectory.read(fetch_model(model))
    report = compare_environment(directory, None if environment is None else open_archive(environment))
    print_document(str(report), report.to_dict(), json_wanted)


@env.command(
    short_help="Build the model's environment into one file.",
    epilog="\b\nExamples:\n"
    "  sparksig env build model -o env.tar.gz\n"
    "  sparksig env build model -o env.tar.gz --no-index --find-links wheels/",
)
@MODEL
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False), help="The file to write.")
@click.option("--no-index", is_flag=True, help="Install from --find-links only.")
@click.option("--find-links", multiple=True, metavar="PATH", help="A directory or page with wheels.")
@add_json_option
def build(model: str, output: str, no_index: bool, find_links: tuple[str, ...], json_wanted: bool) -> None:
    """Build the environment of a model into one file, for machines that install nothing.

    Installing a package can run its code, so build environments only for models whose origin you trust.
    Pass the file as environment= to load_model, spark_udf and score, or as model.environment in a job. The
    last line of the output also pins its content.
    """
    from pathlib import Path

    from sparksig.models.archives import build_archive
    from sparksig.models.directory import ModelDirectory
    from sparksig.models.registry import fetch_model
    from sparksig.models.seal import hash_file
    from sparksig.models.trust import Trust

    directory = Trust().verify(ModelDirectory.read(fetch_model(model)))
    options = ["--no-index"] if no_index else []
    for link in find_links:
        options += ["--find-links", link]
    info = build_archive(directory, output, options)
    digest = hash_file(Path(output))
    lines = [f"{name}=={version}" for name, version in info.packages.items()]
    title, pinned = f"{output}: Python {info.python}, {len(lines)} packages", f"{output}@sha256:{digest}"
    text = "\n".join([title, *lines, f"environment {pinned}"])
    print_document(text, info.to_dict() | {"output": output, "digest": digest}, json_wanted)


COMMANDS = (env,)
