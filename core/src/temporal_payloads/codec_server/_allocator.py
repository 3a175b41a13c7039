"""What the C library does with memory that was freed."""

from __future__ import annotations

import ctypes
from contextlib import suppress

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE = 256 * 1024


def return_freed_memory() -> None:
    """Have glibc give large blocks back to the system as soon as they are freed, in this process.

    By default it keeps tens of megabytes for each thread after the first large payload, for the next one. A
    server whose memory is limited has more use for it elsewhere. Other C libraries have no such setting.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _LARGE)
