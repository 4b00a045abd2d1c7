"""Whether one contract can take another's place, both ways.

Callers give inputs and params by the old contract where the new one wants them; the new one gives outputs
where consumers of the old one want them. So there is one rule, of what is given and what is wanted
(:mod:`sparksig.comparison.reasons`), and here the roles are dealt out.
"""

from __future__ import annotations

from typing import Any

from sparksig.comparison.changes import beside, param_changes, schema_changes
from sparksig.comparison.reasons import counted, params_refused, refused
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
    """Whether ``new`` can take ``old``'s place, and ``old`` that of ``new``: every reason, with its path.

    Callers are taken to give what ``old`` declares, by name where it has names, and consumers to read what
    it declares. New can take old's place if

    - inputs: all that old takes widens to what new takes, at every depth, and what new requires, old
      requires. A column that new does not have is dropped, as extra columns are.
    - outputs: all that new gives widens to what old gives, and nothing that old always gives is missing. One
      output is its plain type and several are a struct, so one does not become several.
    - tensors: the dtype is the same, and so is each dimension, unless any is wanted.
    - params: each of old's is there, and takes the same values. Another default is a note.

    Tensors and columns, and columns with names and without, do not take each other's place. A side that only
    one of the two declares cannot be judged, which is a reason by itself; no params are params without any.

    A column that is dropped, and later comes back as another type, breaks no single step, but the way from
    the first to the last: compare with every version that has callers.

    Args:
        old: a contract, in any form that :func:`check` takes. That of a table (DDL, an existing table, ...) is
            compared by its exact types.
        new: likewise.
        side: "inputs" or "outputs", to compare nothing else. None for all sides; for inputs, if one of the
            two is a schema.
        types: of tables' contracts: "exact" (default) or "lossless", as of :func:`check`.
        missing: of tables' contracts: "forbid" (default) or "allow".
        extra: of tables' contracts: "forbid" (default), "allow" or "warn".

    Returns:
        The comparison: ``ok``, ``verdict``, ``raise_if_failed()``, ``to_json()``, and each side on its own.

    Raises:
        SignatureError: there is no such side.
        ContractError, ModelError, TableNotFoundError: a text or path that names no contract.

    Example:
        >>> from sparksig.schema import ColSpec
        >>> old = Schema([ColSpec("integer", "id"), ColSpec("string", "name")])
        >>> new = Schema([ColSpec("long", "id"), ColSpec("string", "code")])
        >>> print(compare(old, new))
        new against old: incompatible
          inputs   incompatible
          outputs  not declared
          params   not declared
        new cannot take old's place:
        - inputs.code: expected string, found no such column [MISSING_COLUMN]
        old cannot take new's place:
        - inputs.id: expected integer, found long (it would be narrowed: cast it explicitly, or declare it long) [TYPE_MISMATCH]
        - inputs.name: expected string, found no such column [MISSING_COLUMN]
        different as well:
        - inputs.id: integer -> long
        - inputs.name: only in old: dropped, as extra columns are

        Can a model score a table? If its inputs can take the place of the table's contract:

        >>> compare("id bigint, name string", Schema([ColSpec("long", "id")])).ok
        True
    """  # noqa: E501
    if side not in (None, "inputs", "outputs"):
        raise SignatureError(f"side is 'inputs', 'outputs' or None, not {side!r}")
    first, second = _resolve(old, types, missing, extra), _resolve(new, types, missing, extra)
    if side is None and isinstance(first, ModelSignature) and isinstance(second, ModelSignature):
        return Comparison(
            _compared(first.inputs, second.inputs, "inputs"),
            _compared(first.outputs, second.outputs, "outputs"),
            _compared_params(first.params, second.params),
        )
    chosen = side or "inputs"
    left, right = (
        getattr(one, chosen) if isinstance(one, ModelSignature) else one for one in (first, second)
    )
    if left is None or right is None or (isinstance(left, Schema) and isinstance(right, Schema)):
        return Comparison(**{chosen: _compared(left, right, chosen)})
    return Comparison(**{chosen: compare_tables(left, right, chosen)})


def _resolve(contract: Any, types: str | None, missing: str | None, extra: str | None) -> Any:
    """Return a contract with all sides: a signature, a schema, or the contract of a table."""
    contract = from_mlflow(contract)
    if isinstance(contract, (ModelSignature, Schema)):
        return contract
    from sparksig.tables.contract import Contract, resolve_contract, resolve_sides

    resolved = resolve_sides(contract)
    if not isinstance(resolved, Contract):
        return resolved
    return resolve_contract(resolved, types=types, missing=missing, extra=extra)


def _compared(old: Schema | None, new: Schema | None, side: str) -> SideComparison:
    if old is None or new is None:
        return UNDECLARED if old is new else _unknown(old, new, side)
    upgrade, rollback = refused(old, new, side), refused(new, old, side)
    if side == "outputs":
        upgrade, rollback = rollback, upgrade
    notes = beside(schema_changes(old, new, side), upgrade)
    return SideComparison(tuple(upgrade), tuple(rollback), notes)


def _unknown(old: Schema | None, new: Schema | None, side: str) -> SideComparison:
    """What there is to say where only one is declared."""
    hint = "what is not declared cannot be judged: give the model a signature with this side"
    words = ["nothing declared" if one is None else counted(one) for one in (old, new)]
    given, wanted = words if side == "inputs" else words[::-1]
    upgrade = Finding(Code.MISSING_KEY, "", wanted, given, hint)
    return SideComparison((upgrade,), (Finding(Code.MISSING_KEY, "", given, wanted, hint),))


def _compared_params(old: ParamSchema | None, new: ParamSchema | None) -> SideComparison:
    first, second = ({spec.name: spec for spec in params or ()} for params in (old, new))
    if not first and not second:
        return UNDECLARED
    upgrade, rollback = params_refused(first, second), params_refused(second, first)
    return SideComparison(tuple(upgrade), tuple(rollback), beside(param_changes(first, second), upgrade))
