"""The frames of a model's own code in the traceback of an exception."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

from sparksig.errors import make_printable

REMOTE_FRAMES = "sparksig_frames"
"""The attribute with the frames of an exception that was raised in another process."""

_MAX_FRAMES = 3
_OWN_CODE = str(Path(__file__).parents[1])
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def describe_frames(error: BaseException) -> list[str]:
    """Return the innermost frames of the user's code in a traceback, or else the frame that raised it."""
    if (remote := getattr(error, REMOTE_FRAMES, None)) is not None:
        return list(remote)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_OWN_CODE, "<frozen "))
    ]
    own = [
        frame
        for frame in frames
        if "site-packages" not in frame.filename and not frame.filename.startswith(_LIBRARIES)
    ]
    chosen = (own or frames[-1:])[-_MAX_FRAMES:]
    return [f"at {make_printable(frame.filename)}, line {frame.lineno}, in {frame.name}" for frame in chosen]
