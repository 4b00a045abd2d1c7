"""Model directories as data: written completely or not at all, read with any content, and their digest."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import shutil
import threading

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sparksig
from sparksig.errors import (
    Code,
    MissingSignatureError,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
    OutputRefusedError,
    SignatureError,
    SparksigError,
    UnsupportedError,
)
from sparksig.models.directory import ModelDirectory, create_directory, write_mlmodel
from sparksig.models.safe_yaml import MAX_YAML_BYTES, load_yaml
from sparksig.models.seal import digest
from sparksig.params import ParamSchema, ParamSpec
from sparksig.schema import ColSpec, Schema
from sparksig.signature import ModelSignature
from tests.models.helpers import SIGNATURE, Doubled, Failing, content, copy_of, fresh, rewrite, splined

MINIMAL = b"flavors: {}\n"


@pytest.fixture
def model_home(tmp_path):
    """A directory with an MLmodel that says nothing."""
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "MLmodel").write_bytes(MINIMAL)
    return tmp_path / "made"


def damaged(directory, data):
    """The text of the error that an MLmodel of these bytes answers with."""
    (directory / "MLmodel").write_bytes(data)
    with pytest.raises(ModelDamagedError) as caught:
        ModelDirectory.read(directory)
    prefix = f"{directory / 'MLmodel'}: "
    assert caught.value.message.startswith(prefix)
    return caught.value.message.removeprefix(prefix)


# --- writing ------------------------------------------------------------------------------------------


def test_a_new_directory_appears_when_it_is_whole(tmp_path):
    target = tmp_path / "m"
    with create_directory(target) as staging:
        assert staging.parent == tmp_path
        assert staging.name.startswith(".m.")
        assert staging.stat().st_mode & 0o777 == 0o700
        assert not target.exists()
        (staging / "file").write_text("whole")
    assert content(tmp_path) == {"m": None, "m/file": b"whole"}


def test_missing_parents_are_made(tmp_path):
    with create_directory(tmp_path / "a" / "b" / "m") as staging:
        (staging / "file").touch()
    assert content(tmp_path / "a" / "b") == {"m": None, "m/file": b""}


def test_a_path_may_be_text_and_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with create_directory("m") as staging:
        (staging / "file").touch()
        monkeypatch.chdir("/")
    assert content(tmp_path) == {"m": None, "m/file": b""}


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o027])
def test_the_directory_has_the_mode_that_the_umask_gives(tmp_path, mask):
    target = fresh(tmp_path) / "m"
    before = os.umask(mask)
    try:
        with create_directory(target):
            pass
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o777 & ~mask


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("existing", [False, True], ids=["nothing-there", "empty-directory-there"])
def test_a_failing_block_leaves_nothing(tmp_path, error, existing):
    home = fresh(tmp_path)
    if existing:
        (home / "m").mkdir()

    def fill():
        with create_directory(home / "m") as staging:
            (staging / "sub").mkdir()
            (staging / "sub" / "file").write_text("half")
            raise error("in the middle")

    with pytest.raises(error, match=r"^in the middle$"):
        fill()
    assert content(home) == ({"m": None} if existing else {})


def test_a_failing_disk_is_not_taken_for_a_directory_that_appeared(tmp_path):
    (tmp_path / "m").mkdir()
    with pytest.raises(OSError, match=r"^no space left$") as caught:
        sparksig.save_model(tmp_path / "m", Failing(OSError("no space left")))
    assert not isinstance(caught.value, SparksigError)
    assert content(tmp_path) == {"m": None}


def _occupy(path, what):
    other = path.parent / "other"
    other.mkdir()
    (other / "file").write_text("other")
    (path.parent / "empty").mkdir()
    if what == "directory":
        path.mkdir()
        (path / "file").write_text("mine")
    elif what == "directory-of-hidden":
        path.mkdir()
        (path / ".hidden").touch()
    elif what == "file":
        path.write_text("mine")
    elif what == "empty-file":
        path.touch()
    else:
        target = {"link-to-full": "other", "link-to-empty": "empty", "link-to-file": "other/file"}
        path.symlink_to(target.get(what, "nowhere"))


OCCUPIED = [
    "directory",
    "directory-of-hidden",
    "file",
    "empty-file",
    "link-to-full",
    "link-to-empty",
    "link-to-file",
    "dangling-link",
]


@pytest.mark.parametrize("what", OCCUPIED)
def test_what_is_there_already_is_refused_and_untouched(tmp_path, what):
    home = fresh(tmp_path)
    target = home / "m"
    _occupy(target, what)
    before, inode = content(home), target.lstat().st_ino
    text = (
        f"^'{re.escape(str(target))}' exists already and is not an empty directory: nothing was written\\. "
    )
    with pytest.raises(OutputRefusedError, match=text):
        sparksig.save_model(target, Doubled(), SIGNATURE)
    assert content(home) == before
    assert target.lstat().st_ino == inode


def test_an_empty_directory_is_accepted(tmp_path):
    (tmp_path / "m").mkdir()
    sparksig.save_model(tmp_path / "m", Doubled(), SIGNATURE)
    assert ModelDirectory.read(tmp_path / "m").signature == SIGNATURE
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("what", ["directory", "file"])
def test_what_appears_meanwhile_is_kept(tmp_path, what):
    target = fresh(tmp_path) / "m"

    def race():
        with create_directory(target) as staging:
            (staging / "file").write_text("late")
            _occupy(target, what)

    with pytest.raises(
        OutputRefusedError, match=r"m' was created by another process meanwhile: nothing was written$"
    ):
        race()
    assert (target.read_text() if what == "file" else (target / "file").read_text()) == "mine"
    assert sorted(path.name for path in target.parent.iterdir()) == ["empty", "m", "other"]


def test_of_two_writers_that_finish_together_exactly_one_wins(tmp_path):
    together = threading.Barrier(2)
    outcomes = {}

    def write(who):
        try:
            with create_directory(tmp_path / "m") as staging:
                for name in "abc":
                    (staging / name).write_text(who)
                together.wait(10)
            outcomes[who] = "won"
        except OutputRefusedError as error:
            outcomes[who] = error.message

    threads = [threading.Thread(target=write, args=(who,)) for who in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [who for who, outcome in outcomes.items() if outcome == "won"]
    (lost,) = [outcome for outcome in outcomes.values() if outcome != "won"]
    assert lost.endswith("m' was created by another process meanwhile: nothing was written")
    assert content(tmp_path) == {"m": None} | {f"m/{name}": winner.encode() for name in "abc"}


def test_of_many_saves_at_once_exactly_one_wins(tmp_path):
    start = threading.Barrier(4)
    outcomes = []

    def save():
        start.wait(10)
        try:
            sparksig.save_model(tmp_path / "m", Doubled(), SIGNATURE)
            outcomes.append("won")
        except OutputRefusedError:
            outcomes.append("refused")

    threads = [threading.Thread(target=save) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "refused", "refused", "won"]
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert sparksig.load_model(tmp_path / "m", allow_pickle=True).signature == SIGNATURE


NAN_DEFAULT = ModelSignature(params=ParamSchema([ParamSpec("t", "double", float("nan"))]))
FAILING_SAVES = {
    "pickling": (lambda: Failing(ZeroDivisionError("no")), {}, ZeroDivisionError),
    "interrupted": (lambda: Failing(KeyboardInterrupt()), {}, KeyboardInterrupt),
    "a-lock": (lambda: _with(threading.Lock()), {}, TypeError),
    "untrusted-types": (splined, {}, sparksig.ModelNotTrustedError),
    "signature": (Doubled, {"signature": NAN_DEFAULT}, SignatureError),
    "metadata": (Doubled, {"metadata": {"a": object()}}, (SparksigError, yaml.YAMLError)),
    "metadata-that-is-a-list": (Doubled, {"metadata": [1]}, (SparksigError, TypeError)),
}


def _with(value):
    model = Doubled()
    model.value = value
    return model


@pytest.mark.parametrize(("model", "more", "error"), FAILING_SAVES.values(), ids=FAILING_SAVES)
def test_a_failing_save_leaves_nothing(tmp_path, model, more, error):
    with pytest.raises(error):
        sparksig.save_model(tmp_path / "m", model(), **more)
    assert content(tmp_path) == {}


def _deep(levels):
    return {"a": _deep(levels - 1)} if levels else 1


SHARED = [1, 2]
UNUSUAL = {
    "one-list-twice": {"a": SHARED, "b": SHARED},
    "sixty-levels": _deep(60),
    "number-and-text-as-keys": {1: "a", "1": "b"},
    "texts-like-other-types": {"a": "2020-01-01", "b": "yes", "c": "1e3", "d": "null", "e": "=", "f": "<<"},
    "texts-of-all-kinds": {"é": "\n", "b": "\x07\x85\u2028\ufeff", "c": "'\"#: &a *b", "": " a "},
}


@pytest.mark.parametrize("metadata", UNUSUAL.values(), ids=UNUSUAL)
def test_what_can_be_saved_can_be_read(tmp_path, metadata):
    home = fresh(tmp_path)
    try:
        sparksig.save_model(home / "m", Doubled(), SIGNATURE, metadata=metadata)
    except SparksigError:
        assert content(home) == {}
        return
    assert ModelDirectory.read(home / "m").config["metadata"] == metadata


def test_an_mlmodel_is_block_style_with_sorted_keys_in_utf8(tmp_path):
    write_mlmodel(tmp_path, {"z": {"é": [1, None]}, "a": "x"})
    assert (tmp_path / "MLmodel").read_bytes() == "a: x\nz:\n  é:\n  - 1\n  - null\n".encode()


# --- reading ------------------------------------------------------------------------------------------


def test_a_directory_says_what_mlmodel_says(pickled):
    directory = ModelDirectory.read(str(pickled))
    assert directory.path == pickled
    assert directory.config == yaml.safe_load((pickled / "MLmodel").read_text())
    assert directory.signature == SIGNATURE
    assert (
        directory.pyfunc
        == directory.get_flavor("python_function")
        == directory.config["flavors"]["python_function"]
    )
    assert directory.get_flavor("sklearn") is None


def test_a_directory_read_by_a_relative_path_stays_where_it_is(pickled, monkeypatch):
    monkeypatch.chdir(pickled.parent)
    directory = ModelDirectory.read("pickled")
    monkeypatch.chdir("/")
    assert directory.path == pickled
    assert directory.resolve_member("python_model.pkl").is_file()


def test_a_link_to_a_model_directory_is_followed(pickled, tmp_path):
    (tmp_path / "latest").symlink_to("pickled")
    assert ModelDirectory.read(tmp_path / "latest").resolve_member("python_model.pkl").is_file()
    assert digest(tmp_path / "latest") == digest(pickled)


@pytest.mark.parametrize("read", [ModelDirectory.read, sparksig.load_model, digest])
@pytest.mark.parametrize("what", ["nothing", "file", "dangling-link", "nul"])
def test_a_missing_directory_is_named(tmp_path, what, read):
    path = fresh(tmp_path) / ("a\0b" if what == "nul" else "m")
    if what == "file":
        path.write_bytes(MINIMAL)
    if what == "dangling-link":
        path.symlink_to("nowhere")
    text = f"^there is no model directory at {re.escape(repr(str(path)))}$"
    with pytest.raises(ModelNotFoundError, match=text):
        read(path)


@pytest.mark.parametrize("what", ["nothing", "directory", "dangling-link", "other-case"])
def test_no_mlmodel(model_home, what):
    model_home = copy_of(model_home)
    (model_home / "MLmodel").unlink()
    if what == "directory":
        (model_home / "MLmodel").mkdir()
    if what == "dangling-link":
        (model_home / "MLmodel").symlink_to("nowhere")
    if what == "other-case":
        (model_home / "mlmodel").write_bytes(MINIMAL)
    with pytest.raises(ModelNotFoundError, match=r"made' is not a model directory: it has no file MLmodel$"):
        ModelDirectory.read(model_home)


NOT_A_MAPPING = {
    "empty": b"",
    "comment": b"# flavors\n",
    "null": b"null",
    "text": b"flavors",
    "number": b"5",
    "list": b"- flavors\n- 5\n",
    "no-flavors": b"signature: null\n",
    "no-keys": b"{}",
    "flavors-list": b"flavors: [python_function]\n",
    "flavors-text": b"flavors: python_function\n",
    "flavors-null": b"flavors:\n",
    "flavors-false": b"flavors: false\n",
}


@pytest.mark.parametrize("data", NOT_A_MAPPING.values(), ids=NOT_A_MAPPING)
def test_an_mlmodel_is_a_mapping_of_flavors(model_home, data):
    assert damaged(model_home, data) == "expected a mapping with the key 'flavors', got something else"


NOT_YAML = {
    "open-list": (b"flavors: [1", r"line \d, column \d+: did not find expected ',' or ']'"),
    "open-text": (b"flavors: 'a\n", "line 2, column 1: found unexpected end of stream"),
    "bad-indent": (b"a: 1\n  flavors: {}\n", "line 2, column 10: mapping values are not allowed"),
    "tab": (b"flavors:\n\t- a\n", "line 2, column 1: found character that cannot start any token"),
    "two-documents": (b"flavors: {}\n---\nflavors: {}\n", "line 2, column 1: but found another document"),
    "bad-merge": (b"flavors: {}\n<<: 5\n", "line 2, column 5: expected a mapping or list of mappings"),
    "a-list-as-key": (b"flavors: {}\n? [a]\n: b\n", "line 2, column 3: found unhashable key"),
    "nul": (b"flavors: {}\0", ".*control characters are not allowed"),
    "bell": (b"flavors: {}\a", ".*control characters are not allowed"),
    "not-utf8": (b"flavors: {a: \xff}\n", ""),
    "half-utf16": (b"\xff\xfef", ""),
    "all-bytes": (bytes(range(256)), ""),
    "a-pickle": (b"\x80\x05\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94.", ""),
    "a-zip": (b"PK\x03\x04\x14\x00\x00\x00\x08\x00", ""),
}


@pytest.mark.parametrize(("data", "text"), NOT_YAML.values(), ids=NOT_YAML)
def test_invalid_yaml_is_reported_with_its_line(model_home, data, text):
    assert re.match(f"cannot read this YAML: {text}", damaged(model_home, data))


def test_yaml_has_a_bound_on_its_size(model_home):
    padding = MAX_YAML_BYTES - len(MINIMAL)
    (model_home / "MLmodel").write_bytes(MINIMAL + b"#" * padding)
    assert ModelDirectory.read(model_home).config == {"flavors": {}}
    assert damaged(model_home, MINIMAL + b"#" * (padding + 1)) == "more than 10 MiB of YAML"
    assert damaged(model_home, b"flavors: {}\na: " + b"x" * 11 * 2**20) == "more than 10 MiB of YAML"


DEEP = "line {}: nested more than 50 levels deep"
LAUGHS = b"".join(b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 12))
BOMBS = {
    "billion-laughs": (
        b"flavors: {}\na0: &a0 [x]\n" + LAUGHS,
        r"line \d+, column \d+: more than 100000 values",
    ),
    "laughs-in-flavors": (
        b"a0: &a0 {x: y}\n" + LAUGHS + b"flavors: {tf: *a11}\n",
        r"line \d+, column \d+: more than 100000 values",
    ),
    "lists": (b"flavors: " + b"[" * 100_000, DEEP.format("1, column 59")),
    "lists-that-close": (b"flavors: " + b"[" * 500 + b"]" * 500, DEEP.format("1, column 59")),
    "mappings": (b"flavors: " + b"{a: " * 100_000, DEEP.format("1, column 206")),
    "block": (b"".join(b" " * i + b"a:\n" for i in range(500)), DEEP.format("51, column 51")),
    "block-lists": (b"- " * 100_000, DEEP.format("1, column 101")),
}


@pytest.mark.parametrize(("data", "text"), BOMBS.values(), ids=BOMBS)
def test_bombs_are_not_built(model_home, data, text):
    assert re.match(f"cannot read this YAML: {text}", damaged(model_home, data))


SELF = {
    "list": b"flavors: {}\na: &a [*a]\n",
    "flavors": b"flavors: &a {tf: *a}\n",
    "whole": b"&a\nflavors: {}\nb: *a\n",
    "unknown": b"flavors: *a\n",
}


@pytest.mark.parametrize("data", SELF.values(), ids=SELF)
def test_what_holds_itself_is_damage(model_home, data):
    assert damaged(model_home, data).startswith("cannot read this YAML: line ")


def test_anchors_alone_and_moderate_nesting_are_taken():
    assert load_yaml(b"a: &x [1]\nb: &y 2\n") == {"a": [1], "b": 2}
    assert load_yaml(b"[" * 50 + b"]" * 50)


TWINS = {
    "top": (b"flavors: {}\na: 1\nflavors: {}\n", "line 1, column 1: duplicate key 'flavors'"),
    "inside": (b"flavors:\n  a: {}\n  b: {}\n  a: {}\n", "line 2, column 3: duplicate key 'a'"),
    "flow": (b"flavors: {a: {b: 1, b: 1}}\n", "line 1, column 15: duplicate key 'b'"),
    "quoted": (b"flavors: {}\n'flavors': {}\n", "line 1, column 1: duplicate key 'flavors'"),
    "in-a-list": (b"flavors: {}\nx: [{a: 1, a: 2}]\n", "line 2, column 6: duplicate key 'a'"),
}


@pytest.mark.parametrize(("data", "text"), TWINS.values(), ids=TWINS)
def test_a_duplicate_key_is_refused(model_home, data, text):
    assert damaged(model_home, data) == f"cannot read this YAML: {text}"


PYTHON_TAGS = [
    "!!python/object/apply:os.mkdir ['{canary}']",
    "!!python/object/apply:os.mkdir\nargs: ['{canary}']",
    "!!python/object/new:os.mkdir ['{canary}']",
    "!!python/object/apply:os.system ['mkdir {canary}']",
    "!!python/object/apply:subprocess.check_call [[mkdir, '{canary}']]",
    "!!python/object/apply:builtins.exec [\"import os; os.mkdir('{canary}')\"]",
    "!!python/module:antigravity ''",
    "!!python/name:os.system ''",
    "!!python/object:pathlib.Path {{}}",
    "!!python/tuple [1]",
    "!local {{}}",
]


@pytest.mark.parametrize("value", PYTHON_TAGS)
@pytest.mark.parametrize("where", ["top", "inside"])
def test_python_tags_execute_nothing(model_home, tmp_path, value, where):
    text = value.format(canary=tmp_path / "canary")
    if where == "inside":
        text = "flavors: {}\nx:\n  " + text.replace("\n", "\n  ")
    message = damaged(model_home, text.encode())
    assert message.startswith("cannot read this YAML: line ")
    assert "could not determine a constructor for the tag " in message
    assert not (tmp_path / "canary").exists()


TAGGED = [
    "!!int ''",
    "!!int abc",
    "!!int [1]",
    "!!float ''",
    "!!float abc",
    "!!bool maybe",
    "!!null [1]",
    "!!timestamp abc",
    "!!timestamp 2020-13-45",
    "2020-13-45",
    "2020-01-01 00:00:00 +99:99",
    "!!binary a",
    "!!binary é",
    "!!str [1]",
    "!!seq {a: 1}",
    "!!seq abc",
    "!!map [a, b]",
    "!!map [[a, b], [c, d]]",
    "!!map abc",
    "!!set [a]",
    "!!omap [a]",
    "!!omap {a: 1}",
    "!!pairs a",
    "!!pairs [{a: 1, b: 2}]",
    "0x_",
    "0b_",
    "9" * 5000,
    ":".join(["1"] * 300) + ".5",
    "=",
]


@pytest.mark.parametrize("value", TAGGED)
def test_scalars_and_tags_that_do_not_go_together_are_damage(model_home, value):
    message = damaged(model_home, f"flavors: {{}}\nx: {value}\n".encode())
    assert message.startswith("cannot read this YAML: ")


def test_the_reader_gives_built_ins():
    text = "a: [1, 2.5, true, null, x]\nb: {c: '1'}\n? 5\n: 2020-01-01\n"
    assert load_yaml(text.encode()) == yaml.safe_load(text)
    assert load_yaml("a: é".encode("utf-16")) == {"a": "é"}


FLAVORS = st.dictionaries(
    st.sampled_from(
        ["flavors", "signature", "python_function", "loader_module", "inputs", "!!int", "&a", "*a"]
    ),
    st.recursive(
        st.sampled_from(["~", "[", "]", "{", "}", "'", "a: b", "- a", "1", "!!bool x", "|\n", "\t"]),
        lambda inner: st.lists(inner, min_size=1, max_size=3).map(" ".join),
        max_leaves=4,
    ),
)
HOSTILE = st.one_of(
    st.binary(max_size=40),
    FLAVORS.map(lambda entries: "\n".join(f"{k}: {v}" for k, v in entries.items()).encode()),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HOSTILE)
def test_each_mlmodel_is_read_or_reported_as_damaged(model_home, data):
    (model_home / "MLmodel").write_bytes(data)
    with contextlib.suppress(ModelDamagedError):
        assert isinstance(ModelDirectory.read(model_home).config["flavors"], dict)


# --- MLmodels that were damaged on the way --------------------------------------------------------------


@pytest.fixture
def real(skopsed):
    """A directory with a real MLmodel, the same for every run except for its versions."""
    file = skopsed / "MLmodel"
    rewrite(skopsed, lambda config: config.update(signature=SIGNATURE.to_dict()))
    text = re.sub("model_uuid: .*", f"model_uuid: {'0123456789abcdef' * 2}", file.read_text())
    file.write_text(re.sub("utc_time_created: .*", "utc_time_created: '2026-01-01 00:00:00.000000'", text))
    assert sparksig.load_model(skopsed).signature == SIGNATURE
    return skopsed


def _is_valid_or_damaged(directory):
    with contextlib.suppress(ModelError, UnsupportedError):  # without the flavor python_function
        read = ModelDirectory.read(directory)
        assert isinstance(read.config["flavors"], dict)
        assert read.signature is None or isinstance(read.signature, ModelSignature)
        assert all(isinstance(flavor, dict) for flavor in (read.pyfunc, read.get_flavor("sklearn") or {}))
    with contextlib.suppress(ModelError, UnsupportedError):  # methods and formats that are unknown
        assert sparksig.load_model(directory, on_version_mismatch="fail").path == directory


EXAMPLES = min(settings().max_examples, 50)  # more or fewer, as the profile says


def test_truncated_at_any_byte(real):
    file = real / "MLmodel"
    content = file.read_bytes()
    for length in range(0, len(content), 1 if EXAMPLES >= 50 else 4):
        file.write_bytes(content[:length])
        _is_valid_or_damaged(real)


def test_with_any_bit_flipped(real):
    file = real / "MLmodel"
    content = file.read_bytes()
    positions = range(8 * len(content))
    for position in random.Random(20260101).sample(positions, min(15 * EXAMPLES, len(positions))):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        file.write_bytes(flipped)
        _is_valid_or_damaged(real)


# --- the flavors and the signature -----------------------------------------------------------------------


@pytest.mark.parametrize("flavor", ["python_function", "sklearn"])
@pytest.mark.parametrize("value", [[], ["a"], "a", "", 0, 5, True])
def test_a_flavor_is_a_mapping(skopsed, flavor, value):
    skopsed = copy_of(skopsed)
    rewrite(skopsed, lambda config: config["flavors"].update({flavor: value}))
    with pytest.raises(ModelDamagedError, match=f"MLmodel: flavor '{flavor}': expected a mapping, got"):
        ModelDirectory.read(skopsed).get_flavor(flavor)
    with pytest.raises(ModelDamagedError, match=f"MLmodel: flavor '{flavor}': expected a mapping, got"):
        sparksig.load_model(skopsed)


@pytest.mark.parametrize(
    "use",
    [sparksig.load_model, lambda path: ModelDirectory.read(path).pyfunc],
    ids=["load_model", "ModelDirectory"],
)
@pytest.mark.parametrize("value", [None, "absent"])
def test_a_model_has_the_generic_flavor(model_home, value, use):
    flavors = {"tf": {}, 5: {}, "keras": {}} | ({"python_function": None} if value is None else {})
    rewrite(model_home, lambda config: config.update(flavors=flavors))
    text = "made: the model has no flavor 'python_function' \\(it has: 5, keras, "
    with pytest.raises(UnsupportedError, match=text):
        use(model_home)


NOTHING = {"null": None, "empty": {}, "nulls": {"inputs": None, "outputs": None, "params": None}}


@pytest.mark.parametrize("signature", NOTHING.values(), ids=NOTHING)
def test_a_missing_signature_is_none_and_not_damage(model_home, signature):
    assert ModelDirectory.read(model_home).signature is None
    rewrite(model_home, lambda config: config.update(signature=signature))
    directory = ModelDirectory.read(model_home)
    assert directory.signature is None
    with pytest.raises(
        MissingSignatureError, match=r"made: the model has no signature\. Set one: "
    ) as caught:
        directory.require_signature("made")
    assert not isinstance(caught.value, ModelDamagedError)
    with pytest.raises(MissingSignatureError, match=r"^models:/a/1: the model has no signature\."):
        directory.require_signature("models:/a/1")


def test_a_signature_of_lists_is_read(model_home):
    rewrite(model_home, lambda config: config.update(signature={"inputs": [{"type": "long", "name": "a"}]}))
    assert ModelDirectory.read(model_home).signature == ModelSignature(Schema([ColSpec("long", "a")]))


NONE_OF_THREE = "a signature needs inputs, outputs or params"
SIGNATURES = {
    "text": ("[]", "expected a dictionary with inputs, outputs and params, got a value of type str"),
    "list": ([], "expected a dictionary with inputs, outputs and params, got a value of type list"),
    "number": (0, "expected a dictionary with inputs, outputs and params, got a value of type int"),
    "false": (False, "expected a dictionary with inputs, outputs and params, got a value of type bool"),
    "other-keys": ({"input": '[{"type": "long"}]'}, NONE_OF_THREE),
    "not-text": ({"inputs": 5}, "inputs: the JSON of a schema: expected a string, got a value of type int"),
    "object": (
        {"inputs": {"type": "long"}},
        "inputs: the JSON of a schema: expected a string, got a value of type dict",
    ),
    "not-json": ({"outputs": "[{"}, "outputs: invalid JSON of a schema: Expecting property name"),
    "no-json": ({"outputs": ""}, "outputs: invalid JSON of a schema: Expecting value"),
    "python": ({"inputs": "[{'type': 'long'}]"}, "inputs: invalid JSON of a schema: Expecting prop"),
    "an-object": (
        {"inputs": '{"type": "long"}'},
        "inputs: the JSON of a schema: expected a list, got a value of type dict",
    ),
    "no-columns": ({"inputs": "[]"}, "inputs: a Schema needs at least one column or tensor"),
    "params-object": (
        {"params": "{}"},
        "params: the JSON of params: expected a list, got a value of type dict",
    ),
    "two-sides": (
        {"inputs": "[]", "params": "5"},
        "inputs: a Schema needs at least one column or tensor; params: the JSON of params: expected a list, ",
    ),
}


@pytest.mark.parametrize(("signature", "text"), SIGNATURES.values(), ids=SIGNATURES)
def test_an_invalid_signature_is_damage(model_home, signature, text):
    rewrite(model_home, lambda config: config.update(signature=signature))
    message = damaged(model_home, (model_home / "MLmodel").read_bytes())
    assert message.startswith(f"signature: {text}")


MALFORMED = {
    "unknown-type": ({"inputs": '[{"type": "lng", "name": "a"}]'}, [("inputs.a", Code.INVALID_VALUE)]),
    "no-type": ({"inputs": '[{"name": "a"}]'}, [("inputs.a", Code.MISSING_KEY)]),
    "no-object": ({"inputs": "[5]"}, [("inputs[0]", Code.INVALID_VALUE)]),
    "no-dtype": ({"outputs": '[{"type": "tensor"}]'}, [("outputs[0]", Code.INVALID_VALUE)]),
    "bad-default": (
        {"params": '[{"name": "t", "type": "long", "default": "x", "shape": null}]'},
        [("params.t", Code.TYPE_MISMATCH)],
    ),
    "all-sides": (
        {
            "inputs": (
                '[{"type": "lng", "name": "a"}, {"type": "long", "name": "b"}, {"type": 5, "name": "c"}]'
            ),
            "outputs": "[null]",
            "params": '[{"name": "t"}]',
        },
        [
            ("inputs.a", Code.INVALID_VALUE),
            ("inputs.c", Code.INVALID_VALUE),
            ("outputs[0]", Code.INVALID_VALUE),
            ("params[0]", Code.INVALID_VALUE),
        ],
    ),
}


@pytest.mark.parametrize(("signature", "findings"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_signature_is_damage_with_every_place(model_home, signature, findings):
    rewrite(model_home, lambda config: config.update(signature=signature))
    text = f"MLmodel: signature: malformed signature JSON: {len(findings)} finding"
    with pytest.raises(ModelDamagedError, match=text) as caught:
        ModelDirectory.read(model_home)
    assert [(finding.path, finding.code) for finding in caught.value.findings] == findings


@pytest.mark.parametrize(
    "column", ['{"type": "long", "name": "a", "x": 1}', '{"type": "long", "name": "a", "requierd": true}']
)
def test_an_unknown_key_of_a_column_is_an_error_with_its_path(model_home, column):
    rewrite(model_home, lambda config: config.update(signature={"outputs": f"[{column}]"}))
    with pytest.raises(ModelDamagedError, match="MLmodel: signature: malformed signature JSON") as caught:
        ModelDirectory.read(model_home)
    [finding] = caught.value.findings
    assert finding.code is Code.UNKNOWN_KEY
    assert finding.path.startswith("outputs.a.")


def test_optional_of_mlflow_2_5_to_2_9_is_read_and_rewritten_as_required(model_home):
    columns = '[{"type": "string", "name": "a"}, {"type": "long", "name": "b", "optional": true}]'
    rewrite(model_home, lambda config: config.update(signature={"inputs": columns}))
    signature = ModelDirectory.read(model_home).signature
    assert signature.inputs.optional_input_names() == ["b"]
    sparksig.set_signature(model_home, signature)
    inputs = yaml.safe_load((model_home / "MLmodel").read_text())["signature"]["inputs"]
    assert "optional" not in inputs
    assert '"name": "b", "required": false' in inputs


def test_unknown_keys_beyond_the_columns_are_ignored_and_kept(model_home):
    def add(config):
        config |= {"signature": {"inputs": '[{"type": "long", "name": "a"}]', "model": 5}, "new": [1]}
        config["flavors"]["unheard"] = {"of": 1}
        config[5] = None

    directory = ModelDirectory.read(rewrite(model_home, add))
    assert directory.signature == ModelSignature(Schema([ColSpec("long", "a")]))
    assert directory.config["new"] == [1]
    assert directory.get_flavor("unheard") == {"of": 1}


# --- members ------------------------------------------------------------------------------------------


@pytest.fixture
def house(model_home, tmp_path):
    """A directory with files and links in it, beside one that it must not reach."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()
    (tmp_path / "made-up").touch()
    (model_home / "sub").mkdir()
    (model_home / "sub" / "file").touch()
    (model_home / "a..b").touch()
    for name, target in {
        "file-out": "../outside/secret",
        "directory-out": "../outside",
        "absolute-out": str(tmp_path / "outside" / "secret"),
        "beside": "../made-up",
        "chain": "file-out",
        "up": "..",
        "sub/up": "../..",
        "root": "/",
        "file-in": "sub/file",
        "directory-in": "sub",
        "around": "../made/sub/file",
        "dangling": "nowhere",
        "dangling-out": "../nowhere",
        "loop": "loop",
    }.items():
        (model_home / name).symlink_to(target)
    return ModelDirectory.read(model_home)


