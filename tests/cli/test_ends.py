"""How commands end: usage, interrupts, pipes, terminals, encodings; some in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig import ColSpec, ModelSignature, Schema
from sparksig.cli import cli
from sparksig.cli.base import Commands, parse_names
from tests.cli.runner import runner

HOME = Path(__file__).parents[2]
COMMANDS = sorted(cli.commands)
DOUBLE = Schema([ColSpec("double", "x")])


def run(*args, env=None, **options):
    """Run `python -m sparksig` in a new process."""
    options = {"capture_output": True, "timeout": 60, "cwd": HOME, **options}
    return subprocess.run(
        [sys.executable, "-m", "sparksig", *args], env={**os.environ, **(env or {})}, check=False, **options
    )


# --- imports ------------------------------------------------------------------------------------------------

_LIST_IMPORTS = """
import sys
from sparksig.cli import cli
cli.main(sys.argv[2:], standalone_mode=False)
print([name for name in sys.argv[1].split(",") if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("unused", "arguments"),
    [
        pytest.param("numpy,pandas,pyarrow,yaml", "digest {model}", id="digest"),
        pytest.param("pandas,sklearn,skops,pydantic", "diff {model} {model}", id="diff"),
        pytest.param("pandas,sklearn,skops,pydantic", "check {table} {model}", id="check"),
        pytest.param("pandas,sklearn,skops,pydantic", "infer {table}", id="infer"),
    ],
)
def test_command_imports_only_what_it_needs(tmp_path, unused, arguments):
    sparksig.save_model(
        tmp_path / "model", LinearRegression().fit([[0.0], [1.0]], [0, 1]), ModelSignature(DOUBLE, DOUBLE)
    )
    pq.write_table(pa.table({"x": [1.5]}), tmp_path / "table.parquet")
    words = arguments.format(model=tmp_path / "model", table=tmp_path / "table.parquet").split()
    command = [sys.executable, "-c", _LIST_IMPORTS, unused, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=HOME)
    assert done.stdout
    assert done.stderr.splitlines()[-1] == "[]"


# --- help and usage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example_and_json_for_machines(name):
    done = runner().invoke(cli, [name, "--help"], prog_name="sparksig")
    assert done.exit_code == 0
    assert f"sparksig {name}" in done.stdout.partition("Example")[2]
    assert (
        "..." not in runner().invoke(cli, ["--help"]).stdout.partition(f"\n  {name} ")[2].partition("\n")[0]
    )
    if name not in ("completion", "env"):  # a group of commands
        assert "--json" in done.stdout


def test_the_exit_codes_that_the_help_lists_are_those_of_jobs():
    from sparksig.jobs import EXIT_CODES

    text = " ".join(runner().invoke(cli, ["--help"]).stdout.split())
    listed = text.partition("Exit codes: ")[2].partition(". Options")[0]
    assert {int(part.split()[0]) for part in listed.split(", ")} == {0, 1} | {
        code for code, _ in EXIT_CODES.values()
    }


def test_a_mistyped_command_or_option():
    done = runner().invoke(cli, ["shwo", "model"], prog_name="sparksig")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith("Error: unknown command 'shwo': did you mean 'show'?\n")
    done = runner().invoke(cli, ["xyz"], prog_name="sparksig")
    assert done.stderr.endswith("Error: unknown command 'xyz': see sparksig --help\n")
    done = runner().invoke(cli, ["check", "--json", "--mod", "full"], prog_name="sparksig")
    body = json.loads(done.stdout)
    assert (done.exit_code, body["exit_code"], body["findings"]) == (2, 2, [])
    assert "--mod" in body["error"]


def test_names_with_commas():
    assert parse_names(None, None, ("a,b", "c,,d", ",", "")) == ("a", "b", "c,d")


# --- unexpected errors --------------------------------------------------------------------------------------


@pytest.fixture
def failing():
    @click.group(cls=Commands)
    def group():
        pass

    @group.command()
    @click.argument("how")
    @click.option("--json", is_flag=True)
    def fail(how, json):
        errors = {
            "bug": ZeroDivisionError("a value"),
            "disk": OSError(28, "No space left on device", "x"),
            "stop": KeyboardInterrupt(),
            "worker": RuntimeError("sparksig.errors.ContractError: broken"),
        }
        raise errors[how]

    return group


def test_bug_is_logged_and_error_of_the_system_is_not(failing):
    done = runner().invoke(failing, ["fail", "bug"])
    assert done.exit_code == 1
    first, log = done.stderr.splitlines()
    assert first == (
        "sparksig: unexpected error ZeroDivisionError. Report it with the log, which may hold your data"
    )
    text = Path(log.removeprefix("  log: ")).read_text(encoding="utf-8")
    assert "Traceback" in text
    assert "ZeroDivisionError: a value" in text
    done = runner().invoke(failing, ["fail", "disk"])
    assert (done.exit_code, done.stderr) == (1, "sparksig: x: No space left on device\n")
    done = runner().invoke(failing, ["fail", "worker"])
    assert (done.exit_code, done.stderr.splitlines()[0]) == (3, "sparksig: broken")
    done = runner().invoke(failing, ["fail", "stop"])
    assert done.exit_code == 130
    done = runner().invoke(failing, ["fail", "bug", "--json"])
    assert json.loads(done.stdout)["exit_code"] == 1
    assert failing.main(["fail", "disk"], standalone_mode=False) == 1


# --- processes ----------------------------------------------------------------------------------------------


def test_help_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys, sparksig.cli\n"
        "heavy = ('numpy', 'pandas', 'pyarrow', 'pyspark', 'pydantic', 'yaml', 'sklearn', 'mlflow')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HOME)
    assert done.stdout == "[]\n"
    before = os.times()
    assert run("--help").returncode == 0
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    assert used < 0.3  # processor time, which does not depend on the load


def test_the_entry_point_is_the_same_command():
    script = Path(sys.executable).with_name("sparksig")
    if not script.exists():
        pytest.skip("the package is not installed here: its directory is on the path")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == run("--version", text=True).stdout == "sparksig 0.1.0\n"


def test_a_closed_pipe_is_not_an_error():
    done = subprocess.run(
        f"{sys.executable} -m sparksig completion zsh | true; echo ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, cwd=HOME, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")
@pytest.mark.parametrize("args", [["completion", "zsh"], ["digest", "no-such-model", "--json"]])
def test_a_full_or_closed_output_is_not_a_bug(args):
    command = [sys.executable, "-m", "sparksig", *args]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=HOME, check=False)
    assert (done.returncode, done.stderr) == (1, "sparksig: standard output: No space left on device\n")
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command],
        stderr=subprocess.PIPE,
        text=True,
        cwd=HOME,
        check=False,
    )
    assert done.returncode == (8 if "--json" in args else 0)
    assert "Traceback" not in done.stderr


