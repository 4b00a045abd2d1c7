"""The forms in which models return predictions, each with the predictions that it means, row by row.

A form is made from the columns ``n`` (long), ``x`` (double) and ``t`` (string) of the model's input.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pydantic

from sparksig import PythonModel

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Form(NamedTuple):
    """A way to return predictions.

    Attributes:
        make: from the model's input to the prediction.
        expected: from the plain values of one row to its prediction.
        rows: how many rows there are; None for any number.
    """

    make: Callable[[pd.DataFrame], Any]
    expected: Callable[[int, float, str], Any]
    rows: int | None = None


@dataclasses.dataclass
class Answer:
    label: str
    rank: int


class Pair(NamedTuple):
    label: str
    rank: int


class Reply(pydantic.BaseModel):
    label: str
    ranks: list[int]


class Model(PythonModel):
    """Returns its predictions in one form."""

    def __init__(self, make):
        self.make = make

    def predict(self, model_input):
        return self.make(model_input)


def number(n, x, t):
    return n


def value(n, x, t):
    return x


def text(n, x, t):
    return t


def pair(n, x, t):
    return [x, x]


def named(n, x, t):
    return {"label": t, "rank": n}


def table(data):
    return pa.table({"label": data["t"].tolist(), "rank": data["n"].tolist()})


def records(data, wrap):
    return [wrap(label=t, rank=n) for t, n in zip(data["t"], data["n"].tolist())]


def cells(data, wrap):
    return [wrap([x, x]) for x in data["x"].tolist()]


FORMS = {
    "list": Form(lambda d: d["x"].tolist(), value),
    "tuple": Form(lambda d: tuple(d["x"].tolist()), value),
    "array": Form(lambda d: d["x"].to_numpy(), value),
    "Series": Form(lambda d: pd.Series(d["x"].to_numpy()), value),
    "Index": Form(lambda d: pd.Index(d["n"]), number),
    "nullable integers": Form(lambda d: pd.array(d["n"].tolist(), dtype="Int64"), number),
    "text array": Form(lambda d: pd.array(d["t"].tolist(), dtype="string"), text),
    "Categorical": Form(lambda d: pd.Categorical(d["t"].tolist()), text),
    "array of text objects": Form(lambda d: np.array(d["t"].tolist(), dtype=object), text),
    "Arrow array": Form(lambda d: pa.array(d["n"].tolist()), number),
    "lists": Form(lambda d: cells(d, list), pair),
    "tuples": Form(lambda d: cells(d, tuple), pair),
    "arrays": Form(lambda d: cells(d, np.array), pair),
    "Series in cells": Form(lambda d: cells(d, pd.Series), pair),
    "Index in cells": Form(lambda d: cells(d, pd.Index), pair),
    "array of rank 2": Form(lambda d: np.column_stack([d["x"], d["x"]]), pair),
    "DataFrame": Form(lambda d: pd.DataFrame({"label": d["t"], "rank": d["n"]}), named),
    "Arrow table": Form(table, named),
    "Arrow batch": Form(lambda d: table(d).to_batches()[0], named),
    "dictionaries": Form(lambda d: records(d, dict), named),
    "dictionaries of one key": Form(lambda d: [{"p": n} for n in d["n"].tolist()], number),
    "dataclasses": Form(lambda d: records(d, Answer), named),
    "named tuples": Form(lambda d: records(d, Pair), named),
    "pydantic": Form(
        lambda d: [Reply(label=t, ranks=[n]) for t, n in zip(d["t"], d["n"].tolist())],
        lambda n, x, t: {"label": t, "ranks": [n]},
    ),
    "columns as lists": Form(lambda d: {"label": d["t"].tolist(), "rank": d["n"].tolist()}, named),
    "columns as tuples": Form(
        lambda d: {"label": tuple(d["t"].tolist()), "rank": tuple(d["n"].tolist())}, named
    ),
    "columns as arrays": Form(
        lambda d: {"label": np.array(d["t"].tolist(), object), "rank": d["n"].to_numpy()}, named
    ),
    "columns as Series": Form(lambda d: {"label": d["t"], "rank": d["n"]}, named),
    "columns of rank 2": Form(
        lambda d: {"v": np.column_stack([d["x"], d["x"]]), "rank": d["n"].to_numpy()},
        lambda n, x, t: {"v": [x, x], "rank": n},
    ),
    "columns of lists": Form(
        lambda d: {"v": cells(d, list), "rank": d["n"].tolist()}, lambda n, x, t: {"v": [x, x], "rank": n}
    ),
    "value": Form(lambda d: d["x"].tolist()[0], value, 1),
    "NumPy value": Form(lambda d: d["x"].to_numpy()[0], value, 1),
    "text": Form(lambda d: d["t"].tolist()[0], text, 1),
    "dictionary": Form(
        lambda d: {"label": d["t"].tolist()[0], "ranks": d["n"].tolist() * 2},
        lambda n, x, t: {"label": t, "ranks": [n, n]},
        1,
    ),
    "dataclass": Form(lambda d: records(d, Answer)[0], named, 1),
    "named tuple": Form(lambda d: records(d, Pair)[0], named, 1),
}


def frame(rows):
    """The model's input, from tuples of ``n``, ``x`` and ``t``."""
    n, x, t = ([row[index] for row in rows] for index in range(3))
    columns = {"n": np.array(n, "int64"), "x": np.array(x, "float64")}
    return pd.DataFrame({**columns, "t": pd.Series(t, dtype=object)})


def expected(form, rows):
    """The predictions that a form means; their repr tells NaN, -0.0, and integers from floats."""
    return repr([form.expected(*row) for row in rows])


# classes of pydantic 2.7 cannot be pickled by value
_PICKLES_PYDANTIC = tuple(map(int, pydantic.VERSION.split(".")[:2])) >= (2, 8)
SAVED_FORMS = [name for name in FORMS if name != "pydantic" or _PICKLES_PYDANTIC]
"""The forms that a saved model can return."""
