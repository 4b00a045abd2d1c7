"""The configuration reference lists the keys of the configuration classes."""

from __future__ import annotations

import re

import pytest
import yaml

from sparksig.jobs.config_types import find_type
from tests.jobs.reference import EXAMPLES, FORMS, PAGE, VALUES, find_file, marks, table, written, written_file


@pytest.mark.parametrize("name", FORMS)
def test_page_has_each_table_once(name):
    assert len(marks(name).findall(PAGE.read_text())) == 1


def test_page_is_current():
    page = PAGE.read_text()
    assert written(page) == page, "python -m tests.jobs.reference writes the page"


def test_a_table_says_of_each_key_what_it_is():
    lines = list(table(FORMS["score"]))
    assert all(len(re.split(r"(?<!\\)\|", line)) == 6 for line in lines)
    assert lines[2] == "| `input.path` | text |  | the path of the table; either this or `table` |"
    assert (
        '| `output.keep` | list of text or "*" | required | the columns of the input in the '
        'output; "*" for all |'
    ) in lines
    assert "| `check.mode` | schema, sample, full | `schema` | only types, some rows, or all rows |" in lines
    assert (
        "| `spark` | mapping to text | empty | Spark settings; they override spark-submit's flags |" in lines
    )
    keys = [line.split("`")[1] for line in lines[2:]]
    assert len(keys) == len(set(keys)) > 30


@pytest.mark.parametrize("name", FORMS)
def test_the_example_configuration_is_current(name):
    assert find_file(name).read_text() == written_file(name), "python -m tests.jobs.reference writes the file"


@pytest.mark.parametrize("name", FORMS)
def test_the_example_configuration_sets_only_the_values_of_the_demo(name):
    assert yaml.safe_load(find_file(name).read_text()) == VALUES[name]


@pytest.mark.parametrize("key", EXAMPLES)
def test_an_example_is_of_a_key_of_a_configuration(key):
    assert any(find_type(form, key.split(".")) is not None for form in FORMS.values())
