"""Memory that two processes share, for the large parts of their messages.

It is an anonymous file of Linux: it has no name, so nothing is left behind when a process is killed, and its
size is not limited by that of ``/dev/shm``. Where the system has none, or too little memory, messages are
written to their pipes instead.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

_SMALLEST, _LARGEST = 2**15, 2**28
"""Smaller messages are as fast in a pipe; the memory of larger ones would be occupied for good."""

_ALIGNMENT = 64
_STEP = 2**20
_SEAL_SHRINK = getattr(fcntl, "F_SEAL_SHRINK", 0)


class SharedMemory:
    """Memory that one process writes, and another one reads.

    Args:
        descriptor: the file descriptor of the memory.

    Example:
        >>> memory = SharedMemory.create()
        >>> part = memoryview(bytes(range(256)) * 256)
        >>> memory.write([part]), memory.read([part.nbytes])[0] == part
        (True, True)
        >>> memory.close()
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._bytes: np.ndarray[Any, Any] = np.empty(0, dtype=np.uint8)

    @classmethod
    def create(cls) -> SharedMemory | None:
        """Return new memory; None where the system has none."""
        if sys.platform != "linux":
            return None
        try:
            memory = cls(os.memfd_create("sparksig", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        except OSError:
            return None
        fcntl.fcntl(memory.descriptor, fcntl.F_ADD_SEALS, _SEAL_SHRINK)  # a reader never reads missing pages
        return memory

    def write(self, parts: Sequence[memoryview]) -> bool:
        """Write the parts of a message over those of the previous one.

        Args:
            parts: contiguous bytes.

        Returns:
            False if the memory cannot hold them, or a pipe is as fast; nothing is written.
        """
        starts, size = _place([part.nbytes for part in parts])
        if not _SMALLEST <= size <= _LARGEST or not self._extend(size):
            return False
        for start, part in zip(starts, parts):
            self._bytes[start : start + part.nbytes] = np.frombuffer(part, dtype=np.uint8)
        return True

    def read(self, sizes: Sequence[int]) -> list[memoryview]:
        """Return views of the parts of the last message, which the next message overwrites."""
        starts, size = _place(sizes)
        if size > len(self._bytes):
            self._map(os.fstat(self.descriptor).st_size)
        return [self._bytes[start : start + count].data for start, count in zip(starts, sizes)]

    def has_views(self) -> bool:
        """Return whether an object still has a view of the memory."""
        return sys.getrefcount(self._bytes) > 2  # the attribute and the argument

    def close(self) -> None:
        """Close the memory; it is freed when the other process has closed it and all views are gone."""
        os.close(self.descriptor)
        self._bytes = np.empty(0, dtype=np.uint8)

    def _extend(self, size: int) -> bool:
        """Enlarge the memory to a size; return False if the system has too little memory."""
        if size <= len(self._bytes):
            return True
        size = -(-size // _STEP) * _STEP
        try:
            os.posix_fallocate(self.descriptor, 0, size)
        except OSError:
            return False
        self._map(size)
        return True

    def _map(self, size: int) -> None:
        self._bytes = np.frombuffer(mmap.mmap(self.descriptor, size), dtype=np.uint8)


def _place(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Return the positions of parts with these sizes, and the total size."""
    starts, position = [], 0
    for size in sizes:
        starts.append(position)
        position += -(-size // _ALIGNMENT) * _ALIGNMENT
    return starts, position
