"""Archives of environments for tests, which need no installation."""

from __future__ import annotations

import io
import json
import platform
import sysconfig
import tarfile


def write_archive(file, modules=None):
    """Write an environment with the packages of this one, and with modules by their file names."""
    info = {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "platform": sysconfig.get_platform(),
        "requirements": [],
        "packages": {},
    }
    contents = {
        "environment.json": json.dumps(info),
        "site-packages/this_environment.pth": sysconfig.get_path("purelib"),
    }
    contents |= {f"site-packages/{name}": content for name, content in (modules or {}).items()}
    with tarfile.open(file, "w:gz") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))
    return file