@pytest.mark.parametrize("name", ["sub/file", "sub", "a..b", "./sub/file", "sub//file"])
def test_members_are_paths_in_the_directory(house, name):
    member = house.resolve_member(name)
    assert member == house.path / name
    assert member.exists()


@pytest.mark.parametrize("name", ["file-in", "directory-in", "directory-in/file", "around"])
def test_a_link_that_stays_inside_is_followed(house, name):
    assert house.resolve_member(name) == house.path / name


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "//etc/passwd",
        "/",
        "..",
        "../outside/secret",
        "../made-up",
        "../made/sub/file",
        "sub/../../outside/secret",
        "sub/../sub/file",
        "sub/..",
        "file-out",
        "directory-out",
        "directory-out/secret",
        "directory-out/nothing",
        "absolute-out",
        "beside",
        "chain",
        "up",
        "up/made/sub/file/../../../outside",
        "sub/up/outside/secret",
        "root/etc/passwd",
        "dangling-out",
    ],
)
def test_what_leads_out_of_the_directory_is_refused(house, name):
    text = f"MLmodel: the path '{re.escape(name)}' leads out of the model directory$"
    with pytest.raises(ModelDamagedError, match=text):
        house.resolve_member(name)


def test_an_absolute_path_is_refused_wherever_it_leads(house):
    with pytest.raises(ModelDamagedError, match=r"leads out of the model directory$"):
        house.resolve_member(str(house.path / "sub" / "file"))


