"""Skops files made by hand: hostile states of real models, and nodes that no library writes.

Run as a script, it loads the model directories and skops files that a list names, and predicts with each. It
reports each path before it loads it, so that the caller knows which path ended the process.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import skops.io

JSON_NODE = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "is_json": True}


class SkopsArchive:
    """The parts of a skops file: its schema and its arrays, both to be changed."""

    def __init__(self, model):
        self.model_name = type(model).__name__
        with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model))) as archive:
            self.files = {name: archive.read(name) for name in archive.namelist()}
        self.schema = json.loads(self.files.pop("schema.json"))

    def nodes(self, name):
        """All nodes of a type, by the last part of its name."""
        return [node for node in iter_nodes(self.schema) if node.get("__class__") == name]

    def node(self, name):
        """The first node of a type."""
        return self.nodes(name)[0]

    def array(self, node):
        """The array of a node."""
        return np.load(io.BytesIO(self.files[node["file"]]))

    def array_node(self, array):
        """A node of an array, which is added to the file."""
        name, buffer = f"hostile-{len(self.files)}.npy", io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        self.files[name] = buffer.getvalue()
        return {
            "__class__": "ndarray",
            "__module__": "numpy",
            "__loader__": "NdArrayNode",
            "type": "numpy",
            "file": name,
        }

    def change_array(self, node, change):
        """Replace an array by the result of ``change``, which may change its argument, or return another."""
        array = self.array(node)
        changed = change(array)
        fresh = self.array_node(array if changed is None else changed)
        node.clear()
        node.update(fresh)

    def to_bytes(self):
        """The file."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in self.files.items():
                archive.writestr(name, content)
            archive.writestr("schema.json", json.dumps(self.schema))
        return buffer.getvalue()


def iter_nodes(schema):
    """All nodes in a part of a schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("__loader__"), str):
            yield schema
        for part in schema.values():
            yield from iter_nodes(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from iter_nodes(part)


def json_node(value):
    return {**JSON_NODE, "content": json.dumps(value)}


def list_node(nodes, name="list", loader="ListNode", module="builtins"):
    return {"__class__": name, "__module__": module, "__loader__": loader, "content": nodes}


def tuple_node(nodes):
    return list_node(nodes, "tuple", "TupleNode")


def type_node(name="builtins.str"):
    return named_node(name, "TypeNode")


def dict_node(nodes):
    return {
        "__class__": "dict",
        "__module__": "builtins",
        "__loader__": "DictNode",
        "content": nodes,
        "key_types": list_node([type_node() for _ in nodes]),
    }


def named_node(name, loader, **more):
    module, _, short = name.rpartition(".")
    return {"__class__": short, "__module__": module, "__loader__": loader, **more}


def attributes(node):
    """The nodes of an object's attributes."""
    return node["content"]["content"]


def run_predictions(directories, data_file, timeout=600):
    """Load each directory, or skops file, in another process, and predict with it.

    Returns:
        For each directory ``works``, the error with its text, or how the process ended.
    """
    outcomes, left = {}, [str(directory) for directory in directories]
    while left:
        listed = Path(data_file).with_suffix(".list")
        listed.write_text("\n".join(left))
        command = [sys.executable, __file__, str(listed), str(data_file)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
            output, ending = done.stdout, f"the process ended with {done.returncode}: {done.stderr[-2000:]}"
        except subprocess.TimeoutExpired as error:
            output, ending = (error.stdout or b"").decode(), "the process hung"
        lines = [json.loads(line) for line in output.splitlines()]
        outcomes.update({line["path"]: line["outcome"] for line in lines if "outcome" in line})
        started = [line["path"] for line in lines if "outcome" not in line]
        assert started, ending
        for path in started:
            outcomes.setdefault(path, ending)
        left = [path for path in left if path not in outcomes]
    return outcomes


def _report(**fields):
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def _main(listed, data_file):
    import pandas as pd

    import sparksig
    from sparksig.models.flavors.skops_file import find_untrusted_types

    data = pd.read_json(data_file, orient="split")
    warnings.simplefilter("ignore")
    for path in Path(listed).read_text().splitlines():
        _report(path=path)
        try:
            if path.endswith(".skops"):
                find_untrusted_types(io.BytesIO(Path(path).read_bytes())).build().predict(data)
            else:
                sparksig.load_model(path, on_version_mismatch="ignore").predict(data)
            outcome = "works"
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"
        _report(path=path, outcome=outcome[:2000])


if __name__ == "__main__":
    _main(*sys.argv[1:])
