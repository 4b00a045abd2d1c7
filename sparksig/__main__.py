"""``python -m sparksig``: the command line."""

from __future__ import annotations

from sparksig.cli import main

main()
