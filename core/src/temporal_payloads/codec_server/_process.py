"""What a process is set to that is a codec server and nothing else."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE = 256 * 1024
_SWITCH_SECONDS = 0.0005


def set_up_process() -> None:
    """Have freed memory given back, and the event loop wait less for threads."""
    # By default glibc keeps tens of megabytes for each thread after the first large payload, for the next.
    # A server whose memory is limited has more use for it elsewhere. Other C libraries have no such setting.
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _LARGE)
    # Each time the loop has read from a socket, a thread that works on a payload may keep the interpreter for
    # so long; by default ten times as long, which many sockets add up to seconds.
    sys.setswitchinterval(_SWITCH_SECONDS)
