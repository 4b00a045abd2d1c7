"""The output and exit codes of the commands. No Java."""

from __future__ import annotations

import json
import re
import shutil
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.linear_model import LinearRegression

import sparksig
from sparksig.cli import cli
from tests.cli.runner import runner

DATA = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})


def double(model_input):
    return model_input["a"] * 2


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Models that are saved once; tests copy them before a change."""
    home = tmp_path_factory.mktemp("models")
    model = LinearRegression().fit(DATA, [1.0, 2.0])
    sparksig.save_model(
        home / "linear", model, input_example=DATA, metadata={"team": "x\x1b[31m", "n": float("nan")}
    )
    sparksig.save_model(home / "double", double, input_example=DATA)
    return home


@pytest.fixture
def place(saved, tmp_path, monkeypatch):
    """The current directory of the commands, with models and a table."""
    for name in ("linear", "double"):
        shutil.copytree(saved / name, tmp_path / name)
    (tmp_path / "orders").mkdir()
    table = pa.table(
        {"id": [1, 2, None], "a": [1.0, None, 3.0], "b": [1.0, 2.0, 3.0], "tags": [["x"], None, ["y"]]}
    )
    pq.write_table(table, tmp_path / "orders" / "part.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_command(*args, code=0, **options):
    """Run a command; return its standard output, or its standard error if it fails."""
    done = runner().invoke(cli, [str(arg) for arg in args], prog_name="sparksig", **options)
    assert done.exit_code == code, done.output
    return done.stdout if code in (0, 3) and done.stdout else done.stderr


def document(*args, code=0, **options):
    """Run a command with --json; return its document."""
    done = runner().invoke(cli, [*map(str, args), "--json"], prog_name="sparksig", **options)
    assert done.exit_code == code, done.output
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


# --- show and digest ----------------------------------------------------------------------------------------


def test_show(place):
    text = run_command("show", "linear")
    digest = sparksig.digest("linear")
    for line in (
        "model     linear",
        "format    sklearn (skops)",
        "flavors   python_function, sklearn",
        "loads     without permissions: nothing in it can run code",
        f"digest    {digest}",
        "seal      intact",
        "example   input_example.json",
        "  a  double  required",
        "  (column 0)  double  required",
    ):
        assert f"\n{line}" in f"\n{text}"
    assert '{"n": null, "team": "x\\u001b[31m"}' in text  # nothing that steers a terminal
    body = document("show", "linear")
    assert (body["digest"], body["sealed"], body["damage"]) == (digest, True, None)
    assert (body["bytes"], body["files"]) == (sum(f.stat().st_size for f in (place / "linear").iterdir()), 8)
    assert body["signature"]["inputs"][0] == {"type": "double", "name": "a", "required": True}
    assert body["packages"]["scikit-learn"]


def test_show_describes_permissions_and_changes(place):
    assert "loads     loading a pickled PythonModel can run any code in it." in run_command("show", "double")
    assert "allow_pickle=True" in document("show", "double")["loads"]
    (place / "linear" / "input_example.json").write_text("{}")
    done = runner().invoke(cli, ["show", "linear"])
    assert done.exit_code == 5
    assert "changed or missing since the model was sealed: 'input_example.json'" in done.stdout
    assert document("show", "linear", code=5)["damage"].endswith("remove SHA256SUMS")


def test_show_a_model_without_a_signature(place):
    config = yaml.safe_load((place / "linear" / "MLmodel").read_text())
    del config["signature"]
    (place / "linear" / "MLmodel").write_text(yaml.safe_dump(config))
    (place / "linear" / "SHA256SUMS").unlink()
    text = run_command("show", "linear/MLmodel")
    assert text.endswith("no signature: set one with sparksig set-signature\n")
    assert "seal      none" in text
    assert document("show", "linear")["signature"] is None


def test_show_a_model_without_python_function(place):
    (place / "mleap").mkdir()
    (place / "mleap" / "MLmodel").write_text(
        "flavors:\n  mleap: {mleap_version: 0.20.0}\n"
        """signature:\n  inputs: '[{"type": "double", "name": "dose", "required": true}]'\n"""
    )
    text = run_command("show", "mleap")
    assert re.search(r"^flavors +mleap$", text, re.MULTILINE)
    assert "loads    the model has no flavor 'python_function' (it has: mleap)" in text
    assert "dose  double  required" in text
    assert document("show", "mleap")["flavors"] == ["mleap"]


def test_show_a_signature_file(place):
    sparksig.get_model_info("linear").signature.to_json("signature.json")
    text = run_command("show", "signature.json")
    assert text.startswith("file  signature.json\n\ninputs\n")
    body = document("show", "signature.json")
    assert body == {"file": "signature.json", "signature": document("show", "linear")["signature"]}
    (place / "signature.json").write_text('{"inputs": [{"type": "long", "nmae": "a"}]}')
    assert "did you mean 'name'?" in run_command("show", "signature.json", code=1)
    assert run_command("show", "signatur.json", code=8) == (
        "sparksig: there is no model directory at 'signatur.json'. Did you mean 'signature.json'?\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "orders", "bare"),
        ("diff", "bare", "linear"),
        ("export", "bare", "--to", "ddl"),
        ("set-signature", "linear", "bare"),
        ("score", "bare", "orders", "scored", "--keep", "*", "--set", "model.allow_pickle=true"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_model_without_a_signature_is_not_damaged(place, arguments):
    (place / "bare").mkdir()
    (place / "bare" / "MLmodel").write_text("flavors: {python_function: {loader_module: x}}\n")
    error = run_command(*arguments, code=2)
    assert "bare: the model has no signature" in error
    assert "Traceback" not in error
    assert "damaged" not in error


def test_digest(place):
    assert run_command("digest", "linear") == sparksig.digest("linear") + "\n"
    assert document("digest", "linear") == {"model": "linear", "digest": sparksig.digest("linear")}
    message = "there is no model directory at 'liner'. Did you mean 'linear'?"
    assert run_command("digest", "liner", code=8) == f"sparksig: {message}\n"
    assert document("digest", "liner", code=8) == {
        "error": message, "findings": [], "exit_code": 8}  # fmt: skip
    message = "'orders' is not a model directory: it has no file MLmodel"
    assert run_command("digest", "orders", code=8) == f"sparksig: {message}\n"


# --- infer --------------------------------------------------------------------------------------------------


def test_infer_from_parquet_and_write(place):
    assert run_command("infer", "orders", "-o", "signature.json") == (
        "inputs\n"
        "  id    long           optional\n"
        "  a     double         optional\n"
        "  b     double         required\n"
        "  tags  Array(string)  optional\n"
        "outputs\n"
        "  none\n"
        "seen in 3 rows of 1 row group\n"
        "  id    1 null\n"
        "  a     1 null\n"
        "  b     no nulls\n"
        "  tags  1 null\n"
        "written to signature.json\n"
    )
    assert json.loads((place / "signature.json").read_text())["inputs"][2] == {
        "type": "double", "name": "b", "required": True}  # fmt: skip
    assert run_command("check", "orders", "signature.json", "--mode", "full").startswith(
        "the table fits the contract"
    )
    run_command("infer", "orders", "-o", "signature.json")  # the same may be there
    assert "nothing was written" in run_command(
        "infer", "orders", "--columns", "id", "-o", "signature.json", code=6
    )


def test_the_document_of_a_check_names_the_table(place):
    assert document("check", "orders", "id bigint", "--mode", "full", code=3)["table"] == "orders"


def test_infer_some_columns_and_rows(place):
    body = document("infer", "orders", "--columns", "id,b", "--rows", 2)
    assert [column["name"] for column in body["evidence"]] == ["id", "b"]
    assert [(column["rows"], column["nulls"]) for column in body["evidence"]] == [(2, 0), (2, 0)]
    assert body["signature"]["outputs"] is None
    error = document("infer", "orders", "--columns", "ID", code=3)
    assert error["findings"][0]["hint"] == "did you mean 'id'? Names are case sensitive"


def test_infer_from_an_example(place):
    assert "  a  double  required" in run_command("infer", "linear/input_example.json")
    (place / "example.json").write_text('[{"who": {"name": "Ada"}}, {"who": null}]')
    assert "  who  {name: string (optional)}  optional" in run_command("infer", "example.json")
    (place / "example.json").write_text('{"n": 1}')
    done = runner().invoke(cli, ["infer", "example.json"])
    assert done.stderr.startswith("sparksig: note: Handling Integers With Missing Values: ")
    (place / "example.json").write_text('[{"n": 1}, {"n": "x"}]')
    mixed = "n: expected values of one type, got long and string [MIXED_TYPES]"
    assert mixed in run_command("infer", "example.json", code=1)
    assert "--columns selects columns of a table" in run_command(
        "infer", "example.json", "--columns", "n", code=2
    )
    (place / "example.json").write_text('[{"n": 1')
    assert run_command("infer", "example.json", code=1).startswith("sparksig: example.json: ")
    assert run_command("infer", "none.json", code=9) == "sparksig: no file at 'none.json'\n"


@pytest.mark.parametrize(
    ("columns", "data", "text"),
    [
        (1, [[1]], "the columns of a frame are a list of distinct names"),
        ([["a"]], [[1]], "the columns of a frame are a list of distinct names"),
        (["a", "a"], [[1, 2]], "list of distinct names"),
        (["a", "b"], [[1, 2], [1]], "the data of a frame are lists of 2 values"),
        (["a"], [[1, 2]], "the data of a frame are lists of 1 values"),
        (["a"], {"x": 1}, "the data of a frame are lists of 1 values"),
    ],
)
def test_a_malformed_frame_is_refused(place, columns, data, text):
    (place / "example.json").write_text(json.dumps({"columns": columns, "data": data}))
    assert text in document("infer", "example.json", code=1)["error"]


# --- check --------------------------------------------------------------------------------------------------


def test_check(place):
    assert run_command("check", "orders", "linear") == (
        "the table fits the contract (linear, inputs): schema checked\n"
        "  a  double  double  ok\n"
        "  b  double  double  ok\n"
    )
    assert run_command("check", "orders", "linear", "--mode", "full", "--row-key", "id", code=3) == (
        "the table breaks the contract (linear, inputs): 3 rows checked, 1 row breaks it\n"
        "  a  double  double  1 null (33.3 %)  fails\n"
        "  b  double  double  no nulls         ok\n"
        "- a: expected double without nulls, got nulls, once (declare it optional) [NULL_IN_REQUIRED] "
        "e.g. id=2\n"
    )
    run_command("check", "orders", "linear", "--mode", "full", "--no-strict-nulls")
    body = document("check", "orders", "id bigint not null", "--mode", "full", code=3)
    assert (body["ok"], body["bad_rows"], body["findings"][0]["count"]) == (False, 1, 1)


def test_check_writes_a_page(place):
    pytest.importorskip("jinja2")
    run_command("check", "orders", "linear", "--mode", "full", "--html", "report.html", code=3)
    assert "NULL_IN_REQUIRED" in (place / "report.html").read_text()
    error = run_command("check", "orders", "linear", "--html", "no/such/report.html", code=1)
    assert error == "sparksig: no/such/report.html: No such file or directory\n"


def test_a_malformed_contract_is_a_usage_error(place):
    error = run_command("check", "orders", "liner", code=2)
    assert error.startswith("sparksig: 'liner' is not a model directory, a file, or DDL")
    assert run_command("check", "orders", "linear/nothing", code=9).startswith(
        "sparksig: there is no model directory"
    )
    assert run_command("check", "oders", "linear", code=9) == (
        "sparksig: there is no Parquet table at 'oders'. Did you mean 'orders'?\n"
    )
    (place / "signature.json").write_text('{"inputs": [{"type": "long", "name": "a"}]}')
    assert "signature.json has no outputs" in run_command(
        "check", "orders", "signature.json", "--side", "outputs", code=2
    )
    (place / "signature.json").write_text('{"inputs": [{"type": "lon", "name": "a"}]}')
    assert "signature.json: " in run_command("check", "orders", "signature.json", code=2)


def test_check_of_a_delta_table_names_the_option(place):
    (place / "orders" / "_delta_log").mkdir()
    assert "read it through Spark (--spark)" in run_command("check", "orders", "linear", code=1)


# --- diff ---------------------------------------------------------------------------------------------------


def test_diff_has_exit_code_three_if_callers_would_break(place):
    assert run_command("diff", "linear", "linear").startswith("new against old: identical\n")
    text = run_command("diff", "linear", "double", code=3)
    assert text.startswith("new against old: incompatible\n  inputs   identical\n")
    assert run_command("diff", "linear", "double", "--side", "inputs").startswith(
        "new against old: identical\n"
    )
    body = document("diff", "id int", "id bigint", "--types", "lossless")
    assert (body["ok"], body["verdict"]) == (True, "backward compatible")
    assert document("diff", "id int", "id bigint", code=3)["inputs"]["upgrade"][0]["path"] == "id"
    assert document("diff", "id bigint", "id int", code=3)["inputs"]["upgrade"][0]["path"] == "id"


def test_diff_of_a_table_and_a_model(place):
    assert "new against old:" in run_command("diff", "orders", "linear/MLmodel")  # nulls are for check
    text = run_command("diff", "orders", "a string not null, gone string not null", code=3)
    assert "inputs.a: expected string, got double" in text
    assert "inputs.gone: expected string, got no such column" in text
    text = run_command("diff", "orders", "z string", code=3)  # check says the same
    assert "- inputs.z: expected string, got no such column" in text
    assert "- inputs.a: expected no such column, got double" in text
    assert run_command("diff", "linear", "orders").startswith("new against old: fully compatible")


# --- set-signature ------------------------------------------------------------------------------------------


def test_set_signature_does_not_change_other_sides(place):
    run_command("infer", "orders", "-o", "signature.json")
    before = sparksig.get_model_info("double").signature
    text = run_command("set-signature", "double", "signature.json")
    assert text.endswith(f"digest  {sparksig.digest('double')}\n")
    after = sparksig.get_model_info("double").signature
    assert after.inputs.input_names() == ["id", "a", "b", "tags"]
    assert after.outputs == before.outputs
    body = document(
        "set-signature", "double", "--inputs", "a double not null", "--outputs", "p double not null"
    )
    assert body["signature"]["outputs"] == [{"type": "double", "name": "p", "required": True}]
    assert [column["name"] for column in body["signature"]["inputs"]] == ["a"]
    assert sparksig.load_model("double", allow_pickle=True).signature.outputs.input_names() == ["p"]


def test_set_signature_reports_an_example_that_does_not_fit(place):
    done = runner().invoke(cli, ["set-signature", "double", "--inputs", "z double not null"])
    assert done.exit_code == 0
    assert "sparksig: note: " in done.stderr
    assert "the saved input example does not fit the new signature" in done.stderr


def test_set_signature_needs_a_file_or_sides(place):
    either = "either a SIGNATURE, or --inputs, --outputs, or both"
    assert either in run_command("set-signature", "linear", code=2)
    assert either in run_command("set-signature", "linear", "x.json", "--inputs", "a int", code=2)
    assert "'a int' has only columns" in run_command("set-signature", "linear", "a int", code=2)
    assert "a registered model version is immutable" in run_command(
        "set-signature", "models:/m/1", "--inputs", "a int", code=1
    )


# --- export -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("export_format", ["json-schema", "oip"])
@pytest.mark.usefixtures("place")
def test_export_to_json(export_format):
    assert json.loads(run_command("export", "linear", "--to", export_format))


@pytest.mark.usefixtures("place")
def test_export_to_odcs():
    text = run_command("export", "linear", "--to", "odcs", "--name", "churn")
    assert yaml.safe_load(text)["name"] == "churn"


@pytest.mark.usefixtures("place")
def test_export_to_ddl():
    done = runner().invoke(cli, ["export", "linear", "--to", "ddl"])
    assert (done.exit_code, done.stdout) == (0, "a double not null, b double not null\n")
    assert done.stderr.startswith("sparksig: note: outputs: expected the model's outputs, got nothing")
    columns = "id bigint, a double, b double, tags array<string>\n"
    assert run_command("export", "orders", "--to", "ddl") == columns
    body = document("export", "linear", "--to", "ddl")
    assert (body["content"], body["lost"][0]["path"]) == ("a double not null, b double not null", "outputs")


def test_export_into_a_file(place):
    assert run_command("export", "orders", "--to", "arrow", "-o", "schema.arrow") == ""
    schema = pa.ipc.read_schema(pa.BufferReader((place / "schema.arrow").read_bytes()))
    assert schema.names == ["id", "a", "b", "tags"]
    run_command("export", "double", "--to", "ddl", "--side", "outputs", "-o", "out.ddl")
    assert (place / "out.ddl").read_text() == "a double not null\n"
    (place / "inputs.json").write_text('{"inputs": [{"type": "long", "name": "a"}]}')
    assert "inputs.json has no outputs" in run_command(
        "export", "inputs.json", "--to", "ddl", "--side", "outputs", code=2
    )


def test_export_is_exact_without_a_terminal(place):
    (place / "odd.json").write_text(json.dumps({"inputs": [{"type": "long", "name": "\x1b[31m"}]}))
    assert "`\x1b[31m`" in run_command("export", "odd.json", "--to", "ddl")


# --- validate-serving-input ---------------------------------------------------------------------------------


def test_validate_serving_input(place):
    request = place / "linear" / "serving_input_example.json"
    body = document("validate-serving-input", "linear", request)
    assert np.allclose(body["predictions"], [1.0, 2.0])
    assert document("validate-serving-input", "linear", "-", input=request.read_bytes()) == body
    assert "pass allow_pickle=True" in run_command("validate-serving-input", "double", request, code=5)
    assert run_command("validate-serving-input", "double", request, "--allow-pickle").startswith(
        "the request fits; predictions:\n0    2.0\n"
    )
    digest = sparksig.digest("double")
    assert document("validate-serving-input", "double", request, "--digest", digest)["predictions"] == [
        2.0,
        4.0,
    ]
    error = run_command("validate-serving-input", "linear", "-", input='{"inputs": {"a": ["x"]}}', code=3)
    assert "a: expected double, got string" in error
    assert "b: expected double, got no such column" in error


def talking(model_input):
    sys.stdout.write("printed by the model\n")
    sys.stdout.flush()  # which an older runner of Click does not do
    return model_input["a"] * 2


def test_output_of_a_model_is_not_part_of_the_document(place):
    sparksig.save_model(place / "talking", talking, input_example=DATA)
    done = runner().invoke(
        cli, ["validate-serving-input", "talking", "-", "--allow-pickle", "--json"],
        input='{"inputs": {"a": [1.5], "b": [0.5]}}',
    )  # fmt: skip
    assert json.loads(done.stdout) == {"ok": True, "predictions": [3.0]}
    assert "printed by the model\n" in done.stderr


def failing(model_input):
    raise ValueError("\x1b[31m")


def leaving(model_input):
    sys.exit("bye")


@pytest.mark.parametrize(("model", "name"), [(failing, "ValueError"), (leaving, "SystemExit")])
def test_an_exception_of_a_model_is_reported_as_one(place, model, name):
    sparksig.save_model(place / "failing", model)
    done = runner().invoke(
        cli, ["validate-serving-input", "failing", "-", "--allow-pickle", "--json"],
        input='{"inputs": {"a": [1.5]}}',
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["error"].startswith(f"the model raised {name}: ")
    assert re.search(r"\n  at .*test_commands\.py, line \d+, in (failing|leaving)", answer["error"])
    assert (answer["exit_code"], done.exit_code) == (10, 10)
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr + answer["error"]


# --- score: the command line alone; that it scores is a test with Spark -------------------------------------


def test_score_needs_a_configuration_or_three_paths(place):
    either = "pass either --config FILE, or MODEL INPUT OUTPUT"
    assert either in run_command("score", code=2)
    assert either in run_command("score", "linear", "orders", code=2)
    assert either in run_command("score", "linear", "orders", "out", "--config", "x.yaml", code=2)
    assert "--set output.keep=" in run_command("score", "--config", "x.yaml", "--keep", "id", code=2)
    assert (
        run_command("score", "--config", "x.yaml", code=7)
        == "sparksig: there is no configuration file at 'x.yaml'\n"
    )


def test_score_reports_all_findings_of_its_arguments(place):
    error = run_command("score", "linear", "orders", "out", "--set", "bugdet.rows=1", code=2)
    assert error.startswith("sparksig: the command line: the configuration is wrong: 2 findings\n")
    assert "output.keep: expected" in error
    assert "did you mean 'budget'?" in error
    findings = document("score", "linear", "orders", "out*", "--keep", "id", code=2)["findings"]
    assert [finding["path"] for finding in findings] == ["output.path"]
