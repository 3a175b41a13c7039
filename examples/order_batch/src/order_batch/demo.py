"""Everything in one command: servers, worker, one batch, and what became of its payloads."""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from local_servers.process import run_server, tail

from order_batch.connection import connect
from order_batch.models import OrderBatchRequest
from order_batch.report import say, show, step
from order_batch.services import run_services, use_free_ports
from order_batch.starter import Batch, run_batch

_SECONDS_BETWEEN_LOOKS = 0.2


class WorkerEndedError(RuntimeError):
    """The worker ended while it was needed; the message carries the end of its log."""


def run_demo(request: OrderBatchRequest, *, storage: str, keep: bool, as_json: bool) -> None:
    """Run the batch on servers of its own, and stop everything.

    Args:
        request: The batch.
        storage: The profile, which names the storage.
        keep: Serve the Web UI too, and wait for Ctrl-C before stopping.
        as_json: Print the batch for a machine.

    Raises:
        ServerStartError: A server or the worker did not start.
        WorkerEndedError: The worker ended too early.
        WorkflowFailureError: The batch failed.
    """
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="order-batch-")))
        use_free_ports(storage, directory)
        with step(f"Starting Temporal and the {storage} storage"):
            services = stack.enter_context(run_services(directory, ui=keep))
        worker_log = directory / "worker.log"
        with step("Starting the worker"):
            worker = stack.enter_context(_run_worker_process(worker_log, storage))
        with step(f"Running batch {request.batch_id} of {request.order_count} orders"):
            batch = asyncio.run(_run_watched(request, worker, worker_log))
        show(batch, as_json=as_json)
        if keep:
            say(f"Web UI: {services.ui_url}/namespaces/default/workflows/{batch.workflow_id}/{batch.run_id}")
            say(f"Codec server, through which the Web UI reads the payloads: {services.codec_server_url}")
            with contextlib.suppress(KeyboardInterrupt):
                say("Everything is kept running. Ctrl-C stops it.")
                worker.wait()
                raise WorkerEndedError(f"The worker ended.{tail(worker_log)}")
        # The servers take a moment; the result is there already.
        stack.enter_context(step("Stopping"))


@contextlib.contextmanager
def _run_worker_process(log_file: Path, storage: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Run `python -m order_batch worker`; it finds our ports through the environment."""

    def is_ready() -> None:
        log_file.read_text().index("The worker is up")

    command = [sys.executable, "-m", "order_batch", "worker", "--storage", storage]
    with run_server("The worker", command, log_file=log_file, is_ready=is_ready) as worker:
        yield worker


async def _run_watched(
    request: OrderBatchRequest, worker: "subprocess.Popen[bytes]", worker_log: Path
) -> Batch:
    """Run the batch, but do not wait for a worker that is gone."""
    batch = asyncio.ensure_future(run_batch(await connect(), request))
    while not batch.done():
        await asyncio.wait([batch], timeout=_SECONDS_BETWEEN_LOOKS)
        if worker.poll() is not None:
            raise WorkerEndedError(f"The worker ended before the batch did.{tail(worker_log)}")
    return await batch