def test_a_file_name_that_is_not_utf8(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    done = run("infer", str(tmp_path), "-o", os.fsencode(tmp_path) + b"/\xff.json")
    assert done.returncode == 1
    assert done.stderr == b"sparksig: a name is not valid UTF-8\n"


def test_names_that_the_encoding_lacks_are_escaped(tmp_path):
    pq.write_table(pa.table({"日本": [1]}), tmp_path / "x.parquet")
    env = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    done = run("check", str(tmp_path), "`日本` bigint", env=env)
    assert done.returncode == 0
    assert b"\\u65e5\\u672c" in done.stdout
    done = run("check", str(tmp_path), "`日本` string", "--json", env=env)
    assert json.loads(done.stdout)["findings"][0]["path"] == "日本"


@pytest.mark.parametrize("color", [True, False])
def test_only_terminals_get_colors(tmp_path, color):
    pty = pytest.importorskip("pty")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    ours, theirs = pty.openpty()
    env = {"NO_COLOR": ""} if color else {"NO_COLOR": "1"}
    done = run(
        "check", str(tmp_path), "x bigint, y string not null", env=env, capture_output=False, stdout=theirs
    )
    os.close(theirs)
    output = os.read(ours, 10_000).decode()
    os.close(ours)
    assert done.returncode == 3
    assert ("\x1b[32mok" in output, "\x1b[31mfails" in output) == (color, color)
    plain = run("check", str(tmp_path), "x bigint, y string not null", env=env)
    assert b"\x1b" not in plain.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_completion_in_bash(tmp_path):
    """Run the script, and compare its completions."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "sparksig"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m sparksig "$@"\n')
    script.chmod(0o755)
    code = """
    eval "$(sparksig completion bash)"
    ask() {
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        _sparksig_completion sparksig; echo "${COMPREPLY[@]}"
    }
    ask sparksig di
    ask sparksig check --mo
    ask sparksig export m --to o
    """
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(HOME)}
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.splitlines() == ["diff digest", "--mode", "odcs oip"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts_for_other_shells(shell):
    done = runner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0
    assert "_SPARKSIG_COMPLETE" in done.stdout