@pytest.mark.parametrize("name", ["nothing", "sub/nothing", "dangling", "~", " ", "sub/file/x", "C:\\x"])
def test_what_is_not_there_is_damage(house, name):
    text = f"made: {re.escape(repr(name))}, which MLmodel names, is missing$"
    with pytest.raises(ModelDamagedError, match=text):
        house.resolve_member(name)


@pytest.mark.parametrize("name", [None, "", 0, 5, True, b"sub", ["sub"], {"path": "sub"}])
def test_a_member_is_named_by_a_text(house, name):
    text = f"MLmodel: expected a path in the model directory, got {re.escape(repr(name))}$"
    with pytest.raises(ModelDamagedError, match=text):
        house.resolve_member(name)


NO_NAMES = {
    "nul": "a\0b",
    "long": "x" * 300,
    "deep": "x/" * 3000,
    "loop": "loop",
    "below-a-loop": "loop/x",
    "a-byte": "\udcff",
    "half-a-pair": "\ud800",
}


@pytest.mark.parametrize("name", NO_NAMES.values(), ids=NO_NAMES)
def test_names_that_no_file_can_have_are_damage(house, name):
    with pytest.raises(ModelDamagedError):
        house.resolve_member(name)


def test_a_directory_reached_by_a_link_contains_its_members(house, tmp_path):
    (tmp_path / "alias").symlink_to("made")
    aliased = ModelDirectory.read(tmp_path / "alias")
    assert aliased.resolve_member("sub/file") == tmp_path / "alias" / "sub" / "file"
    with pytest.raises(ModelDamagedError, match="leads out"):
        aliased.resolve_member("file-out")


