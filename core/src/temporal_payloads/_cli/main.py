"""The start and the end of the process: what is printed goes somewhere, and the status says how it went."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from temporal_payloads._cli.exit_status import ExitStatus
from temporal_payloads._cli.output import complain, while_it_can_be_written

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The arguments; by default those of the process.

    Returns:
        The exit status: see `ExitStatus`.
    """
    try:
        with while_it_can_be_written():
            try:
                from temporal_payloads._cli.app import call  # noqa: PLC0415  # needs the extra
            except ModuleNotFoundError as error:
                if error.name != "typer":
                    raise
                complain(
                    "the command line needs Typer, which is not installed. "
                    "Run: pip install 'temporal-payloads[cli]'"
                )
                return ExitStatus.WRONG_USE
            return call(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED


def run() -> NoReturn:
    """Run the command as the process's own, and end the process."""
    if sys.stderr is None:  # closed by whoever called the command
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  # until the process ends
    if sys.stdout is None:
        complain("cannot write the output: the standard output is closed")
        os._exit(ExitStatus.UNFINISHED)
    status = main()
    # What the SDK's core has begun it cannot end: it may panic or crash while Python shuts down, also if all
    # went well. So Python does not, but for what others have asked it to do at the end: to export metrics.
    atexit._run_exitfuncs()  # noqa: SLF001  # no public name does it before the rest
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
