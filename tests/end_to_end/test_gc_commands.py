"""gc schedule and gc worker: what they tell a program, and when they do not begin."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.documents import shape_of, told_shape
from support.workers import new_id
from temporal_payloads._cli import main
from temporal_payloads._cli.gc import schedule, worker
from temporal_payloads._operate.collection.workflow import WORKFLOW_ID
from temporalio.client import Client

if TYPE_CHECKING:
    from pathlib import Path

    from local_servers import TemporalServer

PROBLEMS = {"error": {"type", "message"}, "problems": {"message", "place", "origin"}}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporal_server: TemporalServer) -> Path:
    """A store in a directory, owned by the default namespace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_server.address)
    (tmp_path / "temporal-payloads.toml").write_text("""
        [storage.drivers.filesystem]
        path = "payloads"
        [[gc.owners]]
        namespaces = ["default"]
    """)
    return tmp_path


async def test_what_gc_schedule_does_is_told_to_programs_too(
    settings: Path, capsys: pytest.CaptureFixture[str], temporal_server: TemporalServer
) -> None:
    client = await Client.connect(temporal_server.address)

    async def call(*arguments: str) -> dict[str, Any]:
        assert await asyncio.to_thread(main, ["gc", "schedule", "--task-queue", queue, *arguments]) == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    queue = new_id("gc")
    schedule_handle = client.get_schedule_handle(WORKFLOW_ID)
    begun = await call("--now", "--json")
    await client.get_workflow_handle(WORKFLOW_ID).terminate()
    made = await call("--every", "7d", "--json")
    try:
        changed = await call("--every", "12h", "--json")
        triggered = await call("--now", "--json")
        assert await asyncio.to_thread(main, ["gc", "schedule", "--every", "7d"]) == 0
        assert capsys.readouterr().out == f"Changed schedule {WORKFLOW_ID}: every 7d.\n"
    finally:
        # What it has begun waits for a worker of this test's queue, and nobody else takes it.
        await schedule_handle.delete()
    assert begun["workflow"]["id"] == WORKFLOW_ID
    of_schedule = {"id": WORKFLOW_ID, "done": "made", "every_seconds": 7 * 86400}
    assert made["schedule"] == of_schedule
    assert changed["schedule"] == of_schedule | {"done": "changed", "every_seconds": 12 * 3600}
    assert triggered["schedule"] == of_schedule | {"done": "triggered", "every_seconds": None}
    assert shape_of([made, begun]) | PROBLEMS == told_shape(schedule.EPILOG)


def start_worker() -> subprocess.Popen[str]:
    """Start a worker that tells a program when it takes collections."""
    command = [sys.executable, "-m", "temporal_payloads", "gc", "worker", "--json"]
    return subprocess.Popen([*command, "--task-queue", new_id("gc")], stdout=subprocess.PIPE, text=True)


def test_gc_worker_tells_a_program_when_it_takes_collections(settings: Path) -> None:
    process = start_worker()
    assert process.stdout is not None
    with process, process.stdout as output:
        lines = iter(output.readline, "}\n")
        told = json.loads("".join(lines) + "}")
        process.send_signal(signal.SIGTERM)
        assert output.read() == ""
    assert process.returncode == 0
    assert shape_of(told) | PROBLEMS == told_shape(worker.EPILOG)
    assert told["ok"]


def test_gc_worker_does_not_begin_without_a_store(settings: Path) -> None:
    (settings / "payloads").write_text("a file, where the store should be")
    process = start_worker()
    out, _ = process.communicate(timeout=120)
    told = json.loads(out)
    assert process.returncode == 3
    assert told["error"]["type"].startswith("Storage")
