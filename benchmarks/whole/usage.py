"""What a process says of itself."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO


@dataclass(frozen=True)
class Usage:
    """What a process has used so far."""

    cpu: float
    """Seconds, of all its threads."""
    memory: int
    """Bytes resident now."""
    peak: int
    """The most that was resident since the process last said what it used."""


def usage() -> Usage:
    """Tell what this process has used, and begin to watch for another peak."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    lines = Path("/proc/self/status").read_text().splitlines()
    memory = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    Path("/proc/self/clear_refs").write_text("5")
    return Usage(used.ru_utime + used.ru_stime, int(memory["VmRSS"]) * 1024, int(memory["VmHWM"]) * 1024)


def keep_standard_output() -> TextIO:
    """Return what was standard output, and let standard error be it: the SDK's core logs there."""
    kept = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return kept
