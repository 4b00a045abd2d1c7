"""Contracts on the command line: what is wrong with one is wrong with the command, and not with a table."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparksig.contracts import Contract
    from sparksig.parquet.declared import Declared
    from sparksig.schema import Schema
    from sparksig.signature import ModelSignature

__all__ = ["Given", "contract_at", "document_of"]


@dataclass(frozen=True)
class Given:
    """A contract that was given on the command line.

    Attributes:
        declared: what it is.
    """

    declared: Declared

    @property
    def whole(self) -> ModelSignature | Schema:
        """The signature; of a table and of DDL, their columns."""
        columns = self.declared.form in ("table", "DDL")
        return self.side("inputs").schema if columns else self.declared.signature

    def only(self, side: str) -> ModelSignature:
        """A signature with one side of it alone; that may be the columns of a table.

        Raises:
            ConfigError: it has no such side.
        """
        from sparksig.signature import ModelSignature

        schema = self.side(side).schema
        return ModelSignature(inputs=schema) if side == "inputs" else ModelSignature(outputs=schema)

    def side(self, side: str) -> Contract:
        """One side of it.

        Raises:
            ConfigError: it has no such side.
        """
        with _as_configuration():
            return self.declared.side(side)


def contract_at(text: str) -> Given:
    """What a text on the command line names.

    Raises:
        ConfigError: nothing that is a contract.
        ModelError, TableNotFoundError: it cannot be read.
    """
    from sparksig.parquet.declared import declared_at

    with _as_configuration():
        return Given(declared_at(text))


@contextlib.contextmanager
def _as_configuration() -> Iterator[None]:
    from sparksig.errors import ConfigError, ContractError, ConversionError, SignatureError

    try:
        yield
    except (ContractError, ConversionError, SignatureError) as error:
        raise ConfigError(error.message, error.findings) from None


def document_of(signature: ModelSignature) -> dict[str, Any]:
    """A signature as JSON: each side a list, where MLmodel files hold that as text."""
    sides = signature.to_dict().items()
    return {side: None if text is None else json.loads(text) for side, text in sides}
