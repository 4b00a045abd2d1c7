"""Configurations: accepted keys and values, and all findings at once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sparksig import ConfigError
from sparksig.errors import ConfigNotFoundError
from sparksig.jobs import CheckConfig, InferConfig, ScoreConfig, load_config
from sparksig.jobs.config import InputSection
from sparksig.jobs.config_types import (
    accepts_text,
    find_type,
    format_key,
    is_section,
    list_fields,
    strip_type,
)
from tests.jobs.helpers import SCORE

CONF = Path(__file__).parents[2] / "conf"
FORMS = {"score": ScoreConfig, "check": CheckConfig, "infer": InferConfig}
CHECK = "input: {path: t}\ncontract: c\n"


def test_defaults(loader):
    config = loader.load(SCORE)
    assert (config.run_id, config.params, config.spark, config.budget) == (None, {}, {}, None)
    assert (config.input.format, config.output.mode, config.output.column) == (
        "parquet", "error", "prediction",
    )  # fmt: skip
    assert config.output.keep == ["id"]
    assert config.check.mode == "schema"
    assert loader.load(CHECK, CheckConfig).mode == "full"
    assert loader.load("input: {table: db.t}", InferConfig).input.location == "db.t"


def test_a_configuration_does_not_change(loader):
    config = loader.load(SCORE)
    with pytest.raises(ValueError, match="frozen"):
        config.input.path = "x"


def test_spark_settings_may_be_numbers_and_switches(loader):
    settings = "spark: {a.b: 200, c: true, d: 0.6, e: text, f: 1g, g: false}"
    assert loader.load(SCORE + settings).spark == {
        "a.b": "200", "c": "true", "d": "0.6", "e": "text", "f": "1g", "g": "false",
    }  # fmt: skip
    assert loader.load("input: {path: t, format: csv, schema: x int, options: {header: true}}", InferConfig
                       ).input.options == {"header": "true"}  # fmt: skip


def test_what_is_left_empty_is_as_if_it_were_not_there(loader):
    text = SCORE + "params:\nspark:\nreport:\ncheck:\nbudget:\nquarantine:\nrun_id:\n"
    assert loader.load(text) == loader.load(SCORE)
    text = SCORE.replace("model: {path: m}", "model:")
    assert loader.wrong(text) == ["model: expected a section, got nothing [MISSING_KEY]"]
    text = SCORE.replace("keep: [id]", "keep: , column: ")
    assert [line.split(":")[0] for line in loader.wrong(text)] == ["output.column", "output.keep"]


@pytest.mark.parametrize("text", ["null", "'null'", "~"])
def test_null_is_a_choice_of_absent_and_not_its_default(loader, text):
    config = loader.load(SCORE.replace("model: {path: m}", f"model: {{path: m, absent: {text}}}"))
    assert config.model.absent == "null"


def test_all_errors_are_reported_at_once(loader):
    assert loader.wrong("""
