"""A finished order batch, codec servers started by the command, and a browser."""

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest
from local_servers import MissingPartError, TemporalServer, start_s3, start_temporal
from local_servers.process import free_ports
from order_batch.activities import fetch_orders, process_orders
from order_batch.connection import connect
from order_batch.models import OrderBatchRequest
from order_batch.starter import Batch, run_batch
from order_batch.workflows import TASK_QUEUE, OrderBatchWorkflow
from playwright.sync_api import sync_playwright
from temporalio.worker import Worker

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / "examples" / "order_batch" / "temporal-payloads.toml"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    # Chromium's own sandbox and shared memory are not to be had in most containers.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
ORDERS = 200
LOG_SECONDS = 60


@dataclass(frozen=True)
class Stage:
    """A Temporal server with Web UI, on which one batch has run."""

    temporal: TemporalServer
    batch: Batch
    environment: dict[str, str]
    """For a process that is to find the storage."""
    codec_port: int
    """Where the Web UI was told that the codec server is."""

    @property
    def page(self) -> str:
        """The address of the batch's page."""
        path = f"namespaces/default/workflows/{self.batch.workflow_id}/{self.batch.run_id}/history"
        return f"{self.temporal.ui_url}/{path}"


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("stage")
    [codec_port] = free_ports(1)
    with contextlib.ExitStack() as stack:
        try:
            s3 = stack.enter_context(start_s3(directory))
            temporal = stack.enter_context(
                start_temporal(directory, ui=True, ui_codec_endpoint=f"http://127.0.0.1:{codec_port}")
            )
        except MissingPartError as error:
            _missing(str(error))
        s3.create_bucket("temporal-payloads")
        environment = {
            "TEMPORAL_PAYLOADS_CONFIG_FILE": str(SETTINGS),
            "TEMPORAL_PAYLOADS_PROFILE": "s3",
            "TEMPORAL_PAYLOADS_STORAGE__DRIVERS__S3__ENDPOINT_URL": s3.endpoint_url,
            "TEMPORAL_ADDRESS": temporal.address,
            # So small a payload as the batch's input would otherwise stay readable without us.
            "TEMPORAL_PAYLOADS_CODEC__GZIP__KEEP_IF_NOT_SMALLER": "false",
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            batch = asyncio.run(_run_batch())
        yield Stage(temporal, batch, environment, codec_port)


async def _run_batch() -> Batch:
    client = await connect()
    with ThreadPoolExecutor() as threads:
        worker = Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[OrderBatchWorkflow],
            activities=[fetch_orders, process_orders],
            activity_executor=threads,
        )
        async with worker:
            return await run_batch(client, OrderBatchRequest("browser", ORDERS))


class CodecServer:
    """The command `temporal-payloads codec-server`, running."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._log = log
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"https?://\S+", line)
        assert found, log.read_text()
        self.url = found[0]

    def requests(self, operation: str) -> list[str]:
        """The lines of the access log about an operation."""
        lines = self._log.read_text().splitlines()
        return [line for line in lines if " request " in line and f"operation={operation}" in line]

    def wait_for(self, text: str) -> None:
        """Wait until the log has it: the line about a request may come after the end of the answer."""
        deadline = time.monotonic() + LOG_SECONDS
        while text not in self.log:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    @property
    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture
def codec_server(stage: Stage, tmp_path: Path) -> Callable[..., AbstractContextManager[CodecServer]]:
    """Run the command with these `[codec_server]` settings, at a free port unless one is given."""
    return partial(_run_codec_server, stage, tmp_path)


@contextlib.contextmanager
def _run_codec_server(
    stage: Stage, directory: Path, *, port: int = 0, **variables: object
) -> Iterator[CodecServer]:
    environment = {**os.environ, **stage.environment}
    environment["TEMPORAL_PAYLOADS_CODEC_SERVER__ALLOWED_ORIGINS"] = stage.temporal.ui_url or ""
    for name, value in variables.items():
        environment[f"TEMPORAL_PAYLOADS_CODEC_SERVER__{name}"] = str(value)
    log = directory / "codec-server.log"
    command = [sys.executable, "-m", "temporal_payloads", "codec-server", "--port", str(port)]
    with log.open("w") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
    with process:
        try:
            yield CodecServer(process, log)
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.fixture
def browser() -> Iterator[Callable[..., Any]]:
    """Start Chromium without a window, which finds nothing but this machine; further flags may be given."""
    if not shutil.which(CHROMIUM):
        _missing("Chromium is not installed; run: apt-get install chromium")
    with contextlib.ExitStack() as stack:
        driver = stack.enter_context(sync_playwright())

        def start(*flags: str) -> Any:
            chromium = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
            stack.callback(chromium.close)
            return chromium

        yield start


@pytest.fixture
def screenshot_directory() -> Path:
    """Where screenshots go; git does not track it."""
    directory = ROOT / "screenshots"
    directory.mkdir(exist_ok=True)
    return directory


def _missing(message: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
