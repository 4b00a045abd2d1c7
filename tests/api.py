"""The API reference, generated from the docstrings: ``python -m tests.api`` writes sparksig/README.md."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import FunctionType
from typing import Any

import sparksig

PAGE = Path(sparksig.__file__).parent / "README.md"
INTRODUCTION = """# API reference

All public names are imported from `sparksig`. `help(sparksig.score)` shows arguments, errors and an example.
The functions and the configurations of the jobs are in `sparksig.jobs`.

<!-- written by python -m tests.api from the docstrings -->
"""
GROUPS = {
    "Signatures": "infer_signature load_signature ModelSignature Schema ColSpec TensorSpec ParamSchema "
    "ParamSpec DataType Array Map Object Property SparkMLVector AnyType TypeFromExample",
    "Enforcing": "enforce validate_schema",
    "Scoring": "score spark_udf score_files ",
    "Tables": "check Report split violations write plan_write ",
    "Sampling": "sample_signature Sampler SampledSignature ",
    "Models": "save_model load_model log_model set_signature get_model_info digest registrable "
    "LoadedModel ModelInfo PythonModel PythonModelContext pyfunc set_model load_input_example "
    "load_serving_example validate_serving_input",
    "Comparing and exporting": "compare Comparison export ",
}


def write_page() -> str:
    """Return the page, from the current docstrings."""
    return "\n".join([INTRODUCTION, *_write_groups()])


def _write_groups() -> Iterator[str]:
    groups = {title: names.split() for title, names in GROUPS.items()}
    exceptions = [name for name in sparksig.__all__ if _is_exception(getattr(sparksig, name))]
    groups["Errors"] = ["Code", "Finding", *(name for name in exceptions if name.endswith("Error"))]
    groups["Warnings"] = [name for name in exceptions if name.endswith("Warning")]
    for title, names in groups.items():
        yield f"## {title}\n"
        yield "| name | summary |\n|---|---|"
        for name in names:
            yield from _write_rows(name, getattr(sparksig, name))
        yield ""


def _write_rows(name: str, value: Any) -> Iterator[str]:
    """Write a name, and the public methods of a class."""
    is_plain = isinstance(value, type) and (issubclass(value, (Enum, Exception)))
    yield _write_row(name if is_plain else _write_call(name, value), value)
    if not isinstance(value, type) or is_plain:
        return
    for member, attribute in vars(value).items():
        function = getattr(attribute, "__func__", attribute)
        if not member.startswith("_") and isinstance(function, FunctionType):
            yield _write_row(_write_call(f"{name}.{member}", function), function)
        elif not member.startswith("_") and isinstance(attribute, property):
            yield _write_row(f"{name}.{member}", attribute)


def _write_row(text: str, value: Any) -> str:
    summary = (inspect.getdoc(value) or "").partition("\n\n")[0].replace("\n", " ").replace("``", "`")
    summary = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", summary)
    assert summary, f"{text} has no docstring"
    return "| `{}` | {} |".format(text.replace("|", "\\|"), summary.replace("|", "\\|"))


def _write_call(name: str, value: Any) -> str:
    """Write a call, without annotations."""
    try:
        signature = inspect.signature(value)
    except ValueError:
        return name
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
        if parameter.name not in ("self", "cls") and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    text = str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))
    return name + re.sub(r"<[\w.]+ object at 0x\w+>|<factory>", "...", text)


def _is_exception(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


if __name__ == "__main__":
    PAGE.write_text(write_page(), encoding="utf-8")