model: {path: m, digest: abc, trusted_types: [1, ''], on_version_mismatch: wran, batch_rows: 0}
input: {path: t, table: x}
output: {path: '', mode: Append, column: 3, keep: id, evolve: 1}
run_id: 2026-01-31
params: [1]
check: {mode: sampel, sample: {rows: x, seed: 9223372036854775808, partitions: 1.5}}
spark: {a: [x], 1: 2}
budget: {}
quarantine: {path: 'q*'}
report: {jsn: x, json: 3}
budgte: 4
""") == [
        "run_id: expected text, got a value of type date (write it in quotes) [INVALID_VALUE]",
        "input: expected either a path, or the name of a table [INVALID_VALUE]",
        "report.json: expected text, got a value of type int (write it in quotes) [INVALID_VALUE]",
        "report.jsn: expected a known key, got another (did you mean 'json'?) [UNKNOWN_KEY]",
        "spark.a: expected text, got a value of type list [INVALID_VALUE]",
        "spark[1]: expected a key that is text, got another (write it in quotes) [INVALID_VALUE]",
        "model.digest: expected 64 hexadecimal digits in lower case, as `sparksig digest` prints them, "
        "got another [INVALID_VALUE]",
        "model.trusted_types[0]: expected text, got a value of type int (write it in quotes) [INVALID_VALUE]",
        "model.trusted_types[1]: expected text that is not empty, got none [INVALID_VALUE]",
        "model.batch_rows: expected 1 or more, got less [INVALID_VALUE]",
        "model.on_version_mismatch: expected one of 'warn', 'fail', 'ignore', got another "
        "(did you mean 'warn'?) [INVALID_VALUE]",
        "output.path: expected text that is not empty, got none [INVALID_VALUE]",
        "output.mode: expected one of 'error', 'append', 'overwrite', got another "
        "(did you mean 'append'? Names are case sensitive) [INVALID_VALUE]",
        "output.column: expected text, got a value of type int (write it in quotes) [INVALID_VALUE]",
        'output.keep: expected a list of names, as [id, day], or "*", got another [INVALID_VALUE]',
        "output.evolve: expected true or false, got a value of type int [INVALID_VALUE]",
        "quarantine.path: expected a path without *, ?, [, ], { and }, which Spark takes for a pattern, "
        "got another [INVALID_VALUE]",
        "budget: expected a limit: rows, share, or both (then both apply) [INVALID_VALUE]",
        "check.mode: expected one of 'schema', 'sample', 'full', got another "
        "(did you mean 'sample'?) [INVALID_VALUE]",
        "check.sample.rows: expected an integer, got a value of type str [INVALID_VALUE]",
        "check.sample.partitions: expected an integer, got a value of type float [INVALID_VALUE]",
        "check.sample.seed: expected less than 9223372036854775808, got more [INVALID_VALUE]",
        "params: expected a section, got a value of type list [INVALID_VALUE]",
        "budgte: expected a known key, got another (did you mean 'budget'?) [UNKNOWN_KEY]",
    ]


@pytest.mark.parametrize(("change", "line"), [
    ("input: {path: t, schemas: x}", "input.schemas: expected a known key, got another "
     "(did you mean 'schema'?) [UNKNOWN_KEY]"),
    ("input: {path: t, schema_: x}", "input.schema_: expected a known key, got another "
     "(did you mean 'schema'?) [UNKNOWN_KEY]"),
    ("check: {sample: {row: 1}}", "check.sample.row: expected a known key, got another "
     "(did you mean 'rows'?) [UNKNOWN_KEY]"),
    ("quarantine: {paht: x}\nbudget: {rows: 1}", "quarantine.paht: expected a known key, got another "
     "(did you mean 'path'?) [UNKNOWN_KEY]"),
    ("budget: {percent: x}", "budget.percent: expected a known key, got another "
     "(the keys here are rows, share) [UNKNOWN_KEY]"),
    ("'': 1", "``: expected a known key, got another (the keys here are run_id, input, report, spark, "
     "model, output, quarantine, budget, check, params, engine) [UNKNOWN_KEY]"),
    ("input: {path: t, format: csv}",
     "input: expected the columns of csv files in `schema`: nothing is guessed [INVALID_VALUE]"),
    ("input: {path: t, options: {header: true}}",
     "input: expected `schema` and `options` with csv and json files alone [INVALID_VALUE]"),
    ("input: {path: t, version: 3}", "input: expected `version` with Delta tables alone [INVALID_VALUE]"),
    ("input: {}", "input: expected either a path, or the name of a table [INVALID_VALUE]"),
    ("input: t", "input: expected a section, got a value of type str (its keys are path, table, format, "
     "schema, options, version, filter, select) [INVALID_VALUE]"),
    ("output: {path: o}", "output.keep: expected the columns of the input in the output; "
     '"*" for all, got nothing [MISSING_KEY]'),
    ("output: {path: o, keep: [1]}", 'output.keep: expected a list of names, as [id, day], or "*", '
     "got a value of type list [INVALID_VALUE]"),
    ("output: {path: o, keep: [], evolve: true}",
     "output: expected `evolve` with Delta tables alone [INVALID_VALUE]"),
    ("output: {path: 'file:x', keep: []}", "output.path: expected a path, or a URI with an absolute path: "
     "file:/..., got another [INVALID_VALUE]"),
    ("budget: {share: 1.5}", "budget.share: expected 1 or less, got more [INVALID_VALUE]"),
    ("budget: {share: .nan}",
     "budget.share: expected a finite number, got a value of type float [INVALID_VALUE]"),
    ("quarantine: {path: q}",
     "expected a budget for the quarantine: without one, the first bad row fails the run [INVALID_VALUE]"),
    ("quarantine: {path: o}\nbudget: {rows: 1}",
     "expected two places: output and quarantine name the same one [INVALID_VALUE]"),
    ("report: {json: x, html: x}",
     "report: expected two files: json and html name the same one [INVALID_VALUE]"),
    ("report: {html: x, log: x}",
     "report: expected two files: html and log name the same one [INVALID_VALUE]"),
    ("run_id: '../x'", "run_id: expected at most 200 letters, digits, '.', '_' and '-', "
     "the first a letter or a digit, got another [INVALID_VALUE]"),
    ("run_id: \"x\\n\"", "run_id: expected at most 200 letters, digits, '.', '_' and '-', "
     "the first a letter or a digit, got another [INVALID_VALUE]"),
    ("params:\n  1: x", "params[1]: expected a key that is text, got another (write it in quotes) "
     "[INVALID_VALUE]"),
])  # fmt: skip
def test_what_is_said_of_one_thing(loader, change, line):
    data = yaml.safe_load(SCORE) | yaml.safe_load(change)
    assert loader.wrong(yaml.safe_dump(data)) == [line]


@pytest.mark.parametrize("model", ["models:/m/1", "s3://b/m", "runs:/x/m"])
def test_a_model_that_never_changes_gets_no_signature(loader, model):
    assert loader.wrong("input: {path: t}", InferConfig, [f"model={model}"]) == [
        "model: expected a local directory: a model that is registered, or stored elsewhere, never "
        "changes, got another, by --set [INVALID_VALUE]"
    ]


@pytest.mark.parametrize("model", ["build/m", "/m", "file:/m", "file:///m"])
def test_a_local_model_gets_a_signature(loader, model):
    assert loader.load("input: {path: t}", InferConfig, [f"model={model}"]).model == model


def test_missing_sections(loader):
    assert loader.wrong("params: {}") == [
        "input: expected a section, got nothing [MISSING_KEY]",
        "model: expected a section, got nothing [MISSING_KEY]",
        "output: expected a section, got nothing [MISSING_KEY]",
    ]
    assert loader.wrong("{}", CheckConfig) == [
        "input: expected a section, got nothing [MISSING_KEY]",
        "contract: expected a model directory, a signature's JSON file, the path or name of a table, or DDL, "
        "got nothing [MISSING_KEY]",
    ]


@pytest.mark.parametrize(("text", "message"), [
    ("a: [", "job.yaml: cannot read this YAML: line "),
    ("- 1", "job.yaml: expected a mapping of keys and values, got a value of type list. `sparksig init "),
    ("", "job.yaml: expected a mapping of keys and values, got an empty file. `sparksig init MODEL "),
    ("a: 1\na: 2", "duplicate key 'a'"),
    ("a: &x [*x]", "more than 100000 values"),
    ("a: !!python/object:os.system {}", "could not determine a constructor"),
], ids=["broken", "a list", "empty", "a key twice", "itself", "code"])  # fmt: skip
def test_a_file_that_is_no_configuration(loader, text, message):
    with pytest.raises(ConfigError) as error:
        loader.load(text)
    assert message in str(error.value)


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"c\.yaml: cannot read this YAML"):
        load_config(tmp_path / "c.yaml", ScoreConfig)


@pytest.mark.parametrize("name", [".", "none.yaml"], ids=["directory", "missing file"])
def test_a_missing_configuration_file_is_named(tmp_path, name):
    with pytest.raises(ConfigNotFoundError, match="there is no configuration file at"):
        load_config(tmp_path / name, ScoreConfig)


def test_no_value_is_shown(loader):
    hidden = "hunter2"
    text = f"""
