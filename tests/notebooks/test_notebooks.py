"""The notebooks run from the first cell to the last, and show the outputs that their texts describe."""

from __future__ import annotations

import pytest

from tests.notebooks.running import HERE, run_notebook

pytestmark = [
    pytest.mark.xdist_group("notebooks"),
    pytest.mark.once,
    pytest.mark.filterwarnings("ignore"),  # of Jupyter's own
]


@pytest.fixture
def run(tmp_path):
    """A function that runs a notebook, and returns the output of each code cell by its source."""
    pytest.importorskip("nbclient", reason="Jupyter is in the development environment only")
    import nbformat

    def run_stored(name):
        stored = nbformat.read(HERE / name, as_version=4)
        notebook = run_notebook(HERE / name, tmp_path)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        outputs = [cell.outputs for cell in stored.cells if cell.cell_type == "code"]
        message = "python -m tests.notebooks.running stores the outputs"
        assert outputs == [cell.outputs for cell in cells], message
        return {cell.source: "".join(map(_text, cell.outputs)) for cell in cells}

    return run_stored


def _text(output):
    if output.output_type == "stream":
        return output.text if output.name == "stdout" else ""
    data = output.get("data", {})
    return data.get("text/plain", "") + data.get("text/html", "")


def of(outputs, code):
    """Return the output of the cell with a piece of code."""
    [text] = [text for source, text in outputs.items() if code in source]
    return text


@pytest.mark.spark
def test_the_quickstart(run, tmp_path):
    outputs = run("quickstart.ipynb")
    assert "'age': double (required)" in of(outputs, 'sparksig.save_model("model"')
    assert of(outputs, "\nsame") == "0"
    broken = of(outputs, 'sparksig.score(broken, "model")')
    assert "the table does not fit the model's input schema: 2 findings" in broken
    assert "age: expected double, got string" in broken
    assert "did you mean 'BMI'?" in broken
    lenient = of(outputs, 'on_error="null"')
    for text in ("PREDICTION_FAILED", "NULL_IN_REQUIRED", "3.5"):
        assert text in lenient
    report = of(outputs, "sparksig.check(visits")
    assert "breaks the contract</span>" in report
    assert "<b>1,000</b><span>rows checked</span>" in report
    assert "<b>4</b><span>rows break the contract (0.4 %)</span>" in report
    printed = of(outputs, "print(report)")
    assert "age   long    bigint  3 nulls (0.3 %)  fails" in printed
    assert "e.g. id=7, id=807" in printed
    assert "breaks the contract</span>" in (tmp_path / "report.html").read_text()
    parts = of(outputs, "sparksig.split(visits")
    assert parts.startswith("996 rows are good")
    assert "[NULL_IN_REQUIRED]" in parts
    assert "[INVALID_VALUE]" in parts


def test_signatures_of_all_kinds_of_examples(run):
    outputs = run("signatures.ipynb")
    for code, *texts in SIGNATURES:
        actual = " ".join(of(outputs, code).split())
        for text in texts:
            assert text in actual, f"{code}: {text}"


SIGNATURES = [
    ("[True, 41", "[boolean (required)] from True", "[binary (required)] from b'", "[datetime (required)]"),
    ("[[1, 2, 3]", "[Array(long) (required)] from [[1, 2], [3]]", "[Array(Array(double)) (required)]"),
    (
        "narrow =",
        "[long (required)] ['n': integer (required)] ['n': long (required)]",
        "int32 where long is declared becomes int64",
        "n: expected integer, got int64 (it would be narrowed",
    ),
    ('"tags": ["new"', "tags Array(string) required", "size {height: double, width: double} required"),
    ("rows =", "id long required note string optional"),
    (
        "users =",
        "age double optional",
        "user.contact {mail: string, phone: string} optional user.name string required",
        "orders Array(object) required orders[].gift boolean optional",
    ),
    ("pa.table(", "price double optional day datetime required scores Map(str -> double) required"),
    ("np.zeros((8, 28, 28), ", "[Tensor('float32', (-1, 28, 28))]", "'mask': Tensor('int8', (-1, 3))]"),
    ("params={", 'stop list of string default [".", "!"]', 'limits {words: long} default {"words": 100}'),
    ("import pydantic", "0.notes Array(string) optional", "[30]"),
    ("2**70", "3 findings", "tags[]: expected values of one type", "user.born: expected a supported type"),
    ("flats =", "['rooms': long (required), 'area': double (optional)]", "<td>optional</td>"),
    ('"street"', "rooms 0 4"),
    ('"Rooms"', "rooms: expected long, got no such column (did you mean 'Rooms'?", "area: expected double"),
    ("def rent", "33333333333333333333..."),
    ("set_signature", "[200, 300]", "rooms: expected long, got string"),
    ("written =", '[{"type": "long", "name": "rooms", "required": true}]', "True"),
]
