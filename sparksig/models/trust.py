"""The check that decides whether code in a model directory may run.

Formats that cannot run code need no permission. All others need permission of the caller: either
``allow_pickle=True``, or the digest of the directory. The content of a directory can never extend the trust.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sparksig.errors import ModelDamagedError, ModelError, ModelNotTrustedError, name_type
from sparksig.models.directory import ModelDirectory
from sparksig.models.inert_types import explain_refusal
from sparksig.models.seal import MLMODEL, SEAL, check_seal, combine_digests, hash_files


def describe_types(types: Sequence[str]) -> str:
    """List the names of types that need permission, grouped by reason.

    Example:
        >>> describe_types(["acme.A", "acme.B"])
        'acme.A, acme.B (it has not been reviewed, and building or using it may run any code)'
    """
    by_reason: dict[str, list[str]] = {}
    for name in types:
        by_reason.setdefault(explain_refusal(name), []).append(name)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())


def check_type_names(trusted_types: Sequence[str]) -> tuple[str, ...]:
    """Return the argument ``trusted_types`` as a tuple of names."""
    if isinstance(trusted_types, str) or not isinstance(trusted_types, Iterable):
        raise ModelError(
            f"trusted_types: expected a list of names, got one value. Pass trusted_types=[{trusted_types!r}]"
        )
    return tuple(trusted_types)


@dataclass(frozen=True)
class Trust:
    """The permissions of the caller.

    Attributes:
        allow_pickle: code may run while loading: pickles, code files, foreign loader modules.
        digest: the pinned digest of the directory's content (:func:`sparksig.models.seal.digest`). A caller
            who pins a directory is assumed to know its content, so code in it may run.
        trusted_types: types to allow in a skops file, in addition to those that skops trusts and the inert
            types (:mod:`sparksig.models.inert_types`).
        knows_content: the caller pinned the digest, so the state of native types is not checked. None for
            True if there is a digest. A worker has the driver's digest even if the caller did not pin the
            model.

    Example:
        >>> Trust(trusted_types=("acme.Model",)).allow_pickle
        False
    """

    allow_pickle: bool = False
    digest: str | None = None
    trusted_types: tuple[str, ...] = ()
    knows_content: bool | None = None

    def __post_init__(self) -> None:
        if self.knows_content is None:
            object.__setattr__(self, "knows_content", self.digest is not None)
        if not isinstance(self.allow_pickle, bool):
            raise ModelError(f"allow_pickle: expected True or False, got {name_type(self.allow_pickle)}")
        if self.digest is not None:
            if not isinstance(self.digest, str) or not re.fullmatch("[0-9a-fA-F]{64}", self.digest):
                raise ModelError(
                    "digest: expected 64 hexadecimal digits, got something else. Compute it with "
                    "sparksig.digest(path)"
                )
            object.__setattr__(self, "digest", self.digest.lower())

    def verify(self, directory: ModelDirectory) -> ModelDirectory:
        """Verify the pinned digest, or else the seal. Return the directory, with its digests if pinned."""
        is_sealed = (directory.path / SEAL).is_file()
        if self.digest is None and not is_sealed:
            return directory
        digests = hash_files(directory.path)
        if self.digest is None:
            try:
                check_seal(directory.path, digests)
            except ModelDamagedError:  # another process may have replaced the signature in between
                check_seal(directory.path, hash_files(directory.path))
        elif (actual := combine_digests(digests)) != self.digest:
            raise ModelDamagedError(
                f"{directory.path}: the content differs from the pinned digest: expected {self.digest}, got "
                f"{actual}"
            )
        if digests.get(MLMODEL) != directory.mlmodel_digest:
            raise ModelDamagedError(f"{directory.path}: changed while it was read: {MLMODEL}")
        return directory if self.digest is None else replace(directory, digests=digests)

    def require_code(self, directory: ModelDirectory, model: str) -> None:
        """Raise an error unless the caller allows the model to run code."""
        if not (self.allow_pickle or self.digest is not None):
            raise ModelNotTrustedError(
                f"{directory.path}: loading {model} can run any code in it. If you trust its origin, pass "
                "allow_pickle=True, or pin it with digest="
            )

    def require_types(self, directory: ModelDirectory, types: Sequence[str]) -> None:
        """Raise an error unless all types of a skops file that are not inert are trusted."""
        unknown = sorted(set(types) - set(self.trusted_types))
        if unknown:
            raise ModelNotTrustedError(
                f"{directory.path}: the skops file contains types that are not known to be safe: "
                f"{describe_types(unknown)}. If you trust the origin of the model, pass "
                f"trusted_types={unknown!r} (in a job's configuration, model.trusted_types: {unknown!r})"
            )
