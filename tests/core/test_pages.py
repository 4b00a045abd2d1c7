"""The README and the other pages agree with the code, and link to each other."""

from __future__ import annotations

import re

import pytest
import yaml

from sparksig import Code
from tests.pages import LANGUAGES, PAGES, README, ROOT, find_blocks, pages, run_page

ERRORS = PAGES["sparksig/errors.md"].read_text()


@pytest.mark.once
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the libraries that the pages show together
@pytest.mark.parametrize("name", pages(with_session=False))
def test_page_runs_and_prints_what_it_shows(name, tmp_path, monkeypatch):
    run_page(name, tmp_path, monkeypatch)


def test_readme_is_short():
    assert len(README.read_text().splitlines()) <= 350


@pytest.mark.parametrize("name", sorted(set(PAGES) - {"README.md"}))
def test_readme_links_to_the_page(name):
    assert f"]({name})" in README.read_text()


def links():
    """The links of all pages: the page, the file and the heading."""
    for name, path in PAGES.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
            if "://" not in target:
                file, _, heading = target.partition("#")
                yield name, file, heading


@pytest.mark.parametrize(("name", "file", "heading"), sorted(set(links())))
def test_link_leads_to_a_file_and_a_heading(name, file, heading):
    target = (PAGES[name].parent / file) if file else PAGES[name]
    assert target.exists()
    if heading:
        titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        assert heading in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_blocks_are_in_a_tested_language(name):
    assert set(re.findall(r"^```(\w+)$", PAGES[name].read_text(), re.MULTILINE)) <= LANGUAGES


@pytest.mark.parametrize("name", PAGES)
def test_shell_blocks_name_known_commands_and_targets(name):
    text, makefile = PAGES[name].read_text(), (ROOT / "Makefile").read_text()
    lines = "\n".join(code for _, code in find_blocks(text, "sh")).replace("\\\n", " ").splitlines()
    starts = {line.split()[0] for line in lines if line and not line.startswith("#")}
    assert starts <= {"make", "pip", "spark-submit", "sparksig"}
    targets = re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)
    assert set(targets) <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(code, id=f"{name}:{line}")
        for name, page in PAGES.items()
        for line, code in find_blocks(page.read_text(), "yaml")
    ],
)
def test_configuration_is_valid(code):
    from sparksig.jobs import ScoreConfig

    assert ScoreConfig.model_validate(yaml.safe_load(code)).input.path


def test_exit_codes_are_those_of_the_code():
    from sparksig.jobs import EXIT_CODES

    stated = dict(re.findall(r"^\| (\d+) \| (.*?) \|$", ERRORS, re.MULTILINE))
    known_names = {str(code) for code, _ in EXIT_CODES.values()}
    assert set(stated) == known_names | {"0", "1", "130"}
    for code, text in EXIT_CODES.values():
        assert stated[str(code)].startswith(text.split(",")[0]), code


def test_codes_are_those_of_the_code():
    stated = re.findall(r"^\| `([A-Z_]+)` \| .+ \| .+ \|$", ERRORS, re.MULTILINE)
    assert stated == [code.value for code in Code]