# --- the digest ---------------------------------------------------------------------------------------

FILES = {"MLmodel": b"flavors: {}\n", "a": b"1", "b/a": b"22", "b/c/d": b"", "z": b"\0" * (2**20 + 1)}


def _lay(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_the_digest_is_what_it_has_always_been(tmp_path):
    expected = hashlib.sha256()
    for name in ["MLmodel", "a", "b/a", "b/c/d", "z"]:
        expected.update(f"{len(name)}:{name}={hashlib.sha256(FILES[name]).hexdigest()}\n".encode())
    assert digest(_lay(tmp_path / "m", FILES)) == expected.hexdigest()


@pytest.mark.parametrize("files", [{}, {"a": b"1"}, {"b/MLmodel": b""}], ids=["empty", "files", "below"])
def test_a_directory_without_mlmodel_has_no_digest(tmp_path, files):
    (tmp_path / "m").mkdir()
    path = str(_lay(tmp_path / "m", files))
    text = f"^{re.escape(repr(path))} is not a model directory: it has no file MLmodel$"
    with pytest.raises(ModelNotFoundError, match=text):
        digest(path)
    with pytest.raises(ModelNotFoundError, match=text):
        sparksig.load_model(path)


def test_the_seal_does_not_count_but_in_the_directory_itself(tmp_path):
    """So that a directory has the same digest sealed and unsealed."""
    origin = _lay(tmp_path / "m", FILES)
    before = digest(origin)
    _lay(origin, {"SHA256SUMS": b"whatever"})
    assert digest(origin) == before
    _lay(origin, {"b/SHA256SUMS": b"whatever"})
    assert digest(origin) != before


def test_the_digest_is_independent_of_the_order_of_writing(tmp_path):
    forth = _lay(tmp_path / "forth", FILES)
    back = _lay(tmp_path / "back", dict(reversed(FILES.items())))
    assert digest(forth) == digest(back) == digest(str(forth))


CHANGES = {
    "content": {"a": b"2"},
    "same-length": {"b/a": b"23"},
    "emptied": {"a": b""},
    "added": {"new": b""},
    "added-below": {"b/c/e": b""},
    "mlmodel": {"MLmodel": b"flavors: {a: 1}\n"},
    "hidden": {".hidden": b""},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_digest_changes_with_content(tmp_path, change):
    tmp_path = fresh(tmp_path)
    assert digest(_lay(tmp_path / "m", FILES)) != digest(_lay(tmp_path / "n", FILES | change))


def test_the_digest_changes_with_names_and_places(tmp_path):
    layouts = [
        {"a": b"1", "b": b"2"},
        {"a": b"2", "b": b"1"},
        {"a": b"1", "c": b"2"},
        {"a": b"1", "B": b"2"},
        {"a": b"1", "b/b": b"2"},
        {"a": b"1"},
        {"b": b"2"},
        {"a\nb": b"1"},
        {"ab": b"1"},
        {"a": b"12"},
        {"1:a=" + hashlib.sha256(b"1").hexdigest(): b"2"},
    ]
    mlmodel = {"MLmodel": FILES["MLmodel"]}
    digests = [digest(_lay(tmp_path / str(number), mlmodel | files)) for number, files in enumerate(layouts)]
    assert len(set(digests)) == len(layouts)


def test_the_digest_of_a_copy_does_not_depend_on_times_and_modes(tmp_path):
    origin = _lay(tmp_path / "m", FILES)
    shutil.copytree(origin, tmp_path / "copy")
    shutil.copytree(origin, tmp_path / "plain", copy_function=shutil.copyfile)
    os.utime(tmp_path / "plain" / "a", (0, 0))
    (tmp_path / "plain" / "a").chmod(0o400)
    (tmp_path / "plain" / "b").chmod(0o700)
    assert digest(origin) == digest(tmp_path / "copy") == digest(tmp_path / "plain")


def test_reading_and_loading_leave_the_digest_as_it_is(pickled):
    before = digest(pickled)
    sparksig.load_model(pickled, allow_pickle=True)
    assert digest(pickled) == before


def test_what_importing_leaves_behind_counts_as_all_else(tmp_path):
    """Compiled code is run in place of its source."""
    origin = _lay(tmp_path / "m", FILES)
    before = digest(origin)
    _lay(origin, {"b/__pycache__/y.pyc": b"2"})
    assert digest(origin) != before


@pytest.mark.parametrize("target", ["a", "b", "nowhere", "/etc/passwd"])
@pytest.mark.parametrize("name", ["link", "b/link", "__pycache__", "SHA256SUMS"])
def test_a_directory_with_links_has_no_digest(tmp_path, target, name):
    origin = _lay(fresh(tmp_path) / "m", FILES)
    (origin / name).symlink_to(target)
    text = f"{re.escape(name)}: expected a file or a directory, got something else"
    with pytest.raises(ModelDamagedError, match=text):
        digest(origin)


def test_a_directory_with_a_pipe_has_no_digest(tmp_path):
    os.mkfifo(_lay(tmp_path / "m", FILES) / "pipe")
    with pytest.raises(ModelDamagedError, match="pipe: expected a file or a directory, got something else"):
        digest(tmp_path / "m")


def test_a_name_that_is_not_utf8_is_counted_or_refused(tmp_path):
    origin = _lay(tmp_path / "m", FILES)
    before = digest(origin)
    with open(os.fsencode(origin) + b"/\xff", "wb"):
        pass
    with contextlib.suppress(ModelDamagedError):
        assert digest(origin) != before
