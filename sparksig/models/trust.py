"""The one gate before anything in a model directory may run code.

Formats that cannot run code load as they are. Everything else needs the caller's word: either
``allow_pickle=True``, or the digest of the very directory that the caller has seen. Nothing that is
written in a directory widens the trust.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sparksig.errors import ModelDamagedError, ModelError, ModelNotTrustedError
from sparksig.models.directory import MLMODEL, ModelDirectory
from sparksig.models.inert_types import explain_refusal
from sparksig.models.seal import SEAL, check_seal, combine, file_digests

__all__ = ["Trust", "describe_types", "type_names"]


def describe_types(types: Sequence[str]) -> str:
    """The names of types that need permission, each reason once after the names that it is for.

    Example:
        >>> describe_types(["acme.A", "acme.B"])
        'acme.A, acme.B (nobody has examined it, and building or using it may run any code)'
    """
    by_reason: dict[str, list[str]] = {}
    for name in types:
        by_reason.setdefault(explain_refusal(name), []).append(name)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())


def type_names(trusted_types: Sequence[str]) -> tuple[str, ...]:
    """The names of the types that a caller trusts.

    Raises:
        ModelError: a single string, which would be taken letter by letter.
    """
    if isinstance(trusted_types, str) or not isinstance(trusted_types, Iterable):
        raise ModelError(f"trusted_types is a list of names: trusted_types=[{trusted_types!r}]")
    return tuple(trusted_types)


@dataclass(frozen=True)
class Trust:
    """What the caller allows.

    Attributes:
        allow_pickle: code may run while loading: pickles, code files, foreign loaders.
        digest: the directory's content is exactly this (:func:`sparksig.models.seal.digest`);
            having pinned it, the caller is taken to know what is in it.
        trusted_types: the types that a skops file may hold beyond those that skops trusts and the list of
            inert types (:mod:`sparksig.models.inert_types`). What sparksig checks of an inert type's state is
            not checked of a type named here.

    Example:
        >>> Trust(trusted_types=("acme.Model",)).allow_pickle
        False
    """

    allow_pickle: bool = False
    digest: str | None = None
    trusted_types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.allow_pickle, bool):
            raise ModelError("allow_pickle is True or False")
        if self.digest is not None:
            if not isinstance(self.digest, str) or not re.fullmatch("[0-9a-fA-F]{64}", self.digest):
                raise ModelError("a digest is 64 hexadecimal digits, as sparksig.digest(path) gives them")
            object.__setattr__(self, "digest", self.digest.lower())

    def verify(self, directory: ModelDirectory) -> ModelDirectory:
        """See that the directory is the pinned one, or as it was sealed; before anything in it is opened.

        Returns:
            The directory; a pinned one remembers the digests of its files.

        Raises:
            ModelDamagedError: its content has another digest, or changed since it was sealed.
        """
        sealed = (directory.path / SEAL).is_file()
        if self.digest is None and not sealed:
            return directory
        digests = file_digests(directory.path)
        if self.digest is None:
            try:
                check_seal(directory.path, digests)
            except ModelDamagedError:  # or somebody gave it another signature in between
                check_seal(directory.path, file_digests(directory.path))
        elif (found := combine(digests)) != self.digest:
            raise ModelDamagedError(
                f"{directory.path}: the content is not what was pinned: expected the digest {self.digest}, "
                f"found {found}"
            )
        if digests.get(MLMODEL) != directory.mlmodel:
            raise ModelDamagedError(f"{directory.path}: changed while it was read: {MLMODEL}")
        return directory if self.digest is None else replace(directory, digests=digests)

    def require_code(self, directory: ModelDirectory, what: str) -> None:
        """Pass only if the caller lets ``what`` run code.

        Raises:
            ModelNotTrustedError: neither ``allow_pickle`` nor a digest was given.
        """
        if not (self.allow_pickle or self.digest is not None):
            raise ModelNotTrustedError(
                f"{directory.path}: loading {what} can run any code it holds. If you trust where it comes "
                "from, pass allow_pickle=True, or pin it with digest="
            )

    def require_types(self, directory: ModelDirectory, types: Sequence[str]) -> None:
        """Pass only if all ``types`` of a skops file are among the trusted ones.

        Args:
            directory: the model directory, for the message.
            types: the types in the file that are not on the list of inert types.

        Raises:
            ModelNotTrustedError: some are not trusted; the message names them, with the reason.
        """
        unknown = sorted(set(types) - set(self.trusted_types))
        if unknown:
            raise ModelNotTrustedError(
                f"{directory.path}: the skops file holds types that are not known to be safe: "
                f"{describe_types(unknown)}. If you trust where the model comes from, pass "
                f"trusted_types={unknown!r} (in a job's configuration, model.trusted_types: {unknown!r})"
            )
