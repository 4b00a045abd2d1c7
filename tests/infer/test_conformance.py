"""248 examples and the signatures that MLflow 3.17.2 infers from them."""

from __future__ import annotations

import datetime
import decimal
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from sparksig import InferenceError
from tests.cases import describe_case
from tests.infer.helpers import body, infer

CASES = {
    case["id"]: case for case in json.loads((Path(__file__).parent / "conformance.json").read_text())["cases"]
}
DEVIATIONS: dict[str, str] = {"h085": "law 3: the documents list params of type binary"}
"""The cases in which ours is another deliberately, each with its reason: the law or the row of DESIGN 8."""

SCOPE = {"np": np, "pd": pd, "datetime": datetime, "decimal": decimal, "scipy": scipy}


def conforms(case):
    """Return whether the signature is MLflow's: the same JSON, or both refuse."""
    side = "params" if "params" in case else "input"
    example = eval(case[side], dict(SCOPE))
    try:
        signature = infer(params=example) if side == "params" else infer(example)
    except InferenceError as error:
        return "error" in case["expect"] and bool(error.findings or error.message)
    return {side: body(signature, side) for side in ("inputs", "params")} == case["expect"]


@pytest.mark.parametrize("name", CASES, ids=describe_case)
def test_a_case(name):
    assert conforms(CASES[name]) == (name not in DEVIATIONS)


def test_there_are_248_cases():
    text = (Path(__file__).parent / "conformance.json").read_text()
    ids = [case["id"] for case in json.loads(text)["cases"]]
    assert len(ids) == len(set(ids)) == 248
    for case in CASES.values():
        assert len({"input", "params"} & case.keys()) == 1
        assert case["expect"].keys() in ({"error"}, {"inputs", "params"})


@pytest.mark.parametrize(("name", "reason"), DEVIATIONS.items(), ids=DEVIATIONS)
def test_each_deviation_names_its_reason(name, reason):
    assert re.search(r"\blaw [1-8]\b|\bDESIGN 8\b", reason), name
    assert not conforms(CASES[name]), name
