"""The commands that a page of the documentation shows, and what each is shown to print."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from temporal_payloads._cli import main


def section(page: str, title: str) -> str:
    """Return a section of a page."""
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##+ |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def commands(page: str, title: str) -> list[tuple[str, str]]:
    """Return the commands of a section, and what each is shown to print."""
    blocks = re.findall(r"^```console\n\$ (.*)\n((?:.*\n)*?)```$", section(page, title), re.MULTILINE)
    assert blocks
    return blocks


def alike(text: str) -> list[str]:
    """Return output without what differs from run to run, and the space that depends on its length."""
    text = re.sub(r"\b[0-9a-f]{16}\b", "FINGERPRINT", text)
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "RUN", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "TIME", text)
    text = re.sub(r"\bfile +\S+ \(", "file FILE (", text)
    text = re.sub(r"\([\d.,]+ ms\)", "(TIME)", text)
    # Workflows are read side by side, and come in the order in which their payloads are found.
    return sorted(text.splitlines())


def ended_well(ended: subprocess.CompletedProcess[str]) -> bool:
    """Tell whether a program that uses the SDK's core did all it had to do.

    The core may crash it while Python shuts down, after all is done. Python says so where it can.
    """
    # A shell reports 128 more than the signal's number, unless it became the program.
    ended_by = -ended.returncode if ended.returncode < 0 else ended.returncode - 128
    shutting_down = ended_by == signal.SIGABRT and "runtime state: finalizing" in ended.stderr
    return ended.returncode == 0 or ended_by == signal.SIGSEGV or shutting_down


def run(command: str) -> tuple[int, str]:
    """Run it here, for each start of a process takes a second; a real shell takes what else there is."""
    simple = re.fullmatch(r"temporal-payloads ([^|>]*)", command)
    if not simple:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ended = subprocess.run(
            command, shell=True, capture_output=True, text=True, check=False, env=os.environ | {"PATH": path}
        )
        return ended.returncode, ended.stdout + ended.stderr
    with redirect_stdout(StringIO()) as out, redirect_stderr(out):
        status = main(shlex.split(simple[1]))
    return status, out.getvalue()
