"""The worker processes and replays, as the process that runs the benchmark sees them."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.whole.usage import Usage
from benchmarks.whole.worker import Task

T = TypeVar("T")
DEADLOCK = "TMPRL1101"
TOO_LARGE = re.compile(r"TMPRL1103.* exceeded the error limit.* size=(\d+) limit=(\d+)")


class TooLargeError(Exception):
    """A payload can't be sent; the message says why."""


@dataclass
class WorkerProcess:
    """A worker that is up, and what it says of itself."""

    task: Task
    log: Path
    _process: Process

    def go(self) -> None:
        """Let it import, open and start what it needs."""
        self._tell("go")

    async def usage(self) -> Usage:
        """Return what it has used until now; its peak is that since the last call."""
        self._tell("usage")
        assert self._process.stdout is not None
        answer = await self._process.stdout.readline()
        if not answer:
            raise self._ended()
        return Usage(**json.loads(answer))

    async def watch(self, work: Awaitable[T]) -> T:
        """Return what `work` returns, but do not wait for a worker that is gone or can't do it.

        Raises:
            TooLargeError: The SDK refuses to send a payload, and would try again for ever.
        """
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(self._process.wait())
        try:
            while not task.done():
                await asyncio.wait([task, gone], timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
                if refused := TOO_LARGE.search(_without_colours(self.log.read_text())):
                    size, limit = (int(number) / 2**20 for number in refused.groups())
                    raise TooLargeError(
                        f"a payload of {size:.1f} MiB is over the server's limit of {limit:.0f} MiB"
                    )
                if gone.done():
                    raise self._ended()
            return task.result()
        finally:
            task.cancel()
            gone.cancel()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def deadlock_warnings(self) -> int:
        """How many times the deadlock detector has spoken."""
        return self.log.read_text().count(DEADLOCK)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    def _ended(self) -> RuntimeError:
        return RuntimeError(f"The worker of {self.task.contestant} ended: {self.log.read_text()[-2000:]}")


@asynccontextmanager
async def start_worker(task: Task, log: Path) -> AsyncIterator[WorkerProcess]:
    """Start a worker process, and wait until it is connected; it begins to work at `go`."""
    with log.open("w") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.whole.worker",
            json.dumps(asdict(task)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=stderr,
        )
        assert process.stdin is not None
        try:
            worker = WorkerProcess(task, log, process)
            await worker.usage()
            yield worker
            process.stdin.close()
            await asyncio.wait_for(process.wait(), 30)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _without_colours(log: str) -> str:
    return re.sub(r"\x1b\[\d*m", "", log)
