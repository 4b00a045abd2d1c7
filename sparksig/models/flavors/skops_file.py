"""Reading skops files: which types need permission, checks of native state, and building the object.

skops audits the names of types. It does not look at what a name is used for, nor at arrays that compiled code
follows without checking. Both are done here, on the tree of nodes that skops itself builds from the file, so
that what is checked is what is built.
"""

from __future__ import annotations

import importlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sparksig.errors import ModelDamagedError, ModelNotTrustedError
from sparksig.models.flavors.skops_objects import check_objects, isolate_arrays
from sparksig.models.flavors.skops_state import check_state
from sparksig.models.inert_types import INERT_TYPES

__all__ = ["SkopsFile", "find_untrusted_types"]


def find_untrusted_types(content: bytes, trusted: tuple[str, ...] = ()) -> SkopsFile:
    """Inspect a skops file without building any object of it.

    Args:
        content: the file.
        trusted: the types that the caller trusts.

    Raises:
        ModelDamagedError: the file refers to itself, or to objects by ids that skops never writes.
        Exception: whatever zipfile, json and skops raise for a file that is none.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        foreign = _find_foreign_losses(json.loads(archive.read("schema.json")))
        if foreign:
            return SkopsFile(None, trusted, (), tuple(sorted(foreign)))
        root = _build_nodes(archive, list(trusted))
    nodes = list(_walk_nodes(root))
    unknown = set(root.get_unsafe_set()) - set(trusted)
    misused = {name for node, name in nodes if name in unknown and not _is_expected(node, name)}
    named = {name for _, name in nodes}
    refused = {name for name in unknown if name not in INERT_TYPES or name in misused or name not in named}
    return SkopsFile(root, trusted, tuple(sorted(unknown - refused)), tuple(sorted(refused)))


@dataclass(frozen=True)
class SkopsFile:
    """A skops file whose types were inspected.

    Attributes:
        root: the root of its nodes; None if they were not built, because a type was refused before.
        trusted: the types that the caller trusts.
        inert: the types beyond skops' own that are on the list of inert types, and used as the list says.
        untrusted: the types that need the caller's permission.
    """

    root: Any
    trusted: tuple[str, ...]
    inert: tuple[str, ...]
    untrusted: tuple[str, ...]

    def build(self) -> Any:
        """Build the object, after checking the state of native types, and check how its parts fit together.

        Raises:
            ModelNotTrustedError: types need permission, or the object can be checked only in part.
            ModelDamagedError: the state of a native type would crash scikit-learn.
            Exception: whatever skops raises for a file that is damaged.
        """
        from skops.io._audit import audit_tree

        if self.untrusted:
            raise ModelNotTrustedError(f"untrusted types: {', '.join(self.untrusted)}")
        audit_tree(self.root, trusted=[*self.trusted, *self.inert])
        for node, name in _walk_nodes(self.root):
            if name not in self.trusted:
                check_state(node, name)
        built = self.root.construct()
        check_objects(built, frozenset(self.trusted))
        isolate_arrays(built, frozenset(self.trusted))
        return built


def _find_foreign_losses(state: Any) -> set[str]:
    """Losses that are not scikit-learn's: skops 0.12 imports their modules before any audit."""
    found: set[str] = set()
    left = [state]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            if part.get("__loader__") == "LossNode" and (name := _name_of_loss(part)):
                found.add(name)
            left += part.values()
        elif isinstance(part, list):
            left += part
    return found


_LOSS_MODULES = ("sklearn._loss._loss", "_loss", "sklearn.linear_model._sgd_fast")


def _name_of_loss(state: dict[str, Any]) -> str | None:
    module, name = state.get("__module__"), state.get("__class__")
    return None if module in _LOSS_MODULES else f"{module}.{name}"


def _build_nodes(archive: zipfile.ZipFile, trusted: list[str]) -> Any:
    import skops.io  # noqa: F401  (it registers the kinds of nodes)
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
    """All nodes with the names of their types, children before their parents.

    Raises:
        ModelDamagedError: a node contains itself, or refers to another one by its id alone.
    """
    done: set[int] = set()
    open_nodes: set[int] = set()

    def walk(node: Any) -> Iterator[tuple[Any, str]]:
        if id(node) in open_nodes:
            raise ModelDamagedError("the skops file holds an object that contains itself")
        if id(node) in done:
            return
        if type(node).__name__ == "CachedNode":
            raise ModelDamagedError(
                "the skops file refers to an object by its id alone, which skops never writes"
            )
        open_nodes.add(id(node))
        for child in _list_children(node):
            yield from walk(child)
        open_nodes.discard(id(node))
        done.add(id(node))
        yield node, _name_node(node)

    return walk(root)


def _list_children(node: Any) -> list[Any]:
    from skops.io._audit import Node

    children: list[Any] = []
    for name, child in node.children.items():
        if name == "constructor":  # of a ReduceNode: its own class, which skops names
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
