"""What sparksig does otherwise than MLflow, on purpose: each difference is told where a test proves it.

The README's table is made of what is told; ``python -m tests.differences`` writes it there.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
MARKS = re.compile(
    r"(<!-- differences from MLflow, written by.*?-->\n).*?(<!-- end of the differences -->)", re.DOTALL
)
TOPICS = ["Inferring", "Enforcing", "Params", "Requests to servers", "Spark", "Model directories"]

Test = TypeVar("Test", bound=Callable[..., None])


def differs(topic: str, what: str, *, mlflow: str, sparksig: str) -> Callable[[Test], Test]:
    """On the test that proves it: what differs, and what each of the two makes of it, as text in Markdown."""
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
        assert self.topic in TOPICS, f"{self.topic!r} is none of {TOPICS}"
        for text in (self.what, self.mlflow, self.sparksig):
            assert text, f"{self.what!r} has an empty cell"
            assert "|" not in text, f"a cell has no |: {text!r}"
            assert text.isprintable(), f"a cell is one line: {text!r}"
        return self

    def __str__(self) -> str:
        return f"| {self.what} | {self.mlflow} | {self.sparksig} | [test]({self.test}) |"


def collected(folder: Path = HERE) -> list[Difference]:
    """Those of all tests below a folder, read and not imported: by topic, then where they stand."""
    found = [
        Difference(*told, test=str(path.relative_to(folder.parent))).checked()
        for path in sorted(folder.rglob("test_*.py"))
        for told in _told_in(path.read_text(encoding="utf-8"))
    ]
    return sorted(found, key=lambda one: TOPICS.index(one.topic))


def _told_in(source: str) -> Iterator[tuple[str, str, str, str]]:
    if "@differs(" not in source:
        return
    for node in ast.walk(ast.parse(source)):
        decorators = [ast.unparse(one) for one in getattr(node, "decorator_list", [])]
        for told in (one for one in decorators if one.startswith("differs(")):
            assert isinstance(node, ast.FunctionDef), "a difference is told on a class"
            assert node.name.startswith("test_"), f"{node.name} is no test"
            assert not re.search(r"skip|xfail", " ".join(decorators)), f"{node.name} may not run"
            call = ast.parse(told, mode="eval").body
            assert isinstance(call, ast.Call)
            topic, what = map(ast.literal_eval, call.args)
            sides = {one.arg: ast.literal_eval(one.value) for one in call.keywords}
            yield topic, what, sides["mlflow"], sides["sparksig"]


def lines(differences: list[Difference]) -> Iterator[str]:
    """The table in Markdown: a line for each difference, below its topic."""
    [version] = set(re.findall(r'"mlflow==([\d.]+)"', (HERE.parent / "pyproject.toml").read_text()))
    yield f"| | MLflow {version} | sparksig | proof |"
    yield "|---|---|---|---|"
    topic = None
    for one in differences:
        if one.topic != topic:
            topic = one.topic
            yield f"| **{topic}** | | | |"
        yield str(one)


def written(readme: str, differences: list[Difference]) -> str:
    """The README with that table between its marks."""
    table = "\n".join(lines(differences))
    whole, count = MARKS.subn(lambda found: f"{found[1]}{table}\n{found[2]}", readme)
    assert count == 1, "the README has no marks for the table, or several"
    return whole


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8"), collected()), encoding="utf-8")
