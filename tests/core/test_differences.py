"""The table of differences from MLflow is declared by tests that run."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.differences import HERE, PAGE, TOPICS, Difference, collect, differs, write_lines, write_page

DECORATOR, TEST = '@differs("Spark", "a", mlflow="b", sparksig="c")\n', "def test_a(): ..."


def test_page_is_current():
    page = PAGE.read_text(encoding="utf-8")
    assert write_page(page, collect()) == page, "python -m tests.differences writes the table"


def test_every_topic_has_differences_and_none_is_declared_twice():
    differences = collect()
    assert {difference.topic for difference in differences} == set(TOPICS)
    assert set(Counter(difference.what for difference in differences).values()) == {1}
    assert all((HERE / difference.test).is_file() for difference in differences)


def test_differences_are_collected_from_tests(tmp_path):
    (tmp_path / "other.py").write_text(DECORATOR + "def helper(): ...")
    (tmp_path / "test_none.py").write_text(TEST)
    (tmp_path / "test_fine.py").write_text(DECORATOR + TEST)
    assert collect(tmp_path) == [Difference("Spark", "a", "b", "c", "test_fine.py")]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param(DECORATOR + "def helper(): ...", "helper is not a test", id="function"),
        pytest.param(DECORATOR + "class TestA: ...", "declared on a class", id="class"),
        pytest.param("@pytest.mark.skip\n" + DECORATOR + TEST, "test_a may not run", id="skipped"),
        pytest.param(DECORATOR.replace("Spark", "Sprak") + TEST, "'Sprak' is not in", id="topic"),
        pytest.param(DECORATOR.replace('"b"', "'x | y'") + TEST, "a cell has no |", id="bar"),
        pytest.param(DECORATOR.replace('"b"', "''") + TEST, "'a' has an empty cell", id="empty"),
    ],
)
def test_difference_without_a_proof_is_refused(tmp_path, source, message):
    (tmp_path / "test_fine.py").write_text(source)
    with pytest.raises(AssertionError) as error:
        collect(tmp_path)
    assert message in str(error.value)


def test_table_goes_between_the_marks():
    first, second = (Difference(topic, "w", "m", "s", "x.py") for topic in TOPICS[:2])
    assert list(write_lines([first, first, second]))[2:] == [
        f"| **{TOPICS[0]}** | | | |",
        "| w | m | s | [test](x.py) |",
        "| w | m | s | [test](x.py) |",
        f"| **{TOPICS[1]}** | | | |",
        "| w | m | s | [test](x.py) |",
    ]
    before = "a\n<!-- differences from MLflow, written by x -->\n"
    after = "<!-- end of the differences -->\nb"
    table = "\n".join(write_lines([first]))
    assert write_page(f"{before}old\n{after}", [first]) == f"{before}{table}\n{after}"
    with pytest.raises(AssertionError, match="no marks"):
        write_page("a", [first])


def test_decorator_returns_the_test():
    def test():
        return 1

    assert differs("Spark", "a", mlflow="b", sparksig="c")(test) is test
    with pytest.raises(AssertionError, match="is not in"):
        differs("Sprak", "a", mlflow="b", sparksig="c")