model: {{path: m, digest: {hidden}, on_version_mismatch: {hidden}, {hidden}1: x}}
input: {hidden}
output: {{path: "{hidden}*", keep: {hidden}, evolve: {hidden}}}
run_id: "/{hidden}"
"""
    message = "\n".join(loader.wrong(text, sets=[f"budget.rows={hidden}", f"spark.x=[{hidden}"]))
    assert message.replace(f"model.{hidden}1", "").count(hidden) == 0


# --- --set --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sets", "place", "value"), [
    (["input.path=/data/today"], "input.path", "/data/today"),
    (["input.path=s3://b/k=1/x"], "input.path", "s3://b/k=1/x"),
    (["input.path=1", "input.path=2"], "input.path", "2"),
    (["input.filter=`a b` > 'x: y'"], "input.filter", "`a b` > 'x: y'"),
    (["input.filter=x = 'a: b'"], "input.filter", "x = 'a: b'"),
    (["input.filter='quoted'"], "input.filter", "quoted"),
    (["input.filter="], "input.filter", None),
    (["input.filter=null"], "input.filter", None),
    (["run_id=20260131"], "run_id", "20260131"),
    (["run_id=2026-01-31"], "run_id", "2026-01-31"),
    (["model.allow_pickle=true"], "model.allow_pickle", True),
    (["output.keep=*"], "output.keep", "*"),
    (["output.keep=[a, b]"], "output.keep", ["a", "b"]),
    (["output.keep[0]=a", "output.keep[1]=b"], "output.keep", ["a", "b"]),
    (["output.keep.1=b"], "output.keep", ["id", "b"]),
    (["budget.rows=3"], "budget", {"rows": 3}),
    (["budget={share: 0.5}"], "budget", {"share": 0.5}),
    (["spark.spark.sql.shuffle.partitions=200"], "spark", {"spark.sql.shuffle.partitions": "200"}),
    (["spark.`a.b`=true"], "spark", {"a.b": "true"}),
    (["params.stop=[., '!']"], "params", {"stop": [".", "!"]}),
    (["params.a.b=1"], "params", {"a.b": 1}),
    (["check.sample.rows=7"], "check.sample.rows", 7),
    (["report.json=r.json"], "report.json", "r.json"),
    (["input={path: x, format: csv, schema: a int}"], "input.schema", "a int"),
])  # fmt: skip
def test_values_of_the_command_line(loader, sets, place, value):
    actual = loader.load(SCORE, sets=sets).model_dump(by_alias=True)
    for part in place.split("."):
        actual = actual[part]
    if isinstance(value, dict):
        assert {key: item for key, item in actual.items() if item is not None} == value
    else:
        assert actual == value


@pytest.mark.parametrize(("argument", "line"), [
    ("input.pth=x",
     "input.pth: expected a known key, got another, by --set (did you mean 'path'?) [UNKNOWN_KEY]"),
    ("inptu.path=x",
     "inptu: expected a known key, got another, by --set (did you mean 'input'?) [UNKNOWN_KEY]"),
    ("budget.rows=x",
     "budget.rows: expected an integer, got a value of type str, by --set [INVALID_VALUE]"),
    ("budget.rows=[", "budget.rows: expected a value in YAML, got another, by --set "
     "(line 2, column 1: did not find expected node content) [INVALID_VALUE]"),
    ("output.keep[3]=x",
     "output.keep[3]: expected an index up to 1, got a larger one, by --set [INVALID_VALUE]"),
    ("input.path.x=1", "input.path: expected a section to set input.path.x in, got a value of type str "
     "[INVALID_VALUE]"),
    ("input", "--set: expected KEY=VALUE, the key a dotted path, got no = [INVALID_VALUE]"),
    ("=x", "--set : expected KEY=VALUE, the key a dotted path, got another [INVALID_VALUE]"),
    ("input..path=x",
     "--set input..path: expected KEY=VALUE, the key a dotted path, got another [INVALID_VALUE]"),
    ("output.keep[x]=1", "--set output.keep[x]: expected KEY=VALUE, the key a dotted path, got another "
     "[INVALID_VALUE]"),
    ("output.mode=Error",
     "output.mode: expected one of 'error', 'append', 'overwrite', got another, by --set "
     "(did you mean 'error'? Names are case sensitive) [INVALID_VALUE]"),
    ("run_id=${env:SPARKSIG_NO_SUCH}",
     "run_id: expected the environment variable SPARKSIG_NO_SUCH, got none, "
     "by --set (set it, or give a default: ${env:SPARKSIG_NO_SUCH:-...}) [MISSING_KEY]"),
])  # fmt: skip
def test_what_is_said_of_the_command_line(loader, argument, line):
    assert loader.wrong(SCORE, sets=[argument]) == [line]


def test_errors_of_the_file_and_of_options_are_reported_together(loader):
    lines = loader.wrong(SCORE + "run_id: ${env:SPARKSIG_NO_SUCH}\nbudgte: 1", sets=["a", "input.pth=x"])
    assert [line.partition(":")[0] for line in lines] == ["--set", "run_id", "input.pth", "budgte"]


def test_what_an_alias_of_yaml_shares_is_set_in_one_place(loader):
    text = "input: {path: t}\ncontract: c\nreport: &r {json: a}\nspark: *r\n"
    config = loader.load(text, CheckConfig, sets=["spark.json=c"])
    assert (config.report.json_, config.spark) == ("a", {"json": "c"})


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab *[{:#'", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=3),
)


@given(values)
def test_a_param_of_the_command_line_is_the_one_of_the_file(tmp_path_factory, value):
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n")
    file = tmp_path_factory.getbasetemp() / "law.yaml"
    file.write_text(SCORE + yaml.safe_dump({"params": {"p": value}}))
    config = load_config(file, ScoreConfig)
    file.write_text(SCORE)
    assert load_config(file, ScoreConfig, [f"params.p={text}"]) == config


@given(st.lists(st.text("ab.`[]:= é", min_size=1, max_size=5), min_size=1, max_size=1))
def test_a_path_as_findings_show_it_is_a_path_to_set(tmp_path_factory, names):
    """The keys below a mapping with free keys are one name, however they are formatted."""
    file = tmp_path_factory.getbasetemp() / "path.yaml"
    file.write_text(SCORE)
    path = format_key(("spark", *names))
    if "=" not in path:
        assert load_config(file, ScoreConfig, [f"{path}=x"]).spark == {names[0]: "x"}


# --- the environment ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "value"), [
    ("${env:SPARKSIG_DAY}", "monday"),
    ("/data/${env:SPARKSIG_DAY}/${env:SPARKSIG_DAY}.csv", "/data/monday/monday.csv"),
    ("${env:SPARKSIG_NONE:-x y}", "x y"),
    ("${env:SPARKSIG_NONE:-}z", "z"),
    ("${env:SPARKSIG_EMPTY:-x}", "x"),
    ("${env:SPARKSIG_EMPTY}z", "z"),
    ("${env:SPARKSIG_DAY:-x}", "monday"),
    ("$SPARKSIG_DAY ${SPARKSIG_DAY} $$ ~ %HOME%", "$SPARKSIG_DAY ${SPARKSIG_DAY} $$ ~ %HOME%"),
    ("$${env:SPARKSIG_DAY}", "${env:SPARKSIG_DAY}"),
    ("$${env:", "${env:"),
    ("$$${env:SPARKSIG_DAY}", "$${env:SPARKSIG_DAY}"),
    ("${env:SPARKSIG_MARK}", "${env:SPARKSIG_DAY}"),
])  # fmt: skip
def test_variables_are_expanded_where_they_are_marked(loader, monkeypatch, text, value):
    monkeypatch.setenv("SPARKSIG_DAY", "monday")
    monkeypatch.setenv("SPARKSIG_EMPTY", "")
    monkeypatch.setenv("SPARKSIG_MARK", "${env:SPARKSIG_DAY}")
    monkeypatch.delenv("SPARKSIG_NONE", raising=False)
    data = yaml.safe_load(SCORE) | {"params": {"p": [{"q": text}]}, "spark": {"x": text}}
    config = loader.load(yaml.safe_dump(data))
    assert config.params == {"p": [{"q": value}]}
    assert config.spark == {"x": value}
    assert loader.load(SCORE, sets=[f"input.filter={text}"]).input.filter == value


@pytest.mark.parametrize("text", ["${env:}", "${env:", "${env:1}", "${env:A B}", "x${env:A-}", "${env:é}"])
def test_invalid_marks(loader, text):
    data = yaml.safe_load(SCORE) | {"params": {"a.b": text}}
    assert loader.wrong(yaml.safe_dump(data, allow_unicode=True)) == [
        "params.`a.b`: expected ${env:NAME} or ${env:NAME:-default}, got another mark [INVALID_VALUE]"
    ]


def test_missing_variables_are_reported_by_their_paths_only(loader):
    text = SCORE.replace("[id]", "['${env:SPARKSIG_NO_A}', x]").replace(
        "path: t", "path: '${env:SPARKSIG_NO_B}'"
    )
    assert loader.wrong(text) == [
        "input.path: expected the environment variable SPARKSIG_NO_B, got none "
        "(set it, or give a default: ${env:SPARKSIG_NO_B:-...}) [MISSING_KEY]",
        "output.keep[0]: expected the environment variable SPARKSIG_NO_A, got none "
        "(set it, or give a default: ${env:SPARKSIG_NO_A:-...}) [MISSING_KEY]",
    ]


def test_the_value_of_a_variable_is_never_shown(loader, monkeypatch):
    monkeypatch.setenv("SPARKSIG_SECRET", "hunter2*")
    lines = loader.wrong(
        SCORE, sets=["input.path=${env:SPARKSIG_SECRET}", "model.digest=${env:SPARKSIG_SECRET}"]
    )
    assert len(lines) == 2
    assert "hunter2" not in "".join(lines)


# --- forms and examples -------------------------------------------------------------------------------------


def test_forms_are_walked_by_the_keys_of_the_file():
    assert find_type(ScoreConfig, ("input", "schema")) is str
    assert find_type(ScoreConfig, ("output", "keep", 0)) is str
    assert find_type(ScoreConfig, ("spark", "anything")) is str
    assert find_type(ScoreConfig, ("input", "schema_")) is None
    assert find_type(ScoreConfig, ("params", "x", "y")) is None
    assert accepts_text(find_type(ScoreConfig, ("output", "keep"))) == "also"
    assert accepts_text(find_type(ScoreConfig, ("output", "mode"))) == "only"
    assert accepts_text(find_type(ScoreConfig, ("budget", "rows"))) == "no"
    assert format_key(("a", 0, "b.c", 1)) == "a[0].`b.c`[1]"


def _keys(form, before=""):
    for name, field in list_fields(form).items():
        yield f"{before}{name}"
        inner = strip_type(field.annotation)
        if is_section(inner):
            yield from _keys(inner, f"{before}{name}.")


@pytest.mark.parametrize("name", FORMS)
def test_every_key_is_described(name):
    def undescribed(form):
        for key, field in list_fields(form).items():
            inner = strip_type(field.annotation)
            if not field.description:
                yield f"{form.__name__}.{key}"
            if is_section(inner):
                yield from undescribed(inner)

    assert list(undescribed(FORMS[name])) == []


@pytest.mark.parametrize("name", FORMS)
def test_the_examples_load_and_show_every_key(name, monkeypatch):
    file = CONF / f"{name}.yaml"
    config = load_config(file, FORMS[name])
    assert config.input.path == "build/demo/table"
    text = file.read_text()
    for key in _keys(FORMS[name]):
        last = key.rpartition(".")[2]
        assert re.search(rf"^#? *#?{re.escape(last)}:", text, re.MULTILINE), key


COMMENTED = re.compile(r"^( *)#(?=\S|  )", re.MULTILINE)
INSTEAD = [
    "input.table",
    "input.schema",
    "input.options",
    "input.version",
    "output.table",
    "output.evolve",
    "quarantine.table",
]
"""Keys that other keys of the examples exclude."""


@pytest.mark.parametrize("name", FORMS)
def test_what_the_examples_have_commented_out_loads_too(name, loader):
    data = yaml.safe_load(COMMENTED.sub(r"\1", (CONF / f"{name}.yaml").read_text()))
    assert data.keys() == list_fields(FORMS[name]).keys()
    for section, key in (place.split(".") for place in INSTEAD):
        data.get(section, {}).pop(key, None)
    loader.load(yaml.safe_dump(data), FORMS[name])


def test_configurations_need_no_spark():
    code = "import sys, sparksig.jobs; sys.exit('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=300).returncode == 0


@pytest.mark.parametrize(("sets", "text"), [
    (["report.json=t"], "report.json in another place: it is input.path, or inside it"),
    (["report.html=./t/deep/r.html"], "report.html in another place: it is input.path, or inside it"),
    (["report.json=link/r.json"], "report.json in another place: it is output.path, or inside it"),
    (["report.json=m/r.json"], "report.json in another place: it is model.path, or inside it"),
    (["input.path=s3://b/t/", "report.json=s3://b/t/r.json"], "report.json in another place: it is in"),
    (["input.path=file:///t", "report.json=/t/r.json"], "report.json in another place: it is input"),
    (["budget.rows=1", "quarantine.path=q", "report.json=q/r.json"], "report.json in another place: it"),
])  # fmt: skip
def test_a_report_takes_the_place_of_nothing(loader, tmp_path, monkeypatch, sets, text):
    """It is written when the job fails, too: an input would be gone, and an output's place taken."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("o")
    [line] = loader.wrong(SCORE, sets=sets)
    assert text in line
    for path in ("t.json", "out.json", "/elsewhere/t/r.json", "s3://b/t2/r.json", "s3://c/t/r.json"):
        loader.load(SCORE, sets=[*sets, f"report.json={path}", "report.html=r.html"])


def test_the_reports_of_other_jobs_take_the_place_of_nothing(loader):
    assert "it is contract" in loader.wrong(CHECK, CheckConfig, ["contract=c.json", "report.json=c.json"])[0]
    sets = ["signature=s.json", "report.html=s.json"]
    assert "it is signature" in loader.wrong("input: {path: t}", InferConfig, sets)[0]


BUILDERS = {
    "mapping": (
        ScoreConfig.model_validate,
        {"run_id": 7},
        "run_id: expected text, got a value of type int",
    ),
    "section": (InputSection.model_validate, {"path": "a*"}, "path: expected a path without"),
    "text": (
        ScoreConfig.model_validate_json,
        '{"budgte": {}}',
        "budgte: expected a known key, got another",
    ),
    "no JSON": (ScoreConfig.model_validate_json, '{"run_id', "expected JSON, got a value of type str"),
}


@pytest.mark.parametrize(("build", "source", "finding"), BUILDERS.values(), ids=BUILDERS)
def test_findings_in_python_are_those_of_the_file(build, source, finding):
    with pytest.raises(ConfigError, match=re.escape(finding)):
        build(source)
