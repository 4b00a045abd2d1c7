"""Value rules compiled to the text of Spark SQL, which is faster to build than columns in the JVM.

Spark substitutes variables (``${...}``) in SQL text, also inside quoted names. So the text never contains a
name with ``$``: a column is named by bytes, and a field by its position in a struct with positional names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from sparksig.errors import Code, Finding, quote
from sparksig.lattice import Field, ListOf, MapOf, Source, Struct
from sparksig.tables.rules import REPEATING, Condition, Rule, Step, StepKind, Test

FINDINGS_TYPE = "array<struct<code:string,path:string,detail:string>>"
"""The type of a column of findings."""


@dataclass(frozen=True)
class SqlRule:
    """A rule for the values of a row, in SQL.

    Attributes:
        finding: the finding to report if rows break the rule; without a count.
        places: how often a row breaks the rule: an integer, never null.
        is_repeating: whether one row can break the rule several times.
        lengths: the smallest and the largest length in a row, for a rule that compares rows with each other
            (a single row cannot break it); else None.
        column: the only column of the rule; empty for other rules.
        template: ``places`` with the name ``value`` for the value of the column; empty without a column.
    """

    finding: Finding
    places: str
    is_repeating: bool = False
    lengths: tuple[str, str] | None = None
    column: str = ""
    template: str = ""

    @property
    def broken(self) -> str:
        """The condition that a row breaks the rule."""
        return f"({self.places} > 0)"


# --- names ------------------------------------------------------------------------------------------------


def quote_name(name: str) -> str:
    """Quote the name of a column or a field.

    Example:
        >>> quote_name("unit`price")
        '`unit``price`'
    """
    return "`" + name.replace("`", "``") + "`"


def name_column(name: str) -> str:
    """Name a column, without a variable that Spark would substitute.

    Example:
        >>> name_column("price"), name_column("${a}")
        ('`price`', "identifier(cast(X'60247b617d60' as string))")
    """
    quoted = quote_name(name)
    return f"identifier(cast(X'{quoted.encode().hex()}' as string))" if "$" in name else quoted


def quote_text(text: str) -> str:
    """Quote a text, independently of how the session reads backslashes."""
    if not set("'\\$") & set(text) and text.isprintable():  # a $ may begin a variable
        return f"'{text}'"
    return f"decode(unhex('{text.encode('utf-8', 'replace').hex()}'), 'UTF-8')"


def _name_field(value: str, source: Source, name: str) -> str:
    """Name a field of a struct."""
    if "$" not in name or not isinstance(source, Struct):
        return f"{value}.{quote_name(name)}"
    index = [field.name for field in source.fields].index(name)
    return f"cast({value} as {_format_type(source)}).f{index}"


def _format_type(source: Source) -> str:
    """Format a Spark type as DDL, with positional names of fields."""
    if isinstance(source, Struct):
        fields = (f"f{index}:{_format_type(field.source)}" for index, field in enumerate(source.fields))
        return source.kind or f"struct<{','.join(fields)}>"
    if isinstance(source, ListOf):
        return f"array<{_format_type(source.item)}>"
    if isinstance(source, MapOf):
        return f"map<{_format_type(source.key)},{_format_type(source.value)}>"
    return str(source)


# --- rules ------------------------------------------------------------------------------------------------


def compile_rules(rules: Sequence[Rule], columns: Sequence[Field]) -> list[SqlRule]:
    """Compile rules to SQL.

    Args:
        rules: the rules.
        columns: the columns of the table, with their types in Spark's notation.

    Example:
        >>> from sparksig.errors import Code
        >>> from sparksig.lattice import Scalar
        >>> rule = Rule(Finding(Code.NULL_IN_REQUIRED, "id"), "id", (), Condition(Test.NULL))
        >>> compile_rules([rule], [Field("id", Scalar("int64"))])[0].broken
        '(case when `id` is null then 1 else 0 end > 0)'
    """
    sources = {column.name: column.source for column in columns}
    compiled = []
    for rule in rules:
        values, source = name_column(rule.column), sources[rule.column]
        if rule.condition.test is Test.UNEQUAL_LENGTHS:
            least, largest = (_measure_lists(values, len(rule.steps), end) for end in ("min", "max"))
            compiled.append(SqlRule(rule.finding, "0", lengths=(least, largest)))
            continue
        texts = [_count_places(name, source, rule.steps, rule.condition) for name in (values, _VALUE)]
        places, template = (f"coalesce({text}, 0)" if rule.steps else text for text in texts)
        compiled.append(
            SqlRule(rule.finding, places, rule.is_repeating, column=rule.column, template=template)
        )
    return compiled


_VALUE = "value"


def count_nulls(name: str) -> SqlRule:
    """Return a rule that counts the nulls of a column."""
    places, template = (flag(f"{value} is null") for value in (name_column(name), _VALUE))
    return SqlRule(Finding(Code.NULL_IN_REQUIRED, quote(name)), places, column=name, template=template)


def _count_places(value: str, source: Source, steps: Sequence[Step], condition: Condition) -> str:
    """Return how often a value breaks a rule: an integer, or null if a parent is null."""
    if not steps:
        return flag(_CONDITIONS[condition.test](value, condition.argument))
    step, inner_steps = steps[0], steps[1:]
    inner = _step_into(source, step)
    if step.kind in (StepKind.FIELD, StepKind.DELTA_FIELD):
        count = _count_places(_name_field(value, source, step.name), inner, inner_steps, condition)
        return f"case when {value} is not null then {count} end" if step.kind is StepKind.FIELD else count
    if step.kind is StepKind.KEY:
        key = quote_text(step.name)
        count = _count_places(f"element_at({value}, {key})", inner, inner_steps, condition)
        return f"case when map_contains_key({value}, {key}) then {count} end"
    parts = {StepKind.KEYS: f"map_keys({value})", StepKind.VALUES: f"map_values({value})"}
    items = parts.get(step.kind, value)
    # the depth gives nested variables different names
    depth = sum(inner_step in REPEATING for inner_step in inner_steps)
    count = _count_places(f"item{depth}", inner, inner_steps, condition)
    total = f"so_far{depth} + coalesce({count}, 0)"
    return f"aggregate({items}, 0, (so_far{depth}, item{depth}) -> {total})"


def _step_into(source: Source, step: Step) -> Source:
    """Return the type of the values that a step leads to."""
    if isinstance(source, ListOf):
        return source.item
    if isinstance(source, MapOf):
        return source.key if step.kind is StepKind.KEYS else source.value
    if isinstance(source, Struct) and source.fields:
        return next(field.source for field in source.fields if field.name == step.name)
    return source


def _measure_lists(values: str, depth: int, end: str) -> str:
    """Return the smallest or the largest length of the lists at a depth."""
    if not depth:
        return f"case when {values} is not null then size({values}) end"
    inner = _measure_lists(f"item{depth}", depth - 1, end)
    return f"array_{end}(transform({values}, item{depth} -> {inner}))"


def flag(condition: str) -> str:
    """Return SQL that is 1 if a condition is true, else 0."""
    return f"case when {condition} then 1 else 0 end"


_EARLIEST, _LATEST = "1677-09-21T00:12:43.145225", "2262-04-11T23:47:16.854775"


def _is_outside(value: str, _: object) -> str:
    naive = f"cast({value} as timestamp_ntz)"  # the local time of the session's zone
    return f"{naive} < timestamp_ntz'{_EARLIEST}' or {naive} > timestamp_ntz'{_LATEST}'"


def _has_duplicates(value: str, _: object) -> str:
    keys = f"map_keys({value})"
    return f"{value} is not null and size({keys}) > size(array_distinct({keys}))"


_CONDITIONS: Mapping[Test, Callable[[str, int | str], str]] = {
    Test.NULL: lambda value, _: f"{value} is null",
    Test.NAN: lambda value, _: f"isnan({value})",
    Test.OUTSIDE_NANOSECONDS: _is_outside,
    Test.LONGER: lambda value, limit: f"length({value}) > {limit}",
    Test.OTHER_LENGTH: lambda value, size: f"{value} is not null and size({value}) <> {size}",
    Test.DUPLICATE_KEYS: _has_duplicates,
    Test.MISSING_KEY: lambda value, key: f"not map_contains_key({value}, {quote_text(str(key))})",
}


def build_broken_condition(rules: Sequence[SqlRule]) -> str:
    """Return the condition that a row breaks any rule: a balanced tree, as parsers recurse into chains."""
    parts = [rule.broken for rule in rules if rule.lengths is None]
    while len(parts) > 1:
        parts = [" or ".join(parts[index : index + 16]) for index in range(0, len(parts), 16)]
        parts = [f"({part})" for part in parts]
    return parts[0] if parts else "false"


def format_findings(rules: Sequence[SqlRule]) -> str:
    """Return the findings of a row as an array of structs."""
    findings = []
    for rule in rules:
        finding = rule.finding
        texts = {"code": finding.code.value, "path": finding.path, "detail": str(finding)}
        fields = ", ".join(f"'{name}', {quote_text(text)}" for name, text in texts.items())
        findings.append(f"case when {rule.broken} then named_struct({fields}) end")
    return f"cast(array_compact(array({', '.join(findings)})) as {FINDINGS_TYPE})"


# --- many columns -----------------------------------------------------------------------------------------


def list_entries(
    rules: Sequence[SqlRule], others: Sequence[SqlRule], types: Mapping[str, str]
) -> tuple[list[SqlRule], str]:
    """Compile rules to one array of entries for each row: the rules that it breaks, and how often.

    Columns of one type with the same rules share an expression, so that plans stay small.

    Args:
        rules: the rules, which get the first numbers.
        others: further rules, which get the next numbers.
        types: the types of the columns.

    Returns:
        The rules in the order of their numbers; an array of structs of the rule's number, the number of
        positions (the smallest length, for a rule of lengths) and the largest length.

    Example:
        >>> rules = [count_nulls(name) for name in ("a", "b")]
        >>> numbered, sql = list_entries(rules, [], {"a": "bigint", "b": "bigint"})
        >>> numbered == rules, sql.count("transform")
        (True, 1)
    """
    columns: dict[str, list[tuple[SqlRule, bool]]] = {}
    blocks: list[tuple[bool, list[SqlRule]]] = []
    singles = []
    for rule, is_other in [*((rule, False) for rule in rules), *((rule, True) for rule in others)]:
        if rule.template:
            columns.setdefault(rule.column, []).append((rule, is_other))
        else:
            singles.append(rule)
            blocks.append((is_other, [rule]))
    groups: dict[tuple[str, tuple[tuple[str, bool], ...]], list[list[SqlRule]]] = {}
    for name, own in columns.items():
        key = (types[name], tuple((rule.template, is_other) for rule, is_other in own))
        groups.setdefault(key, []).append([rule for rule, _ in own])
    for (_, kinds), group in groups.items():
        blocks += [(is_other, list(block)) for (_, is_other), block in zip(kinds, zip(*group))]
    numbered = [rule for _, block in sorted(blocks, key=itemgetter(0)) for rule in block]
    numbers = {id(rule): number for number, rule in enumerate(numbered)}
    parts = [_list_group(group, numbers) for group in groups.values()]
    if singles:
        entries = ", ".join(_format_entry(rule, rule.places, str(numbers[id(rule)])) for rule in singles)
        parts.append(f"array_compact(array({entries}))")
    return numbered, f"concat({', '.join(parts)})" if parts else f"cast(array() as {_ENTRIES_TYPE})"


_ENTRIES_TYPE = "array<struct<rule:int,places:int,largest:int>>"


def _list_group(group: Sequence[Sequence[SqlRule]], numbers: Mapping[int, int]) -> str:
    """Return the entries of columns of one type that have the same rules."""
    values = f"array({', '.join(name_column(own[0].column) for own in group)})"
    entries = [_format_entry(rule, rule.template, f"{numbers[id(rule)]} + position") for rule in group[0]]
    broken = " or ".join(f"({rule.template} > 0)" for rule in group[0])
    cell = f"case when {broken} then array({', '.join(entries)}) end"
    return f"array_compact(flatten(array_compact(transform({values}, ({_VALUE}, position) -> {cell}))))"


def _format_entry(rule: SqlRule, places: str, number: str) -> str:
    """Return the entry of a rule; null if the row does not break it."""
    if rule.lengths is not None:
        least, largest = rule.lengths
        return f"case when {largest} is not null then {_format_struct(number, least, largest)} end"
    return f"case when {places} > 0 then {_format_struct(number, places, '0')} end"


def _format_struct(number: str, places: str, largest: str) -> str:
    return f"named_struct('rule', {number}, 'places', {places}, 'largest', {largest})"
