"""The configuration reference of the jobs' page; ``python -m tests.jobs.reference`` writes it."""

from __future__ import annotations

import json
import re
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from sparksig.jobs.config import CheckConfig, InferConfig, ScoreConfig
from sparksig.jobs.forms import fields_of, is_section, strip_type

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
    fields = fields_of(form)
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
        return " or ".join(_type(one) for one in get_args(form))
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
        page = marks(name).sub(lambda found: f"{found[1]}{lines}\n{found[2]}", page)  # noqa: B023  used at once
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
