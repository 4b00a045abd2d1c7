"""Each public name documents its arguments, result and errors, and has an example that runs.

The examples are run by test_doctests.py here, and by tests/spark/test_docstrings.py with a session.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import doctest
import enum
import inspect
import re
import textwrap
from importlib import import_module

import pytest

import sparksig
from sparksig import errors

# Errors and warnings are shown where they are raised.
WITHOUT_EXAMPLE = {"Code"} | {
    name
    for name in sparksig.__all__
    if isinstance(getattr(sparksig, name), type) and issubclass(getattr(sparksig, name), Exception)
}


def public(name):
    """Return a public object from the module that defines it."""
    return getattr(import_module(sparksig._HOME_OF[name]), name)


def members():
    """The public methods and properties of public classes, each with the function behind it."""
    for name in sparksig.__all__:
        kind = public(name)
        if not isinstance(kind, type):
            continue
        for member, value in vars(kind).items():
            behind = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            if not member.startswith("_") and inspect.isfunction(behind):
                yield f"{name}.{member}", behind


FUNCTIONS = {name: public(name) for name in sparksig.__all__ if inspect.isfunction(public(name))}
CLASSES = {name: public(name) for name in sparksig.__all__ if isinstance(public(name), type)}
MEMBERS = dict(members())
PUBLIC = {**FUNCTIONS, **CLASSES, **MEMBERS}
RECORDS = {name: kind for name, kind in CLASSES.items() if not issubclass(kind, (Exception, enum.Enum))}


def section(text, title):
    """Return the lines of a docstring's section, or None if it has no such section."""
    match = re.search(rf"^{title}:\n((?:[ ]{{4}}.*\n|\n)+)", f"{inspect.cleandoc(text)}\n", re.MULTILINE)
    return match and textwrap.dedent(match[1]).splitlines()


def entries(text, title):
    """The names that a section explains; it may explain several at once."""
    names = [re.match(r"([\w*][\w*, ]*):( |$)", line) for line in section(text, title) or ()]
    return [value.strip(" *") for name in names if name for value in name[1].split(",")]


def parameters(function):
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def raised(function):
    """The errors that the function's own code raises, by their names."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            error = error.value if isinstance(error, ast.Attribute) else error
            if isinstance(error, ast.Name) and error.id[0].isupper():
                yield error.id


def find_error_class(name):
    """The class of an error, by its name."""
    return getattr(sparksig, name, None) or getattr(errors, name, None) or getattr(builtins, name, None)


@pytest.mark.parametrize(("name", "thing"), PUBLIC.items(), ids=PUBLIC)
def test_everything_public_says_what_it_is(name, thing):
    text = vars(thing).get("__doc__") if isinstance(thing, type) else thing.__doc__
    assert text, f"{name} has no docstring"
    first = text.strip().splitlines()[0]
    assert first.endswith((".", ":")), f"{name}: {first}"
    if not isinstance(thing, type) or not issubclass(thing, enum.Enum):
        assert not text.startswith(f"{name}("), f"{name} has the docstring that a dataclass makes up"


@pytest.mark.parametrize(("name", "function"), FUNCTIONS.items(), ids=FUNCTIONS)
def test_functions_explain_what_they_take_and_give(name, function):
    assert entries(function.__doc__, "Args") == parameters(function), name
    if inspect.signature(function).return_annotation not in (None, "None"):
        assert section(function.__doc__, "Returns"), f"{name} has no section Returns"


@pytest.mark.parametrize(("name", "kind"), RECORDS.items(), ids=RECORDS)
def test_classes_explain_what_they_are_made_of(name, kind):
    made_elsewhere = "Made by :func:" in kind.__doc__
    parameter_names = parameters(kind) if "__init__" in vars(kind) and not made_elsewhere else []
    documented = entries(kind.__doc__, "Args") + entries(kind.__doc__, "Attributes")
    assert set(parameter_names) <= set(documented), f"{name}: {set(parameter_names) - set(documented)}"


@pytest.mark.parametrize(("name", "function"), MEMBERS.items(), ids=MEMBERS)
def test_methods_name_what_they_take(name, function):
    documented = entries(function.__doc__, "Args")
    text = function.__doc__
    silent = [
        parameter
        for parameter in parameters(function)
        if parameter not in documented and f"``{parameter}``" not in text
    ]
    assert silent in ([], ["kwargs"]), f"{name} says nothing of {silent}"


@pytest.mark.parametrize(("name", "thing"), PUBLIC.items(), ids=PUBLIC)
def test_what_is_raised_is_said_and_is_an_error(name, thing):
    documented = [find_error_class(entry) for entry in entries(thing.__doc__, "Raises")]
    assert all(isinstance(value, type) and issubclass(value, Exception) for value in documented), name
    behind = vars(thing).get("__init__") if isinstance(thing, type) else thing
    made_up = dataclasses.is_dataclass(thing) and thing.__dataclass_params__.init
    for error in set(raised(behind)) if behind and not made_up else ():
        assert any(issubclass(find_error_class(error), value) for value in documented), (
            f"{name} does not say {error}"
        )


@pytest.mark.parametrize("name", sparksig.__all__)
def test_every_public_name_has_an_example_that_runs(name):
    text = public(name).__doc__
    examples = doctest.DocTestParser().get_examples(text)
    assert examples or name in WITHOUT_EXAMPLE, f"{name} has no example"
    assert "Example:" in text or not examples, f"the example of {name} stands under no title"
    assert not any(example.options.get(doctest.SKIP) for example in examples), (
        f"an example of {name} is skipped"
    )
    assert any(example.want or "assert" in example.source for example in examples) or not examples, name


@pytest.mark.parametrize("text", ["Short.\n\n    Args:\n        a: what.\n        b, c: both.\n"])
def test_sections_are_read(text):
    assert entries(text, "Args") == ["a", "b", "c"]
    assert section(text, "Raises") is None
