"""Reading skops files: the types that need permission, checks of native state, and building the object.

skops audits the names of types. It checks neither the use of a name, nor the arrays that compiled code
follows without checking. This module checks both, on the tree of nodes that skops itself builds from the
file, so that exactly the checked state is built.
"""

from __future__ import annotations

import importlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from sparksig.errors import ModelDamagedError, ModelNotTrustedError
from sparksig.models.flavors.skops_objects import check_objects, isolate_arrays
from sparksig.models.flavors.skops_state import check_state
from sparksig.models.inert_types import INERT_TYPES


def find_untrusted_types(stream: BinaryIO, trusted: tuple[str, ...] = ()) -> SkopsFile:
    """Inspect a skops file without building any of its objects.

    Raises:
        ModelDamagedError: the file refers to itself, or to objects by ids that skops never writes.
        Exception: any error of zipfile, json and skops for a file that is not a skops file.
    """
    with zipfile.ZipFile(stream) as archive:
        foreign = _find_foreign_losses(json.loads(archive.read("schema.json")))
        if foreign:
            return SkopsFile(None, trusted, (), tuple(sorted(foreign)))
        root = _build_nodes(archive, list(trusted))
    nodes = list(_walk_nodes(root))
    unknown = set(root.get_unsafe_set()) - set(trusted)
    misused = {name for node, name in nodes if name in unknown and not _is_expected(node, name)}
    node_names = {name for _, name in nodes}
    refused = {
        name for name in unknown if name not in INERT_TYPES or name in misused or name not in node_names
    }
    return SkopsFile(root, trusted, tuple(sorted(unknown - refused)), tuple(sorted(refused)))


@dataclass(frozen=True)
class SkopsFile:
    """A skops file whose types were inspected."""

    root: Any  # None if a type was refused before the nodes were built
    trusted: tuple[str, ...]  # by the caller
    inert: tuple[str, ...]  # the types of the list of inert types
    untrusted: tuple[str, ...]  # the types that need the caller's permission

    def build(self, *, checks_state: bool = True) -> Any:
        """Check the state of native types, build the object, and check that its parts fit together.

        Raises:
            ModelNotTrustedError: types need permission, or the object can be checked only in part.
            ModelDamagedError: the state of a native type would crash scikit-learn.
            Exception: any error of skops for a damaged file.
        """
        from skops.io._audit import audit_tree

        if self.untrusted:
            raise ModelNotTrustedError(f"untrusted types: {', '.join(self.untrusted)}")
        audit_tree(self.root, trusted=[*self.trusted, *self.inert])
        for node, name in _walk_nodes(self.root):
            if checks_state:
                check_state(node, name)
            _release_content(node)
        model = self.root.construct()
        if not checks_state:
            return model
        check_objects(model, frozenset(self.trusted))
        isolate_arrays(model)
        return model


def _release_content(node: Any) -> None:
    """Build the object of a node that has a file's content, such as an array, and free the content.

    skops keeps the object, too, so that the array of a large model would be in memory twice.
    """
    contents = [child for child in node.children.values() if isinstance(child, io.BytesIO)]
    if contents:
        node.construct()
    for content in contents:
        content.close()


def _find_foreign_losses(state: Any) -> set[str]:
    """Return losses outside of scikit-learn, whose modules skops 0.12 imports before any audit."""
    losses: set[str] = set()
    pending = [state]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if part.get("__loader__") == "LossNode" and (name := _name_foreign_loss(part)):
                losses.add(name)
            pending += part.values()
        elif isinstance(part, list):
            pending += part
    return losses


_LOSS_MODULES = ("sklearn._loss._loss", "_loss", "sklearn.linear_model._sgd_fast")


def _name_foreign_loss(state: dict[str, Any]) -> str | None:
    module, name = state.get("__module__"), state.get("__class__")
    return None if module in _LOSS_MODULES else f"{module}.{name}"


def _build_nodes(archive: zipfile.ZipFile, trusted: list[str]) -> Any:
    import skops.io  # noqa: F401  (registers the kinds of nodes)
    from skops.io._audit import get_tree

    utils = importlib.import_module("skops.io._utils")
    if hasattr(utils, "read_schema"):  # skops 0.14 and later
        schema, context = utils.read_schema(archive)
    else:
        schema = json.loads(archive.read("schema.json"))
        context = utils.LoadContext(src=archive, protocol=schema["protocol"])
    return get_tree(schema, load_context=context, trusted=trusted)


def _is_expected(node: Any, name: str) -> bool:
    entry = INERT_TYPES.get(name)
    return entry is not None and type(node).__name__ in entry.nodes


def _walk_nodes(root: Any) -> Iterator[tuple[Any, str]]:
    """Yield all nodes with the names of their types, children before their parents."""
    visited: set[int] = set()
    open_nodes: set[int] = set()

    def walk(node: Any) -> Iterator[tuple[Any, str]]:
        if id(node) in open_nodes:
            raise ModelDamagedError("the skops file contains an object that contains itself")
        if id(node) in visited:
            return
        if type(node).__name__ == "CachedNode":
            raise ModelDamagedError(
                "the skops file refers to an object only by its id, which skops never writes"
            )
        open_nodes.add(id(node))
        for child in _list_children(node):
            yield from walk(child)
        open_nodes.discard(id(node))
        visited.add(id(node))
        yield node, _name_node(node)

    return walk(root)


def _list_children(node: Any) -> list[Any]:
    from skops.io._audit import Node

    children: list[Any] = []
    for name, child in node.children.items():
        if name == "constructor":  # the class of a ReduceNode, whose name skops audits with the node itself
            continue
        if isinstance(child, dict):
            children += child.values()
        else:
            children += child if isinstance(child, list) else [child]
    return [child for child in children if isinstance(child, Node)]


def _name_node(node: Any) -> str:
    if hasattr(node, "_get_function_name"):
        return str(node._get_function_name())
    return f"{node.module_name}.{node.class_name}"
