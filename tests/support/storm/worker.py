"""A worker process of the storm: it can be killed, and its clock can be set wrong.

Arguments: the Temporal server's address and the task queue. The first line on standard input is JSON with
`settings` and `namespaces`; each further line is a number of seconds by which the clock is wrong from then
on. The worker runs until standard input ends, and then prints, as JSON, how often it met which error.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import aiobotocore.session
import botocore.auth
import psycopg
import redis.asyncio
import temporal_payloads_azure_blob._open
import temporal_payloads_gcs._open
from support.storm.voyages import ACTIVITIES, WORKFLOWS
from temporal_payloads import PayloadSettings, PayloadsPlugin
from temporal_payloads.plugin import StorageError
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

CACHED_WORKFLOWS = 40
"""Well below what runs: workflows are read from their histories again and again, payloads and all."""
IMPORTED_BEFOREHAND = (
    aiobotocore.session,
    psycopg,
    redis.asyncio,
    temporal_payloads_azure_blob._open,
    temporal_payloads_gcs._open,
)
"""So that a busy machine does not spend `storage.timeout` on importing them."""
START_SECONDS = 180
END_SECONDS = 90
TELL_SECONDS = 1
RUNNING = b"running\n"
ERRORS = b"errors "
WAITS_FOR = "What this process waits for:"


class WorkerProcess:
    """A worker in a process of its own, started again when it ends by itself.

    A worker that finds its store away when it starts does not start; whoever deploys it starts it again.
    """

    def __init__(self, address: str, task_queue: str, configuration: dict[str, Any], log_file: Path) -> None:
        self._arguments = (address, task_queue)
        self._configuration = json.dumps(configuration).encode() + b"\n"
        self._log_file = log_file
        self._process: asyncio.subprocess.Process | None = None
        self._kept: asyncio.Task[None] | None = None
        self._running = asyncio.Event()
        self._wanted = False
        self._clock = 0
        self.errors: Counter[str] = Counter()
        """What its processes met, by the type of the error; without those of processes that were killed."""

    @property
    def pid(self) -> int | None:
        """The id of the process, or None while there is none."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def __aenter__(self) -> Self:
        self.start()
        async with asyncio.timeout(START_SECONDS):
            await self._running.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._wanted = False
        if self._kept is None:
            return
        if self._process and self._process.stdin:
            self._process.stdin.close()
        try:
            ended, _late = await asyncio.wait([self._kept], timeout=END_SECONDS)
            if not ended:
                raise TimeoutError(f"A worker did not end within {END_SECONDS} s.\n{await self._waits_for()}")
        finally:
            await self.kill()

    async def _waits_for(self) -> str:
        """Return what the process says it waits for; nothing if it says nothing."""
        if self._process:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGUSR1)
        await asyncio.sleep(TELL_SECONDS)  # it cannot be seen whether that is all
        return "".join(self._log_file.read_text(errors="replace").rpartition(WAITS_FOR)[1:])

    def start(self) -> None:
        """Start the process, and keep it running."""
        self._wanted = True
        self._kept = asyncio.create_task(self._keep())

    async def kill(self) -> None:
        """Kill the process, and leave it dead."""
        self._wanted = False
        if self._process:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
        if self._kept:
            await self._kept
            self._kept = None

    async def set_clock(self, seconds: int) -> None:
        """Set the clock wrong by so many seconds, or right with 0."""
        self._clock = seconds
        if self._process and self._process.stdin:
            with suppress(OSError):
                await self._tell_clock(self._process.stdin)

    async def _tell_clock(self, stdin: asyncio.StreamWriter) -> None:
        stdin.write(f"{self._clock}\n".encode())
        await stdin.drain()

    async def _keep(self) -> None:
        while self._wanted:
            with self._log_file.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "support.storm.worker", *self._arguments),
                    cwd=Path(__file__).parents[2],
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                )
            assert self._process.stdin
            assert self._process.stdout
            with suppress(OSError):
                self._process.stdin.write(self._configuration)
                await self._tell_clock(self._process.stdin)
            while line := await self._process.stdout.readline():
                if line == RUNNING:
                    self._running.set()
                elif line.startswith(ERRORS):
                    self.errors.update(json.loads(line.removeprefix(ERRORS)))
                # The SDK's core writes its log there as well.
            await self._process.wait()


class _Errors(logging.Handler):
    """Counts the errors of this project that the log tells of."""

    def __init__(self) -> None:
        super().__init__()
        self.met: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        while error is not None and not isinstance(error, StorageError):
            error = error.__cause__
        if error is not None and error.type:
            self.met[error.type] += 1


class _Clock:
    """What the Python code of this process takes for the time: KMS and S3 requests are signed with it.

    The SDK's core has a clock of its own, as it would have on a machine whose clock is right.
    """

    def __init__(self) -> None:
        self.wrong_by = 0
        signing: Any = botocore.auth
        real_time, real_now = time.time, signing.get_current_datetime
        time.time = lambda: real_time() + self.wrong_by
        signing.get_current_datetime = lambda *given, **named: (
            real_now(*given, **named) + timedelta(seconds=self.wrong_by)
        )


async def _listen(clock: _Clock) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        clock.wrong_by = int(line)


def _tell_what_is_waited_for() -> None:
    sys.stderr.write(f"{WAITS_FOR}\n")
    for task in asyncio.all_tasks():
        task.print_stack(file=sys.stderr)
    faulthandler.dump_traceback(sys.stderr)


async def _worker(address: str, task_queue: str, namespace: str, settings: PayloadSettings) -> Worker:
    client = await Client.connect(address, namespace=namespace, plugins=[PayloadsPlugin(settings)])
    return Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        # The sandbox is not what is tried here, and would take most of the processors' time.
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=CACHED_WORKFLOWS,
        # So soon another worker takes over what a killed one has in its cache.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        graceful_shutdown_timeout=timedelta(seconds=5),
    )


async def _tell_when_running(workers: list[Worker]) -> None:
    while not all(worker.is_running for worker in workers):  # noqa: ASYNC110  # the SDK has no event for it
        await asyncio.sleep(0.05)
    sys.stdout.buffer.write(RUNNING)
    sys.stdout.flush()


async def main(address: str, task_queue: str) -> None:
    """Run until standard input ends."""
    configuration = json.loads(sys.stdin.readline())
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _tell_what_is_waited_for)
    clock, errors = _Clock(), _Errors()
    # Tracebacks of thousands of errors say no more than that of one; the counts are kept.
    written = logging.StreamHandler()
    written.setFormatter(_OneLine("%(asctime)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[written, errors])
    settings = PayloadSettings.model_validate(configuration["settings"])
    workers = [
        await _worker(address, task_queue, namespace, settings) for namespace in configuration["namespaces"]
    ]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    listening = asyncio.create_task(_listen(clock))
    telling = asyncio.create_task(_tell_when_running(workers))
    await asyncio.wait([*running, listening], return_when=asyncio.FIRST_COMPLETED)
    if not listening.done():
        # A worker has ended: it could not be started. Another process is to try again.
        sys.stderr.flush()
        os._exit(1)  # the thread that reads standard input would keep the process alive
    telling.cancel()
    await asyncio.gather(*(worker.shutdown() for worker in workers))
    await asyncio.gather(*running)
    sys.stdout.buffer.write(ERRORS + json.dumps(errors.met).encode() + b"\n")


class _OneLine(logging.Formatter):
    def formatException(self, ei: Any) -> str:  # noqa: N802  # logging's name
        return f"{type(ei[1]).__name__}: {ei[1]}"


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
