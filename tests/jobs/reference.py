"""The configuration reference of the jobs' page, and the files in ``conf``.

``python -m tests.jobs.reference`` writes both from the configuration classes.
"""

from __future__ import annotations

import json
import re
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from sparksig.jobs.config import CheckConfig, InferConfig, ScoreConfig
from sparksig.jobs.config_text import write_config
from sparksig.jobs.config_types import is_section, list_fields, strip_type

PAGE = Path(__file__).parents[2] / "jobs" / "README.md"
FORMS = {"score": ScoreConfig, "check": CheckConfig, "infer": InferConfig}
WORDS = {str: "text", int: "whole number", float: "number", bool: "true, false", Any: "anything"}


def table(form):
    """The lines of one configuration's table, required sections first."""
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for key, field in _rows(form, ""):
        default = "required" if field.is_required() else _default(field)
        yield f"| `{key}` | {_type(field.annotation)} | {default} | {_escaped(field.description)} |"


def _rows(form, before):
    fields = list_fields(form)
    if not before:
        fields = dict(sorted(fields.items(), key=lambda item: not item[1].is_required()))
    for name, field in fields.items():
        inner = strip_type(field.annotation)
        if is_section(inner):
            yield from _rows(inner, f"{before}{name}.")
        else:
            yield f"{before}{name}", field


def _type(form):
    form = strip_type(form)
    if get_origin(form) is Literal:
        return ", ".join(json.dumps(value) if value == "*" else value for value in get_args(form))
    if get_origin(form) in (Union, types.UnionType):
        return " or ".join(_type(arg) for arg in get_args(form))
    if get_origin(form) is list:
        return f"list of {_type(get_args(form)[0])}"
    if get_origin(form) is dict:
        inner = strip_type(get_args(form)[1])
        return "mapping" if inner is Any else f"mapping to {_type(inner)}"
    return WORDS[form]


def _default(field):
    if field.default is None:
        return ""
    return "empty" if field.default in ([], {}) else f"`{json.dumps(field.default)}`".replace('"', "")


def _escaped(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def marks(name):
    """Return the pattern of a configuration's table in the page."""
    start = f"<!-- configuration of jobs/{name}.py, written by tests/jobs/reference.py -->\n"
    end = f"<!-- end of configuration of jobs/{name}.py -->"
    return re.compile(rf"({re.escape(start)}).*?({re.escape(end)})", re.DOTALL)


def written(page):
    """Return the page with current tables."""
    for name, form in FORMS.items():
        lines = "\n".join(table(form))
        page = marks(name).sub(lambda actual: f"{actual[1]}{lines}\n{actual[2]}", page)  # noqa: B023  used at once
    return page


_HEADER = """\
# The configuration of jobs/{name}.py: {purpose}.
# The paths are those of `make demo`; relative ones count from the directory where spark-submit is called.
#
# Keys after a "#" are optional; their values are defaults or examples. To set a key, remove its "#", and the
# "#" of its section. A text may hold ${{env:NAME}}, a variable of the environment, or ${{env:NAME:-default}}.

"""
PURPOSES = {
    "score": "which model scores which table, and the output",
    "check": "which table is checked against which contract",
    "infer": "which table a signature is inferred from, and the file of the signature",
}
_INPUT = {"path": "build/demo/table", "format": "parquet"}
VALUES = {
    "score": {
        "input": _INPUT,
        "model": {"path": "build/demo/model", "digest": None, "allow_pickle": False},
        "output": {
            "path": "build/demo/scored",
            "format": "parquet",
            "mode": "error",
            "column": "prediction",
            "keep": ["id"],
        },
        "spark": {"spark.sql.session.timeZone": "UTC"},
    },
    "check": {"input": _INPUT, "contract": "build/demo/model", "mode": "full", "row_key": ["id"]},
    "infer": {"input": _INPUT, "signature": "build/demo/signature.json"},
}
EXAMPLES = {
    "input.table": "sales.orders",
    "input.schema": "id bigint, price double",
    "input.options": {"header": "true"},
    "input.version": 3,
    "input.filter": "id >= 1000",
    "input.select": {"day": "to_date(time)"},
    "model": "build/demo/model",
    "model.trusted_types": ["acme.models.Scaler"],
    "model.method": "predict_proba",
    "model.result_type": "array<double>",
    "model.batch_rows": 10_000,
    "output.table": "sales.scored",
    "output.partition_by": ["day"],
    "budget.rows": 100,
    "budget.share": 0.001,
    "quarantine.path": "build/demo/quarantine",
    "quarantine.table": "sales.rejected",
    "report.json": "build/demo/report-{run_id}.json",
    "report.html": "build/demo/report-{run_id}.html",
    "report.log": "build/demo/report-{run_id}.log",
    "run_id": "nightly-2026-01-31",
    "params": {"temperature": 0.5},
    "columns": ["mean radius"],
    "types": "lossless",
    "missing": "allow",
    "extra": "allow",
    "spark": {"spark.sql.session.timeZone": "UTC"},
}


def find_file(name):
    """Return the path of a job's example configuration."""
    return Path(__file__).parents[2] / "conf" / f"{name}.yaml"


def written_file(name):
    """Return the current text of a job's example configuration."""
    header = _HEADER.format(name=name, purpose=PURPOSES[name])
    return f"{header}{write_config(FORMS[name], VALUES[name], EXAMPLES)}\n"


if __name__ == "__main__":
    for name in FORMS:
        find_file(name).write_text(written_file(name))
    PAGE.write_text(written(PAGE.read_text()))
