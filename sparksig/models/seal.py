"""The digest of a model directory, and its seal: the SHA-256 of its files.

The digest identifies the entire content, so that a caller can pin it. The seal is a file ``SHA256SUMS`` in
the directory, in the format of ``sha256sum --check``. It detects damage, but does not prove the origin of a
directory: anyone who can change a file can change the seal too. The digest does not cover the seal, so that
sealing a directory does not change its digest.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sparksig.errors import ModelDamagedError, ModelNotFoundError, make_printable, suggest_path

MLMODEL = "MLmodel"
"""The file that describes a model; a directory without it is not a model directory."""

SEAL = "SHA256SUMS"
NO_CONTENT = (SEAL, "registered_model_meta")
"""Files that the digest does not cover: the seal, and a file that MLflow adds to a fetched model version."""


def digest(path: str | os.PathLike[str]) -> str:
    """Compute the SHA-256 of a directory's content: of the sorted pairs of relative path and file digest.

    The seal and the file that MLflow's registry adds do not change the digest.

    Args:
        path: a local model directory.

    Returns:
        64 hexadecimal digits, to be passed as ``digest=`` to :func:`sparksig.load_model` and others.

    Raises:
        ModelNotFoundError: the directory does not exist, or is not a model directory.
        ModelDamagedError: it contains a symbolic link, or another entry that is neither file nor directory.

    Example:
        >>> import pathlib, tempfile
        >>> home = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (home / "MLmodel").write_text("flavors: {}")
        >>> before = digest(home)
        >>> _ = (home / "MLmodel").write_text("flavors: []")
        >>> len(before), digest(home) == before
        (64, False)
    """
    digests = hash_files(path)
    if MLMODEL not in digests:
        raise build_missing_file_error(str(path))
    return combine_digests(digests)


def build_missing_file_error(name: str) -> ModelNotFoundError:
    """Build the error about a directory that has no file MLmodel; the name is a path or a URI."""
    return ModelNotFoundError(f"{name!r} is not a model directory: it has no file {MLMODEL}")


def combine_digests(digests: Mapping[str, str]) -> str:
    """Combine the digests of all files into the digest of the directory."""
    content = hashlib.sha256()
    for name in sorted(digests):
        raw = os.fsencode(name)  # the name may not be valid text
        content.update(b"%d:%s=%s\n" % (len(raw), raw, digests[name].encode()))
    return content.hexdigest()


def hash_files(path: str | os.PathLike[str]) -> dict[str, str]:
    """Compute the SHA-256 of each file in a directory, except its seal, by its relative path with slashes."""
    root = Path(path)
    if not root.is_dir():
        raise ModelNotFoundError(f"there is no model directory at {str(path)!r}{suggest_path(path)}")
    files = {file.relative_to(root).as_posix(): file for file in _list_files(root)}
    return {name: hash_file(file) for name, file in files.items() if name not in NO_CONTENT}


def _list_files(root: Path) -> Iterator[Path]:
    with os.scandir(root) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not _is_text(entry.name):
                raise ModelDamagedError(
                    f"{make_printable(entry.path)}: the name of a file in a model must be UTF-8 text. "
                    "Rename it"
                )
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _list_files(Path(entry.path))
            elif stat.S_ISREG(mode):
                yield Path(entry.path)
            else:
                raise ModelDamagedError(
                    f"{entry.path}: expected a file or a directory, got something else. Replace a symbolic "
                    "link by the file itself"
                )


def _is_text(name: str) -> bool:
    """Return whether a file's name is UTF-8: Python represents other bytes by surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def hash_file(file: Path) -> str:
    """Return the SHA-256 of a file."""
    content = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(2**20):
            content.update(chunk)
    return content.hexdigest()


# --- the seal -------------------------------------------------------------------------------------------


def format_seal(digests: Mapping[str, str], alternatives: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return the content of a seal: a line for each file, and a last line with the digest of the others.

    Alternatives are names and digests that are valid too, while files are being replaced.

    Example:
        >>> format_seal({"MLmodel": "0" * 64}).decode().splitlines()[0]
        '0000000000000000000000000000000000000000000000000000000000000000  MLmodel'
    """
    lines = sorted(_format_line(name, digest) for name, digest in {*digests.items(), *alternatives})
    body = b"".join(lines)
    return body + b"# %s\n" % hashlib.sha256(body).hexdigest().encode()


def _format_line(name: str, file_digest: str) -> bytes:
    raw = os.fsencode(name)
    escaped = raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    mark = b"\\" if escaped != raw else b""  # sha256sum's mark of a line with escapes
    return mark + file_digest.encode() + b"  " + escaped + b"\n"


def check_seal(root: Path, digests: Mapping[str, str]) -> None:
    """Check that the sealed files are unchanged. Additional files are allowed."""
    file = root / SEAL
    body, _, last = file.read_bytes().rpartition(b"# ")
    if last != b"%s\n" % hashlib.sha256(body).hexdigest().encode():
        raise ModelDamagedError(f"{file} is damaged: its last line is not the digest of the lines above")
    sealed = set(body.splitlines(keepends=True))
    intact = {_format_line(*pair) for pair in digests.items()} & sealed
    damaged = sorted({_parse_name(line) for line in sealed} - {_parse_name(line) for line in intact})
    if damaged:
        names = ", ".join(repr(os.fsdecode(name)) for name in damaged[:5])
        more = f" and {len(damaged) - 5} more" if len(damaged) > 5 else ""
        raise ModelDamagedError(
            f"{root}: changed or missing since the model was sealed: {names}{more}. Change a signature with "
            "sparksig.set_signature, which updates the seal. If you made another change yourself, remove "
            f"{SEAL}"
        )


def _parse_name(line: bytes) -> bytes:
    """Return the file name in a line of a seal."""
    if not line.startswith(b"\\"):
        return line[66:-1]
    escapes = {b"\\\\": b"\\", b"\\n": b"\n", b"\\r": b"\r"}
    return re.sub(rb"\\[\\nr]", lambda match: escapes[match[0]], line[67:-1])
