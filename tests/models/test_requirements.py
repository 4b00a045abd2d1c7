"""The requirements of a model: names and versions are accepted, and nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from sparksig.errors import ModelDamagedError, ModelError, UnsupportedError
from sparksig.models import requirements
from sparksig.models.directory import ModelDirectory
from sparksig.models.environments import resolve_environment
from sparksig.models.requirements import Requirements, read_requirements
from sparksig.models.trust import Trust
from tests.models.helpers import with_requirements


def test_requirements_are_read_without_sparksig(model):
    lines = ("scikit-learn==1.5.0", "numpy<2,>=1.26; python_version > '3'", "Uvicorn[standard]")
    text = "# comment\nsparksig==0.1.0\n\n" + "  # why\n".join(lines)
    parsed = read_requirements(with_requirements(model, text, "3.10.4"))
    assert parsed == Requirements(lines, "3.10")
    assert not parsed.is_pinned
    assert "pyarrow>=17" in parsed.install_lines


@pytest.mark.parametrize(
    "line",
    [
        "scikit-learn @ https://example.org/x.whl",
        "https://example.org/x.whl",
        "./wheels/x.whl",
        "../x",
        "-e .",
        "-r other.txt",
        "--index-url https://example.org",
        "--extra-index-url=https://example.org",
        "git+https://example.org/x.git",
        "numpy==1.26 --hash=sha256:abc",
        "numpy==1.26 --config-settings=x",
        "evil.whl",
        "evil.WHL[extra]",
        "pkg-1.0.tar.gz",
        "evil==1.0+x.zip",
        "numpy==1.26; python_version > '3' --config-settings=x",
        "numpy==1.26; python_version > '3 --pre'",
        "numpy==1.26;",
        "numpy==1.26; python_version > '${SECRET}'",
        "numpy==1.26 \\",
        "numpy==1.26; python_version > '3' \\",
        "numpy==1.26.",
        "numpy==\u0661",
    ],
)
def test_requirement_that_is_not_a_name_is_refused(model, line):
    with pytest.raises(UnsupportedError, match=r"is not a name with versions. URLs, paths and options"):
        read_requirements(with_requirements(model, f"pandas\n{line}\n"))


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}", fullmatch=True)
VERSIONS = st.from_regex(
    r"(==|>=|<|~=|!=)[0-9]\.[0-9]{1,3}(rc1|\.post2)?|==1\.0\+cpu|==1\.\*", fullmatch=True
)
MARKERS = st.sampled_from(
    ["", "python_version < '3.12' and (os_name == 'posix' or extra == 'a')", "sys_platform not in 'win32'"]
)


@given(NAMES, st.lists(NAMES, max_size=2), st.lists(VERSIONS, max_size=2), MARKERS)
def test_requirement_means_the_same_to_pip_and_is_read_again(name, extras, versions, marker):
    text = f"{name} [{' , '.join(extras)}] " if extras else f"{name} "
    text += " , ".join(versions) + (f" ;{marker}" if marker else "")
    line = requirements._parse_line(text)
    assert Requirement(line) == Requirement(text)
    assert requirements._parse_line(line) == line


@given(st.text(alphabet="a1.=<>~;'\"()[],- \\\t#$@/:_orin", max_size=30))
def test_accepted_requirement_has_no_option_path_or_url(tail):
    line = requirements._parse_line(f"a{tail}")
    if line is not None:
        assert not set(line) & set("\\\t#$@/:")
        assert not any(word.startswith("-") for word in line.split(" "))


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("numpy==1.24.4", "numpy 1.26"),
        ("numpy==1.24.*", "numpy 1.26"),
        ("NumPy<1.26", "numpy 1.26"),
        ("pandas>=1.5,<2", "pandas 2.2"),
        ("pandas~=2.1.0", "pandas 2.2"),
        ("PyYAML==5.4", "pyyaml 6.0.1"),
        ("pydantic<=1.10", "pydantic 2.7"),
    ],
)
def test_packages_that_are_too_old_are_refused_before_anything_is_built(model, line, needed):
    directory = with_requirements(model, f"{line}\n")
    pattern = rf"the model needs {re.escape(line)}, and .* {needed} or newer"
    with pytest.raises(UnsupportedError, match=pattern):
        resolve_environment(directory, "model", Trust(), allow_install=True)


@pytest.mark.parametrize(
    "line",
    ["numpy==1.*", "numpy<2", "pandas~=2.2", "pandas<3,>=1.5", "pyarrow==17", "numpy<1.26; extra == 'a'"],
)
def test_packages_that_may_be_new_enough_are_accepted(model, line):
    assert read_requirements(with_requirements(model, f"{line}\n")).lines == (line,)


def test_python_that_is_too_old_is_refused_before_anything_is_built(model):
    directory = with_requirements(model, "pandas\n", "3.9.18")
    with pytest.raises(UnsupportedError, match=r"needs Python 3\.9, and .* with Python 3\.10 or newer"):
        resolve_environment(directory, "model", Trust(), allow_install=True)


@pytest.mark.parametrize(
    ("line", "is_pinned"),
    [
        ("a==1.0", True),
        ("a===1.0", True),
        ("a>=1,==1.0", True),
        ("a==1.0; python_version == '3.*'", True),
        ("a", False),
        ("a==1.*", False),
        ("a!=1.0", False),
        ("a; python_version == '3.11'", False),
        ("a>=1; python_version == '3.11'", False),
    ],
)
def test_only_an_exact_version_pins_a_requirement(line, is_pinned):
    assert Requirements((line,), "3.11").is_pinned is is_pinned


def test_key_depends_on_requirements_and_python():
    keys = {
        Requirements(lines, python).key for lines in ((), ("a==1",), ("a==2",)) for python in ("3.10", "3.11")
    }
    assert len(keys) == 6


def test_directory_without_requirements(model):
    (model / "requirements.txt").unlink()
    with pytest.raises(ModelError, match=r"has no requirements\.txt\. Save it with pip_requirements"):
        read_requirements(ModelDirectory.read(model))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"\xff", "'requirements.txt' is not text", id="no text"),
        pytest.param(b"a" * (2**20 + 1), "expected text of at most 1 MiB, got a larger file", id="too long"),
    ],
)
def test_damaged_requirements(model, content, text):
    (model / "requirements.txt").write_bytes(content)
    with pytest.raises(ModelDamagedError, match=text):
        read_requirements(ModelDirectory.read(model))


def test_damaged_version_of_python(model):
    with pytest.raises(ModelDamagedError, match="expected a version of Python, got 'three'"):
        read_requirements(with_requirements(model, "pandas\n", "three"))
