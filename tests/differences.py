"""Intended differences from MLflow, each declared by a decorator on the test that proves it.

``python -m tests.differences`` writes them into the table of tests/differences.md.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

HERE = Path(__file__).parent
PAGE = HERE / "differences.md"
MARKS = re.compile(
    r"(<!-- differences from MLflow, written by.*?-->\n).*?(<!-- end of the differences -->)", re.DOTALL
)
TOPICS = ["Inferring", "Enforcing", "Params", "Requests to servers", "Spark", "Model directories"]

Test = TypeVar("Test", bound=Callable[..., None])


def differs(topic: str, what: str, *, mlflow: str, sparksig: str) -> Callable[[Test], Test]:
    """Declare a difference on the test that proves it, with the behaviour of both sides as Markdown."""
    Difference(topic, what, mlflow, sparksig, "").checked()
    return lambda test: test


class Difference(NamedTuple):
    """A line of the table."""

    topic: str
    what: str
    mlflow: str
    sparksig: str
    test: str

    def checked(self) -> Difference:
        """Return the difference, if its texts fit a table."""
        assert self.topic in TOPICS, f"{self.topic!r} is not in {TOPICS}"
        for text in (self.what, self.mlflow, self.sparksig):
            assert text, f"{self.what!r} has an empty cell"
            assert "|" not in text, f"a cell has no |: {text!r}"
            assert text.isprintable(), f"a cell is one line: {text!r}"
        return self

    def __str__(self) -> str:
        return f"| {self.what} | {self.mlflow} | {self.sparksig} | [test]({self.test}) |"


def collect(folder: Path = HERE) -> list[Difference]:
    """Return the differences of all tests in a folder, by topic; the tests are read, not imported."""
    differences = [
        Difference(*texts, test=path.relative_to(folder).as_posix()).checked()
        for path in sorted(folder.rglob("test_*.py"))
        for texts in _read_source(path.read_text(encoding="utf-8"))
    ]
    return sorted(differences, key=lambda difference: TOPICS.index(difference.topic))


def _read_source(source: str) -> Iterator[tuple[str, str, str, str]]:
    if "@differs(" not in source:
        return
    for node in ast.walk(ast.parse(source)):
        decorators = [ast.unparse(decorator) for decorator in getattr(node, "decorator_list", [])]
        for decorator in (text for text in decorators if text.startswith("differs(")):
            assert isinstance(node, ast.FunctionDef), "a difference is declared on a class"
            assert node.name.startswith("test_"), f"{node.name} is not a test"
            assert not re.search(r"skip|xfail", " ".join(decorators)), f"{node.name} may not run"
            call = ast.parse(decorator, mode="eval").body
            assert isinstance(call, ast.Call)
            topic, what = map(ast.literal_eval, call.args)
            sides = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
            yield topic, what, sides["mlflow"], sides["sparksig"]


def write_lines(differences: list[Difference]) -> Iterator[str]:
    """Write the table in Markdown: a line for each difference, below its topic."""
    [version] = set(re.findall(r'"mlflow==([\d.]+)"', (HERE.parent / "pyproject.toml").read_text()))
    yield f"| | MLflow {version} | sparksig | proof |"
    yield "|---|---|---|---|"
    topic = None
    for difference in differences:
        if difference.topic != topic:
            topic = difference.topic
            yield f"| **{topic}** | | | |"
        yield str(difference)


def write_page(page: str, differences: list[Difference]) -> str:
    """Return the page with a current table between its marks."""
    table = "\n".join(write_lines(differences))
    page, count = MARKS.subn(lambda marks: f"{marks[1]}{table}\n{marks[2]}", page)
    assert count == 1, "the page has no marks for the table, or several"
    return page


if __name__ == "__main__":
    PAGE.write_text(write_page(PAGE.read_text(encoding="utf-8"), collect()), encoding="utf-8")
