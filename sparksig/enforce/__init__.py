"""The engine: data against a schema, by the casting table, in Arrow kernels.

This package and the public function ``sparksig.enforce`` have one name, and importing a package puts it
in place of a function of that name. So the package is callable: ``sparksig.enforce(data, schema)`` is
:func:`sparksig.enforce.frames.enforce`, whatever was imported before.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from sparksig.enforce.frames import enforce

        return enforce(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
