"""What a model directory's files are, by their SHA-256: its digest, and the seal that lies in it.

The digest names the whole content; a caller pins it. The seal is a file ``SHA256SUMS`` in the directory, as
``sha256sum --check`` reads it; it tells damage, not trust: who can change a file can change the seal, too.
The digest leaves the seal out, so that sealing a directory does not change it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sparksig.errors import ModelDamagedError, ModelNotFoundError, printable

__all__ = ["SEAL", "check_seal", "combine", "digest", "file_digests", "seal_text"]

SEAL = "SHA256SUMS"
NO_CONTENT = (SEAL, "registered_model_meta")
"""What is no part of a directory: the seal, and what MLflow adds to a registered version that it fetches."""


def digest(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a directory's content: over the sorted (relative path, file digest) pairs.

    The seal, and what MLflow's registry adds, are left out: neither changes the digest.

    Args:
        path: a model directory, on this machine.

    Returns:
        64 hexadecimal digits, for ``digest=`` of whatever loads the model.

    Raises:
        ModelNotFoundError: no such directory.
        ModelDamagedError: it holds a symbolic link, or something that is neither file nor directory.

    Example:
        >>> import pathlib, tempfile
        >>> home = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (home / "MLmodel").write_text("flavors: {}")
        >>> before = digest(home)
        >>> _ = (home / "MLmodel").write_text("flavors: []")
        >>> len(before), digest(home) == before
        (64, False)
    """
    return combine(file_digests(path))


def combine(digests: Mapping[str, str]) -> str:
    """One digest of all files' digests."""
    whole = hashlib.sha256()
    for name in sorted(digests):
        raw = os.fsencode(name)
        whole.update(b"%d:%s=%s\n" % (len(raw), raw, digests[name].encode()))
    return whole.hexdigest()


def file_digests(path: str | os.PathLike[str]) -> dict[str, str]:
    """The SHA-256 of each file in a directory but its seal, by its relative path with slashes.

    Raises:
        ModelNotFoundError, ModelDamagedError: as :func:`digest`.
    """
    root = Path(path)
    if not root.is_dir():
        raise ModelNotFoundError(f"there is no model directory at {str(path)!r}")
    named = {file.relative_to(root).as_posix(): file for file in _files(root)}
    return {name: _file_digest(file) for name, file in named.items() if name not in NO_CONTENT}


def _files(root: Path) -> Iterator[Path]:
    with os.scandir(root) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not _is_text(entry.name):
                raise ModelDamagedError(
                    f"{printable(entry.path)}: the name of a file in a model must be UTF-8 text. Rename it"
                )
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _files(Path(entry.path))
            elif stat.S_ISREG(mode):
                yield Path(entry.path)
            else:
                raise ModelDamagedError(
                    f"{entry.path} is neither a file nor a directory: a model may hold no links"
                )


def _is_text(name: str) -> bool:
    """Return whether a file's name can be encoded: bytes that are no UTF-8 are surrogates in Python."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _file_digest(file: Path) -> str:
    content = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(2**20):
            content.update(chunk)
    return content.hexdigest()


# --- the seal -------------------------------------------------------------------------------------------


def seal_text(digests: Mapping[str, str], also: Iterable[tuple[str, str]] = ()) -> bytes:
    """The content of a seal: a line for each file, and a last one that is the digest of those above.

    Args:
        digests: of each file.
        also: other digests that files may have, while they are being replaced.

    Example:
        >>> seal_text({"MLmodel": "0" * 64}).decode().splitlines()[0]
        '0000000000000000000000000000000000000000000000000000000000000000  MLmodel'
    """
    lines = sorted(_line(name, found) for name, found in {*digests.items(), *also})
    body = b"".join(lines)
    return body + b"# %s\n" % hashlib.sha256(body).hexdigest().encode()


def _line(name: str, found: str) -> bytes:
    raw = os.fsencode(name)
    escaped = raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    mark = b"\\" if escaped != raw else b""  # as sha256sum marks such a line
    return mark + found.encode() + b"  " + escaped + b"\n"


def check_seal(root: Path, digests: Mapping[str, str]) -> None:
    """See that the files are those that were sealed; files beside them do not matter.

    Raises:
        ModelDamagedError: a file is missing or changed, or the seal itself is damaged.
    """
    file = root / SEAL
    body, _, last = file.read_bytes().rpartition(b"# ")
    if last != b"%s\n" % hashlib.sha256(body).hexdigest().encode():
        raise ModelDamagedError(f"{file} is damaged: its last line is not the digest of the lines above")
    sealed = set(body.splitlines(keepends=True))
    intact = {_line(*pair) for pair in digests.items()} & sealed
    wrong = sorted({_name(line) for line in sealed} - {_name(line) for line in intact})
    if wrong:
        names = ", ".join(repr(os.fsdecode(name)) for name in wrong[:5])
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ModelDamagedError(
            f"{root}: changed or missing since the model was sealed: {names}{more}. A signature is "
            "changed by "
            f"sparksig.set_signature, which seals anew; if another change was on purpose, remove {SEAL}"
        )


def _name(line: bytes) -> bytes:
    """The name in a line of a seal."""
    if not line.startswith(b"\\"):
        return line[66:-1]
    known = {b"\\\\": b"\\", b"\\n": b"\n", b"\\r": b"\r"}
    return re.sub(rb"\\[\\nr]", lambda match: known[match[0]], line[67:-1])
