"""The README's table of differences is what the tests tell, each on a test that runs."""

from __future__ import annotations

import pytest

from tests.differences import README, TOPICS, Difference, collected, differs, lines, written


def test_the_readme_shows_the_differences():
    whole = README.read_text(encoding="utf-8")
    assert written(whole, collected()) == whole, "python -m tests.differences writes the table"


def test_every_topic_has_a_difference_and_none_is_told_twice():
    told = collected()
    assert {one.topic for one in told} == set(TOPICS)
    assert len({one.what for one in told}) == len(told)
    assert all((README.parent / one.test).is_file() for one in told)


def test_a_difference_is_told_on_a_test_that_runs(tmp_path):
    told, test = '@differs("Spark", "a", mlflow="b", sparksig="c")\n', "def test_a(): ..."
    (tmp_path / "other.py").write_text(told + "def helper(): ...")
    (tmp_path / "test_none.py").write_text(test)
    (tmp_path / "test_fine.py").write_text(told + test)
    assert collected(tmp_path) == [Difference("Spark", "a", "b", "c", f"{tmp_path.name}/test_fine.py")]
    for source, text in [
        (told + "def helper(): ...", "helper is no test"),
        (told + "class TestA: ...", "told on a class"),
        ("@pytest.mark.skip\n" + told + test, "test_a may not run"),
        (told.replace("Spark", "Sprak") + test, "'Sprak' is none of"),
        (told.replace('"b"', "'x | y'") + test, "a cell has no |"),
        (told.replace('"b"', "''") + test, "'a' has an empty cell"),
    ]:
        (tmp_path / "test_fine.py").write_text(source)
        with pytest.raises(AssertionError) as error:
            collected(tmp_path)
        assert text in str(error.value)


def test_the_table_goes_between_the_marks():
    one, other = (Difference(topic, "w", "m", "s", "tests/x.py") for topic in TOPICS[:2])
    assert list(lines([one, one, other]))[2:] == [
        f"| **{TOPICS[0]}** | | | |",
        "| w | m | s | [test](tests/x.py) |",
        "| w | m | s | [test](tests/x.py) |",
        f"| **{TOPICS[1]}** | | | |",
        "| w | m | s | [test](tests/x.py) |",
    ]
    before = "a\n<!-- differences from MLflow, written by x -->\n"
    after = "<!-- end of the differences -->\nb"
    assert written(f"{before}old\n{after}", [one]) == f"{before}{chr(10).join(lines([one]))}\n{after}"
    with pytest.raises(AssertionError, match="no marks"):
        written("a", [one])


def test_the_decorator_leaves_the_test_as_it_is():
    def test():
        return 1

    assert differs("Spark", "a", mlflow="b", sparksig="c")(test) is test
    with pytest.raises(AssertionError, match="is none of"):
        differs("Sprak", "a", mlflow="b", sparksig="c")
