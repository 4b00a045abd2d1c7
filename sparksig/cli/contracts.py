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
        return self.declared.whole

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
    """Return a signature as JSON built-ins: each side a list, where MLmodel files have text."""
    document: dict[str, Any] = json.loads(signature.to_json())
    return document
