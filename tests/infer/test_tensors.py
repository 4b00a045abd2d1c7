"""Tensors from NumPy's arrays and SciPy's matrices: where others than plain arrays go, and where not."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from sparksig.errors import Code
from sparksig.infer.tensors import from_array, from_arrays, from_sparse
from sparksig.schema import Schema, TensorSpec
from tests.cases import describe_case
from tests.infer.helpers import ANYTHING, body, find_problems, infer, theirs

RAGGED = np.array([[1], [1, 2]], dtype=object)
MATRIX = np.array([[1.5, 2.5]]).view(np.matrix)


def tensor(dtype, shape, name=None):
    return Schema([TensorSpec(np.dtype(dtype), shape, name)])


@pytest.mark.parametrize("array", [RAGGED, np.array([1, "x", None], dtype=object)], ids=["ragged", "mixed"])
def test_arrays_of_objects_keep_their_dtype(array):
    assert infer(array).inputs == from_array(array) == tensor("object", (-1,))
    assert infer(array).to_dict() == theirs(array).to_dict()
    assert infer({"a": array}).to_dict() == theirs({"a": array}).to_dict()


@pytest.mark.parametrize("form", ["csr_matrix", "csc_matrix", "csr_array", "csc_array"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "float64"])
def test_a_sparse_matrix_is_a_tensor_of_its_values(form, dtype):
    matrix = getattr(scipy.sparse, form)(np.eye(3, 4, dtype=dtype))
    assert infer(matrix).inputs == from_sparse(matrix) == tensor(dtype, (-1, 4))
    if form.endswith("matrix"):  # MLflow knows no other
        assert infer(matrix).to_dict() == theirs(matrix).to_dict()
    empty = getattr(scipy.sparse, form)((0, 5), dtype=dtype)
    assert infer(empty).inputs == tensor(dtype, (-1, 5))


@pytest.mark.parametrize(
    "form", ["coo_matrix", "coo_array", "lil_matrix", "dok_matrix", "dia_matrix", "bsr_array"]
)
def test_other_formats_are_refused(form):
    [finding] = find_problems(getattr(scipy.sparse, form)(np.eye(2)))
    assert str(finding) == (
        f"expected a sparse matrix in the format csr or csc, got {form[:3]} (convert it with tocsr()) "
        "[UNSUPPORTED_TYPE]"
    )
    assert body(theirs(getattr(scipy.sparse, form)(np.eye(2)))) == ANYTHING


@pytest.mark.parametrize(
    ("path", "example"),
    {
        "a": {"a": scipy.sparse.csr_array([[1.5]]), "b": 1},
        "": [scipy.sparse.csr_array([[1.5]])],
    }.items(),
    ids=["column", "list"],
)
def test_a_sparse_matrix_is_no_cell(path, example):
    [finding] = find_problems(example)
    assert (finding.path, finding.code) == (path, Code.UNSUPPORTED_TYPE)
    assert finding.actual == "a value of type csr_array"


def test_a_dictionary_of_arrays():
    example = {"a.b": np.zeros((2, 3), ">f4"), 7: np.array(["x"]), "m": MATRIX[:, :1]}
    assert (
        infer(example).inputs
        == from_arrays(example)
        == Schema(
            [
                TensorSpec(np.dtype("float32"), (-1, 3), "a.b"),
                TensorSpec(np.dtype("str"), (-1,), 7),
                TensorSpec(np.dtype("float64"), (-1, 1), "m"),
            ]
        )
    )
    assert infer(example).to_dict() == theirs(example).to_dict()


def test_an_array_beside_anything_else_is_a_column():
    example = {"a": np.zeros((2, 3)), "b": [1.5]}
    assert not infer(example).inputs.is_tensor_spec()
    assert infer(example).to_dict() == theirs(example).to_dict()


def test_a_matrix_is_an_array_of_rank_2():
    assert infer(MATRIX).inputs == tensor("float64", (-1, 2))
    assert infer(MATRIX).to_dict() == theirs(MATRIX).to_dict()


MASKED_VALUES = (
    "expected an array without masked values, got masked values "
    "(a signature has no masks: fill the masked values explicitly) [INVALID_VALUE]"
)
MASKED_ARRAY = np.ma.masked_array([1.5, 2.5], [False, True])


@pytest.mark.parametrize(
    ("example", "text"),
    [(MASKED_ARRAY, MASKED_VALUES), ({"x": MASKED_ARRAY}, f"x: {MASKED_VALUES}")],
    ids=["array", "dictionary"],
)
def test_masked_values_are_refused(example, text):
    assert str(find_problems(example)[0]) == text


def test_mask_without_masked_values_is_accepted():
    assert infer(np.ma.masked_array([1.5, 2.5], [False, False])).inputs == tensor("float64", (-1,))


def test_all_tensors_that_have_no_spec_come_at_once():
    example = {
        "masked": np.ma.masked_array([1], [True]),
        "no.rows": np.array(1),
        "fine": np.zeros(2),
        "structured": np.zeros(1, "i4,f8"),
        "void": np.zeros(1, "V3"),
        ("t",): np.zeros(1),
    }
    assert [(finding.path, finding.code) for finding in find_problems(example)] == [
        ("masked", Code.INVALID_VALUE),
        ("`no.rows`", Code.SHAPE_MISMATCH),
        ("structured", Code.UNSUPPORTED_TYPE),
        ("void", Code.UNSUPPORTED_TYPE),
        ("('t',)", Code.INVALID_NAME),
    ]
    assert str(find_problems(np.zeros(1, "V3"))[0]) == (
        "got |V3 (JSON cannot represent the NumPy dtype |V3) [UNSUPPORTED_TYPE]"
    )


def test_twin_names_and_truths_are_no_names_of_tensors():
    [finding] = find_problems({1: np.zeros(1), "1": np.zeros(2)})
    assert str(finding) == "1: expected one tensor of that name, as text, got several [DUPLICATE_NAME]"
    [finding] = find_problems({True: np.zeros(1), "a": np.zeros(1)})
    assert str(finding) == ("True: expected a string or an integer, got a value of type bool [INVALID_NAME]")


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (0, 0, 2)], ids=describe_case)
def test_no_rows_and_no_columns(shape):
    array = np.zeros(shape)
    assert infer(array).inputs == tensor("float64", (-1, *shape[1:]))
    assert infer(array).to_dict() == theirs(array).to_dict()
