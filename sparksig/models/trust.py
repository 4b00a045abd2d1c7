"""The one gate before anything in a model directory may run code.

Formats that cannot run code load as they are. Everything else needs the caller's word: either
``allow_pickle=True``, or the digest of the very directory that the caller has seen. Nothing that is
written in a directory widens the trust.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparksig.errors import ModelDamagedError, ModelError, ModelNotTrustedError
from sparksig.models.directory import ModelDirectory, digest

__all__ = ["Trust", "type_names"]


def type_names(trusted_types: Sequence[str]) -> tuple[str, ...]:
    """The names of the types that a caller trusts.

    Raises:
        ModelError: a single string, which would be taken letter by letter.
    """
    if isinstance(trusted_types, str):
        raise ModelError(f"trusted_types is a list of names: trusted_types=[{trusted_types!r}]")
    return tuple(trusted_types)


@dataclass(frozen=True)
class Trust:
    """What the caller allows.

    Attributes:
        allow_pickle: code may run while loading: pickles, code files, foreign loaders.
        digest: the directory's content is exactly this (:func:`sparksig.models.directory.digest`);
            having pinned it, the caller is taken to know what is in it.
        trusted_types: the types that a skops file may hold beyond those that are safe by themselves.

    Example:
        >>> Trust(trusted_types=("sklearn.tree._tree.Tree",)).allow_pickle
        False
    """

    allow_pickle: bool = False
    digest: str | None = None
    trusted_types: tuple[str, ...] = ()

    def verify(self, directory: ModelDirectory) -> None:
        """See that the directory is the pinned one, if one is pinned; before anything in it is opened.

        Raises:
            ModelDamagedError: its content has another digest.
        """
        if self.digest is None:
            return
        found = digest(directory.path)
        if found != self.digest:
            raise ModelDamagedError(
                f"{directory.path}: the content is not what was pinned: expected the digest {self.digest}, "
                f"found {found}"
            )

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

    def require_types(self, directory: ModelDirectory, types: list[str]) -> None:
        """Pass only if all ``types`` of a skops file are among the trusted ones.

        Raises:
            ModelNotTrustedError: some are not; the message names them.
        """
        unknown = sorted(set(types) - set(self.trusted_types))
        if unknown:
            raise ModelNotTrustedError(
                f"{directory.path}: the skops file holds types that are not safe by themselves: "
                f"{', '.join(unknown)}. If you trust them, pass trusted_types={unknown!r}"
            )
