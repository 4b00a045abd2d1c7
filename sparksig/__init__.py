"""sparksig: batch scoring on Spark under a contract.

All public names import from here; each is loaded when it is first used, so that ``import sparksig``
costs next to nothing and needs none of pandas, pyarrow, pyspark and pydantic.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparksig.errors import Code, ConfigError, ConfigNotFoundError, ContractError
