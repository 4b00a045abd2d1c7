"""The README's code runs, prints what it says, and its tables are those of the code."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from sparksig.jobs import EXIT_CODES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

pytestmark = pytest.mark.once


@pytest.mark.filterwarnings("ignore")  # of the libraries that the README shows together
def test_the_code_runs_and_prints_what_is_shown(spark, tmp_path, monkeypatch):
    """Python and commands, in the README's order and in one directory: what one makes, another takes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    names = {"spark": spark}
    runner = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL | doctest.ELLIPSIS)
    blocks = re.findall(r"```(python|console)\n(.*?)```", README, re.DOTALL)
    assert {language for language, _ in blocks} == {"python", "console"}
    for language, block in blocks:
        if language == "console":
            _run_commands(block)
            continue
        if ">>>" not in block:
            exec(block, names)
            continue
        test = doctest.DocTestParser().get_doctest(block, names, "README", "README.md", 0)
        test.globs = names  # blocks build on each other
        report = []
        runner.run(test, out=report.append, clear_globs=False)
        assert runner.summarize(verbose=False).failed == 0, "".join(report)


def _run_commands(block):
    """Each line after a dollar sign, and what it prints."""
    for shown in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, expected = shown.partition("\n")
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
        assert "Traceback" not in done.stderr, done.stderr
        same = doctest.OutputChecker().check_output(expected, done.stdout, doctest.ELLIPSIS)
        assert same, f"{command}\n{done.stdout}{done.stderr}"


def test_commands_that_need_a_cluster_are_spark_submits_and_name_what_is_there():
    """What no test can run: its flags are known, its files are there, its settings load."""
    options = subprocess.run(
        [sys.executable, "-c", "import pyspark, os; print(os.path.dirname(pyspark.__file__))"],
        capture_output=True, text=True,
    )  # fmt: skip
    submit = Path(options.stdout.strip()) / "bin" / "spark-submit"
    told = subprocess.run([str(submit), "--help"], capture_output=True, text=True, timeout=120)
    known = set(re.findall(r"--[a-z-]+", told.stdout + told.stderr))
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).replace("\\\n", " ")
    commands = [line for line in blocks.splitlines() if line.startswith("spark-submit")]
    assert len(commands) >= 5
    for command in commands:
        words = shlex.split(command)
        script = next(at for at, word in enumerate(words) if word.endswith(".py"))
        assert {word for word in words[1:script] if word.startswith("--")} <= known, command
        assert (ROOT / "jobs" / Path(words[script]).name).is_file(), command
        assert set(words[script:]) & {"--config"}, command
        for given in (word for word in words if word.startswith("conf/")):
            assert (ROOT / given).is_file(), command


def test_every_other_block_is_of_a_kind_that_is_looked_at():
    kinds = set(re.findall(r"^```(\w+)$", README, re.MULTILINE))
    assert kinds == {"python", "console", "sh", "text"}
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).replace("\\\n", " ").splitlines()
    starts = {line.split()[0] for line in lines if line and not line.startswith("#")}
    assert starts <= {"make", "spark-submit"}


def test_the_error_shown_is_the_one_raised(frame_of, tmp_path):
    """doctest compares the first line of an exception only; its findings are compared here."""
    import sparksig
    from sparksig.spark.bind import bind
    from tests.spark import models

    model, frame = models.regression()
    models.save_sklearn(tmp_path / "model", model, frame)
    signature = sparksig.load_model(tmp_path / "model").signature
    broken = frame_of(pa.Table.from_pandas(frame.astype({"age": str}).rename(columns={"bmi": "BMI"})))
    with pytest.raises(sparksig.ContractError) as error:
        bind(broken.schema, signature.inputs)
    assert str(error.value) in README


def test_the_findings_shown_are_those_raised():
    """As above, of every example whose error the README shows in full."""
    import pandas as pd

    import sparksig

    with pytest.raises(sparksig.InferenceError) as error:
        sparksig.infer_signature([{"id": 2**70, "tags": ["a", 1], "who": {"born": (2020, 1)}}])
    assert str(error.value) in README
    contract = sparksig.Schema(
        [
            sparksig.ColSpec("long", "id"),
            sparksig.ColSpec("double", "price"),
            sparksig.ColSpec(sparksig.Array("string"), "tags"),
        ]
    )
    with pytest.raises(sparksig.ContractError) as error:
        sparksig.enforce(pd.DataFrame({"id": [7.5], "price": [3], "tags": [["new", 1]]}), contract)
    assert str(error.value) in README
    for shown in re.findall(r"sparksig\.errors\.\w+: (.*?)```", README, re.DOTALL):
        found, text = re.search(r": (\d+) findings?\n", shown), shown.splitlines()
        assert found is None or len(text) == 1 + int(found[1])


def test_the_exit_codes_are_those_of_the_code():
    stated = dict(re.findall(r"^\| (\d+) \| (.*?) \|$", README, re.MULTILINE))
    known = {str(code): text for code, text in EXIT_CODES.values()}
    assert stated == known | {"0": "done", "1": "anything else", "130": "interrupted"}


def test_every_target_that_is_named_exists():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
