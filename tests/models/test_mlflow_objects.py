"""Objects of the installed MLflow are accepted wherever sparksig's own are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cloudpickle
import mlflow
import mlflow.models
import mlflow.pyfunc
import mlflow.types
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from mlflow.types import schema as theirs
from mlflow.types.type_hints import TypeFromExample
from pydantic import BaseModel

import sparksig
from sparksig import (
    ColSpec,
    ModelError,
    ModelSignature,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    UnsupportedError,
)
from sparksig.convert.ddl import to_ddl
from sparksig.convert.mlflow import from_mlflow
from sparksig.errors import SignatureTypeError
from sparksig.infer import merge_schemas
from sparksig.models.examples import convert_input_example_to_serving_input
from sparksig.types import Array, DataType, Map, Object
from tests.core.test_mlflow_equal import readable_schemas
from tests.models.helpers import fresh
from tests.parquet_tables import check_parquet

pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")

SEEDS = pd.DataFrame({"weight": [1.5, 2.5]})
COLUMNS = Schema([ColSpec("double", "weight")])
THEIRS = mlflow.types.Schema.from_json(COLUMNS.to_json())
SIGNATURE = ModelSignature(
    COLUMNS, Schema([ColSpec("double")]), ParamSchema([ParamSpec("factor", "double", 2.0)])
)
THEIR_SIGNATURE = mlflow.models.ModelSignature.from_dict(SIGNATURE.to_dict())


def double(model_input):
    return (model_input["weight"] * 2).tolist()


# --- conversion -----------------------------------------------------------------------------------------


@given(readable_schemas)
def test_a_schema_is_converted_without_loss(schema):
    assert from_mlflow(mlflow.types.Schema.from_json(schema.to_json())) == schema


OBJECTS = {
    "DataType": (theirs.DataType.long, DataType.long),
    "Array": (theirs.Array(theirs.Array("long")), Array(Array("long"))),
    "Map": (theirs.Map("double"), Map("double")),
    "Object": (theirs.Object([theirs.Property("a", "long", False)]), Object([Property("a", "long", False)])),
    "AnyType": (theirs.AnyType(), sparksig.AnyType()),
    "SparkMLVector": (theirs.SparkMLVector(), sparksig.SparkMLVector()),
    "Property": (theirs.Property("a", "string"), Property("a", "string")),
    "ColSpec": (theirs.ColSpec("long", "a", required=False), ColSpec("long", "a", False)),
    "TensorSpec": (
        theirs.TensorSpec(np.dtype("float32"), (-1, 2), "x"),
        sparksig.TensorSpec(np.dtype("float32"), (-1, 2), "x"),
    ),
    "ParamSpec": (theirs.ParamSpec("a", "long", 1), ParamSpec("a", "long", 1)),
    "ParamSchema": (THEIR_SIGNATURE.params, SIGNATURE.params),
    "Schema": (THEIRS, COLUMNS),
    "ModelSignature": (THEIR_SIGNATURE, SIGNATURE),
}


@pytest.mark.parametrize(("value", "expected"), OBJECTS.values(), ids=OBJECTS)
def test_an_object_is_converted_to_its_counterpart(value, expected):
    assert from_mlflow(value) == expected
    assert from_mlflow(expected) is expected


@pytest.mark.parametrize(
    "value", [None, 1, "long", [1], theirs.Schema, mlflow, mlflow.MlflowClient], ids=repr
)
def test_other_values_are_returned_themselves(value):
    assert from_mlflow(value) is value


def test_the_source_of_a_signature_is_kept():
    hinted = mlflow.models.ModelSignature.from_dict(SIGNATURE.to_dict())
    hinted._is_signature_from_type_hint = True
    assert from_mlflow(hinted)._is_signature_from_type_hint is True
    assert from_mlflow(THEIR_SIGNATURE)._is_signature_from_type_hint is False


BUILT = {
    "Schema": (lambda: Schema([theirs.ColSpec("double", "weight")]), COLUMNS),
    "mixed columns": (
        lambda: Schema([theirs.ColSpec("double", "a"), ColSpec("long", "b")]),
        Schema([ColSpec("double", "a"), ColSpec("long", "b")]),
    ),
    "ColSpec": (lambda: ColSpec(theirs.Array("long"), "a"), ColSpec(Array("long"), "a")),
    "Array": (lambda: Array(theirs.DataType.long), Array("long")),
    "Object": (
        lambda: Object([Property("a", theirs.Map("long"))]),
        Object([Property("a", Map("long"))]),
    ),
    "ParamSchema": (
        lambda: ParamSchema([theirs.ParamSpec("a", "long", 1)]),
        ParamSchema([ParamSpec("a", "long", 1)]),
    ),
    "ParamSpec": (lambda: ParamSpec("a", theirs.DataType.long, 1), ParamSpec("a", "long", 1)),
    "ModelSignature": (
        lambda: ModelSignature(THEIRS, THEIR_SIGNATURE.outputs, THEIR_SIGNATURE.params),
        SIGNATURE,
    ),
}


@pytest.mark.parametrize(("build", "expected"), BUILT.values(), ids=BUILT)
def test_parts_of_mlflow_make_whole_objects(build, expected):
    assert build() == expected


def test_sparksig_does_not_import_mlflow_to_recognize_its_objects():
    code = (
        "import sys, sparksig\n"
        "from sparksig.convert.mlflow import from_mlflow\n"
        "from_mlflow(object())\n"
        "sparksig.ModelSignature(sparksig.Schema([sparksig.ColSpec('long')]))\n"
        "print('mlflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.strip() == "False"


# --- functions ------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path):
    sparksig.save_model(tmp_path / "model", lambda model_input: double(model_input))
    return tmp_path / "model"


@pytest.fixture
def seeds(tmp_path):
    SEEDS.to_parquet(tmp_path / "seeds.parquet")
    return tmp_path / "seeds.parquet"


FUNCTIONS = {
    "enforce": lambda schema, signature, files: sparksig.enforce(SEEDS, schema).to_dict(),
    "validate_schema": lambda schema, signature, files: sparksig.validate_schema(SEEDS, schema),
    "compare schemas": lambda schema, signature, files: str(sparksig.compare(schema, schema)),
    "compare signatures": lambda schema, signature, files: str(sparksig.compare(signature, signature)),
    "merge_schemas": lambda schema, signature, files: merge_schemas(schema, schema),
    "to_ddl": lambda schema, signature, files: to_ddl(schema),
    "export": lambda schema, signature, files: sparksig.export(signature, "json-schema").text,
    "registrable": lambda schema, signature, files: sparksig.registrable(signature),
    "check_parquet": lambda schema, signature, files: check_parquet(files[0], schema).ok,
    "check a signature": lambda schema, signature, files: check_parquet(files[0], signature).ok,
    "serving input": lambda schema, signature, files: convert_input_example_to_serving_input(
        SEEDS, signature
    ),
    "set_signature": lambda schema, signature, files: [
        sparksig.set_signature(files[1], signature), sparksig.get_model_info(files[1]).signature,
    ][1],
}  # fmt: skip


@pytest.mark.parametrize("call", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_function_accepts_objects_of_mlflow(call, seeds, model):
    files = (seeds, model)
    assert call(THEIRS, THEIR_SIGNATURE, files) == call(COLUMNS, SIGNATURE, files)


def test_save_model_accepts_a_signature_of_mlflow(tmp_path):
    sparksig.save_model(tmp_path / "m", lambda model_input, params: double(model_input), THEIR_SIGNATURE)
    assert sparksig.get_model_info(tmp_path / "m").signature == SIGNATURE
    with pytest.raises(
        SignatureTypeError, match=r"^signature must be a ModelSignature or None, not a value of"
    ):
        sparksig.save_model(tmp_path / "n", double, THEIRS)


def test_a_loaded_model_of_mlflow_is_refused_with_what_to_pass(tmp_path, model):
    loaded = mlflow.pyfunc.load_model(str(model))
    with pytest.raises(
        ModelError, match=r"^a model that MLflow has loaded is not accepted. Pass its URI or direct"
    ):
        sparksig.get_model_info(loaded)


# --- models ---------------------------------------------------------------------------------------------


class Doubling(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        path = context.artifacts.get("factor")
        self.factor = float(Path(path).read_text()) if path else 2.0

    def predict(self, context, model_input, params=None):
        config = context.model_config or {}
        factor = self.factor * config.get("scale", 1) * (params or {}).get("factor", 1.0)
        return (model_input["weight"] * factor).tolist()


class Item(BaseModel):
    sku: str
    price: float = 1.0


class Prices(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[Item]) -> list[float]:
        return [item.price * 2 for item in model_input]


class FromExample(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: TypeFromExample):
        return model_input["weight"] * 2


class Unvalidated(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: str):
        return model_input["weight"] * 2


class Chat(mlflow.pyfunc.ChatModel):
    def predict(self, context, messages, params):
        return messages


@pytest.mark.parametrize("model", [Doubling(), Doubling], ids=["object", "class"])
def test_a_python_model_is_saved_as_what_it_is(tmp_path, model):
    path = fresh(tmp_path) / "m"
    (path.parent / "factor.txt").write_text("3")
    sparksig.save_model(
        path,
        model,
        SIGNATURE,
        input_example=(SEEDS, {"factor": 1.0}),
        artifacts={"factor": path.parent / "factor.txt"},
        model_config={"scale": 2},
    )
    config = yaml.safe_load((path / "MLmodel").read_text())["flavors"]["python_function"]
    assert config["loader_module"] == "mlflow.pyfunc.model"
    ours, theirs = sparksig.load_model(path, allow_pickle=True), mlflow.pyfunc.load_model(str(path))
    assert list(ours.predict(SEEDS)) == list(theirs.predict(SEEDS)) == [18.0, 30.0]
    assert list(ours.predict(SEEDS, params={"factor": 1.0})) == [9.0, 15.0]
    assert list(theirs.predict(SEEDS, params={"factor": 1.0})) == [9.0, 15.0]
    assert sparksig.validate_serving_input(path, sparksig.load_serving_example(path), allow_pickle=True) == [
        9.0,
        15.0,
    ]


def test_mlflow_loads_its_python_model_without_sparksig(tmp_path):
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)  # which cannot be imported without sparksig
    try:
        sparksig.save_model(tmp_path / "m", Doubling(), input_example=SEEDS)
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    code = (
        "import sys; sys.modules['sparksig'] = None\n"
        "import json, mlflow.pyfunc, pandas as pd\n"
        f"model = mlflow.pyfunc.load_model({str(tmp_path / 'm')!r})\n"
        "print(json.dumps(list(model.predict(pd.DataFrame({'weight': [1.5]})))))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=600
    )
    assert not done.returncode, done.stderr
    assert json.loads(done.stdout.strip().splitlines()[-1]) == [3.0]


def test_a_hint_of_a_python_model_of_mlflow_is_its_contract(tmp_path):
    rows = [{"sku": "a", "price": 2.5}, {"sku": "b", "price": 1.0}]
    mlflow.pyfunc.save_model(str(tmp_path / "theirs"), python_model=Prices(), pip_requirements=["numpy"])
    sparksig.save_model(tmp_path / "ours", Prices(), input_example=rows)
    ours, theirs = (sparksig.get_model_info(tmp_path / name) for name in ("ours", "theirs"))
    assert ours.signature == theirs.signature
    assert ours.to_dict()["is_signature_from_type_hint"] is True
    assert sparksig.load_model(tmp_path / "ours", allow_pickle=True).predict(rows) == [5.0, 2.0]
    assert mlflow.pyfunc.load_model(str(tmp_path / "ours")).predict(rows) == [5.0, 2.0]


def test_a_type_from_an_example_of_mlflow_needs_an_example(tmp_path):
    with pytest.raises(
        sparksig.SignatureError, match=r"the type hint of the input is TypeFromExample, but there is no ex"
    ):
        sparksig.save_model(tmp_path / "m", FromExample())
    sparksig.save_model(tmp_path / "m", FromExample(), input_example=SEEDS)
    info = sparksig.get_model_info(tmp_path / "m")
    assert info.signature.inputs == COLUMNS
    assert info.to_dict()["type_hint_from_example"] is True
    assert sparksig.load_model(tmp_path / "m", allow_pickle=True).predict(SEEDS).tolist() == [3.0, 5.0]


@pytest.mark.filterwarnings("ignore::sparksig.models.python_model.TypeHintWarning")
def test_a_hint_that_mlflow_does_not_validate_is_no_contract(tmp_path):
    sparksig.save_model(tmp_path / "m", Unvalidated(), input_example=SEEDS)
    assert sparksig.get_model_info(tmp_path / "m").signature.inputs == COLUMNS


@pytest.mark.filterwarnings("ignore:.*ChatModel.*:FutureWarning")
def test_a_chat_model_is_refused_with_what_to_use(tmp_path):
    text = r"^cannot save a ChatModel of MLflow\. Use mlflow\.pyfunc\.save_model, or write a PythonModel"
    with pytest.raises(UnsupportedError, match=text):
        sparksig.save_model(tmp_path / "m", Chat())
    assert not (tmp_path / "m").exists()
