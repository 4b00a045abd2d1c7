"""The examples in docstrings: those that need a session of Spark, and those that do not."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from types import ModuleType

import sparksig

_SESSION = re.compile(r"\bspark\b")


def module_names() -> list[str]:
    """Return the names of all modules of sparksig but those that run when they are imported."""
    names, packages = ["sparksig"], [(sparksig.__path__, "sparksig.")]
    for path, prefix in packages:
        for module in pkgutil.iter_modules(path, prefix):
            if module.name.endswith(".__main__"):
                continue
            names.append(module.name)
            if module.ispkg:
                packages.append((importlib.import_module(module.name).__path__, f"{module.name}."))
    return sorted(names)


def find_examples(module: ModuleType, *, with_session: bool, **names: object) -> list[doctest.DocTest]:
    """Return the examples of a module that use the variable ``spark``, or those that do not."""
    tests = doctest.DocTestFinder().find(module, module.__name__, extraglobs=names)
    return [
        test
        for test in tests
        if any(_SESSION.search(example.source) for example in test.examples) == with_session
    ]
