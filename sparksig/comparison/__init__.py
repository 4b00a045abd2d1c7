"""Comparison of two contracts: whether each can replace the other.

Callers provide inputs and params under the old contract, and the new model must accept them. The new model
returns outputs, and consumers of the old model must accept them. One rule decides both: whether data under a
provided contract is accepted under a required one (:mod:`sparksig.comparison.reasons`).
"""

from __future__ import annotations

from typing import Any

from sparksig.comparison.changes import exclude_reasons, find_param_changes, find_schema_changes
from sparksig.comparison.reasons import describe_columns, find_param_reasons, find_reasons
from sparksig.comparison.results import UNDECLARED, Comparison, Note, SideComparison, Verdict
from sparksig.comparison.tables import compare_tables
from sparksig.convert.mlflow import from_mlflow
from sparksig.errors import Code, Finding, SignatureError
from sparksig.options import Extra, Missing, Side, TypeRule
from sparksig.params import ParamSchema
from sparksig.schema import Schema
from sparksig.signature import ModelSignature

__all__ = ["Comparison", "Note", "SideComparison", "Verdict", "compare"]


def compare(
    old: Any,
    new: Any,
    *,
    side: Side | None = None,
    types: TypeRule | None = None,
    missing: Missing | None = None,
    extra: Extra | None = None,
) -> Comparison:
    """Compare two contracts: report whether ``new`` can replace ``old``, and ``old`` can replace ``new``.

    Callers provide what ``old`` declares (by name if it has names), and consumers read what ``old`` declares.
    The new contract can replace the old one under these conditions:

    - inputs: every type that old accepts widens to the type that new accepts, at every depth, and new requires
      nothing that is optional in old. A column that new lacks is dropped, like every extra column.
    - outputs: every type that new returns widens to the type that old returns, and new lacks no output that
      old requires. A single output is a plain type and several are a struct, so they cannot replace each other.
    - tensors: the dtypes are equal, and so is each dimension, unless the required dimension is -1.
    - params: new has each param of old, and accepts the same values. A different default is a note.

    Tensors cannot replace columns, and unnamed columns cannot replace named ones. A side that only one of the
    two contracts declares cannot be judged, which is reported as a reason. A contract without params is
    compared as one with an empty list of params.

    A column that is dropped and later returns with another type breaks no single step, but it breaks the way
    from the first version to the last: compare with every version that has callers.

    Args:
        old: a contract, as :func:`check` accepts it. The contract of a table (DDL, an existing table, ...) is
            compared by its exact types.
        new: the contract that would replace it.
        side: "inputs" or "outputs" to compare only this side; None for all sides, or for the inputs if one of
            the contracts is a schema.
        types: for contracts of tables: "exact" (default) or "lossless", as in :func:`check`.
        missing: for contracts of tables: "forbid" (default) or "allow".
        extra: for contracts of tables: "forbid" (default), "allow" or "warn".

    Returns:
        The comparison: ``ok``, ``verdict``, ``raise_if_failed()``, ``to_json()``, and each side separately.

    Raises:
        SignatureError: ``side`` is unknown.
        ContractError, ModelError, TableNotFoundError: a text or path does not name a contract.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> old = Schema([ColSpec("integer", "id"), ColSpec("string", "name")])
        >>> new = Schema([ColSpec("long", "id"), ColSpec("string", "code")])
        >>> print(compare(old, new))
        new against old: incompatible
          inputs   incompatible
          outputs  not declared
          params   not declared
        new cannot replace old:
        - inputs.code: expected string, got no such column [MISSING_COLUMN]
        old cannot replace new:
        - inputs.id: expected integer, got long (it would be narrowed: cast it explicitly, or declare it long) [TYPE_MISMATCH]
        - inputs.name: expected string, got no such column [MISSING_COLUMN]
        other differences:
        - inputs.id: integer -> long
        - inputs.name: only in old: dropped, like every extra column

        A model can score a table if its inputs can replace the table's contract:

        >>> compare("id bigint, name string", Schema([ColSpec("long", "id")])).ok
        True
    """  # noqa: E501
    if side not in (None, "inputs", "outputs"):
        raise SignatureError(f"side: expected 'inputs', 'outputs' or None, got {side!r}")
    first, second = _resolve(old, types, missing, extra), _resolve(new, types, missing, extra)
    if side is None and isinstance(first, ModelSignature) and isinstance(second, ModelSignature):
        return Comparison(
            _compare_schemas(first.inputs, second.inputs, "inputs"),
            _compare_schemas(first.outputs, second.outputs, "outputs"),
            _compare_params(first.params, second.params),
        )
    chosen = side or "inputs"
    left, right = (
        getattr(contract, chosen) if isinstance(contract, ModelSignature) else contract
        for contract in (first, second)
    )
    if left is None or right is None or (isinstance(left, Schema) and isinstance(right, Schema)):
        return Comparison(**{chosen: _compare_schemas(left, right, chosen)})
    return Comparison(**{chosen: compare_tables(left, right, chosen)})


def _resolve(contract: Any, types: str | None, missing: str | None, extra: str | None) -> Any:
    """Resolve a contract to a signature, a schema, or the contract of a table."""
    contract = from_mlflow(contract)
    if isinstance(contract, (ModelSignature, Schema)):
        return contract
    from sparksig.tables.contract import Contract, resolve_contract, resolve_sides

    resolved = resolve_sides(contract)
    if not isinstance(resolved, Contract):
        return resolved
    return resolve_contract(resolved, types=types, missing=missing, extra=extra)


def _compare_schemas(old: Schema | None, new: Schema | None, side: str) -> SideComparison:
    if old is None or new is None:
        return UNDECLARED if old is new else _report_undeclared(old, new, side)
    upgrade, rollback = find_reasons(old, new, side), find_reasons(new, old, side)
    if side == "outputs":
        upgrade, rollback = rollback, upgrade
    notes = exclude_reasons(find_schema_changes(old, new, side), upgrade)
    return SideComparison(tuple(upgrade), tuple(rollback), notes)


def _report_undeclared(old: Schema | None, new: Schema | None, side: str) -> SideComparison:
    """Report that only one of two contracts declares a side."""
    hint = "set a signature that declares this side"
    texts = ["nothing declared" if schema is None else describe_columns(schema) for schema in (old, new)]
    provided, required = texts if side == "inputs" else texts[::-1]
    upgrade = Finding(Code.MISSING_KEY, "", required, provided, hint)
    return SideComparison((upgrade,), (Finding(Code.MISSING_KEY, "", provided, required, hint),))


def _compare_params(old: ParamSchema | None, new: ParamSchema | None) -> SideComparison:
    first, second = ({spec.name: spec for spec in params or ()} for params in (old, new))
    if not first and not second:
        return UNDECLARED
    upgrade, rollback = find_param_reasons(first, second), find_param_reasons(second, first)
    return SideComparison(
        tuple(upgrade), tuple(rollback), exclude_reasons(find_param_changes(first, second), upgrade)
    )
