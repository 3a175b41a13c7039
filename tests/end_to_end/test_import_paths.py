"""A driver and a payload converter of an application's own, named by their import paths, in a worker."""

from __future__ import annotations

import hashlib
import importlib
from typing import TYPE_CHECKING

import pytest
from support.history import claim_of, driver_name, event_payloads, is_reference
from support.values import THRESHOLD, large
from support.workers import RUN_TIMEOUT, new_id, running_worker
from support.workflows import Echo
from temporal_payloads import PayloadSettings, PayloadsPlugin
from temporalio.client import Client

if TYPE_CHECKING:
    from pathlib import Path

    from local_servers import TemporalServer

MY_APP = """
import hashlib
from pathlib import Path

from temporal_payloads.plugin import ClaimRejectedError, ConfinedClaim
from temporalio.api.common.v1 import Payload
from temporalio.converter import DefaultPayloadConverter, StorageDriver, StorageDriverClaim

FOLDER = Path(__file__).parent / "payloads"


class FolderDriver(StorageDriver):
    def name(self):
        return "my-app.folder"

    async def store(self, context, payloads):
        return [self._store(context.target.namespace, payload) for payload in payloads]

    def _store(self, namespace, payload):
        data = payload.SerializeToString(deterministic=True)
        name = f"{namespace}.{hashlib.sha256(data).hexdigest()}"
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / name).write_bytes(data)
        return StorageDriverClaim(claim_data={"file": name})

    async def retrieve(self, context, claims):
        return [Payload.FromString((FOLDER / claim.claim_data["file"]).read_bytes()) for claim in claims]

    def confine(self, claim):
        namespace, _, sha256 = claim.claim_data.get("file", "").rpartition(".")
        if not namespace or "/" in namespace or len(sha256) != 64:
            raise ClaimRejectedError("The claim names no file of this driver's")
        return ConfinedClaim(claim=claim, sha256=sha256, namespace=namespace)


class MarkedConverter(DefaultPayloadConverter):
    sandbox_passthrough = ("my_worker_app",)

    def to_payloads(self, values):
        payloads = super().to_payloads(values)
        for payload in payloads:
            payload.metadata["made-by"] = b"my_worker_app"
        return payloads
"""


@pytest.fixture
def payloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the application on the path; return the folder in which its driver keeps payloads."""
    (tmp_path / "my_worker_app.py").write_text(MY_APP)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return tmp_path / "payloads"


async def test_a_worker_and_its_client_use_a_driver_and_a_converter_that_nobody_has_packaged(
    temporal_server: TemporalServer, payloads: Path
) -> None:
    settings = PayloadSettings.model_validate(
        {
            "payload_converter": "my_worker_app:MarkedConverter",
            "storage": {"threshold": THRESHOLD, "driver": "my_worker_app:FolderDriver"},
        }
    )
    client = await Client.connect(temporal_server.address, plugins=[PayloadsPlugin(settings)])
    async with running_worker(client) as task_queue:
        handle = await client.start_workflow(
            Echo.run, large("order"), id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )
        assert await handle.result() == large("order")
    found = event_payloads(await handle.fetch_history())
    references = [
        *found["workflow_execution_started.input"],
        *found["activity_task_completed.result"],
        *found["workflow_execution_completed.result"],
    ]
    assert all(map(is_reference, references))
    assert {driver_name(reference) for reference in references} == {"my-app.folder"}
    for reference in references:
        stored = (payloads / claim_of(reference)["file"]).read_bytes()
        assert hashlib.sha256(stored).hexdigest() in claim_of(reference)["file"]
        assert b"my_worker_app" in stored
