"""The dtypes of a model's text columns, each with its missing value.

The default is an object column with None for a missing string, with every version of pandas. A model whose
input example had another dtype sees that dtype. Without an example the categories of an estimator decide. The
choice is made once per model and column, never per batch.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from sparksig.schema import ColSpec, Schema
from sparksig.types import DataType


class TextDtype(enum.Enum):
    """A dtype of text columns together with its missing value. The values are those recorded in MLmodel."""

    OBJECT = "object"
    """Python strings. The missing value is None."""
    OBJECT_NAN = "object[NaN]"
    """Python strings. The missing value is a float NaN."""
    STR = "str"
    """The default dtype of pandas 3, whose missing value is NaN. Before pandas 2.3 it becomes OBJECT_NAN."""
    STRING_PYTHON = "string[python]"
    """pandas' nullable dtype, whose missing value is NA."""
    STRING_PYARROW = "string[pyarrow]"
    """The same, stored by Arrow."""


@dataclass(frozen=True)
class TextDtypes:
    """The dtypes of a model's text columns. A column that is not listed has the dtype OBJECT.

    Example:
        >>> TextDtypes.from_mapping({"zone": TextDtype.STR}).get("zone")
        <TextDtype.STR: 'str'>
    """

    columns: tuple[tuple[str, TextDtype], ...] = ()  # the key is a name, or a position as text

    @classmethod
    def from_mapping(cls, dtypes: Mapping[str, TextDtype]) -> TextDtypes:
        """Build the dtypes from a mapping of columns."""
        return cls(tuple(dtypes.items()))

    def get(self, label: object) -> TextDtype:
        """Return the dtype of a column, by its name or position."""
        return dict(self.columns).get(str(label), TextDtype.OBJECT)


OBJECTS = TextDtypes()
"""Object columns with None: the default, and the dtype of data that is enforced without a model."""


def list_text_labels(schema: Schema | None) -> list[str]:
    """Return the names, or positions as text, of a schema's string columns."""
    if schema is None:
        return []
    return [
        str(label)
        for label, spec in zip(schema.input_names(), schema)
        if isinstance(spec, ColSpec) and spec.type is DataType.string
    ]
