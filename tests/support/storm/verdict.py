"""What is left of every workflow when the storm is over: results, histories, and what these refer to."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support.storm.voyages import VoyageWorkflow
from temporal_payloads._operate.histories import payloads_in, reference_in
from temporal_payloads.plugin import KeyUnavailableError, StorageUnavailableError
from temporalio.client import WorkflowExecutionStatus
from temporalio.converter import StorageDriverRetrieveContext

if TYPE_CHECKING:
    from support.storm.deployment import Deployment
    from temporal_payloads._storage.references import Reference
    from temporalio.api.common.v1 import Payload
    from temporalio.client import Client, WorkflowExecution

GOOD_ENDS = {WorkflowExecutionStatus.COMPLETED, WorkflowExecutionStatus.CONTINUED_AS_NEW}
SETTLED_SECONDS = 60
"""How long the list of workflows may take to show that all were there and have ended."""
AT_ONCE = 8
TRIES = 5
"""Limits are so short here that a busy machine alone can miss them."""


@dataclass
class Findings:
    """What the histories hold."""

    histories: int = 0
    payloads: int = 0
    stored: int = 0
    """Payloads that lie in the store."""
    size: int = 0
    """Bytes of all payloads, as they were written."""
    lost: list[str] = field(default_factory=list)
    runs: Counter[str] = field(default_factory=Counter)
    """How many runs each workflow had."""


class HistoryCheck:
    """Reads every history and every payload that it has or refers to."""

    def __init__(self, deployment: Deployment) -> None:
        self._store = deployment.store
        self._clients = deployment.clients
        self._codec = deployment.converter.payload_codec
        storage = deployment.converter.external_storage
        assert self._codec
        assert storage
        self._drivers = {driver.name(): driver for driver in storage.drivers}
        self._seen: set[tuple[tuple[str, str], ...]] = set()
        self._found = Findings()

    async def run(self, rounds: int) -> Findings:
        """Return what was found, and what was not.

        Args:
            rounds: How many runs of voyages there must have been.
        """
        limit = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for client, execution in await self._ended(rounds):
                tasks.create_task(self._look_at(client, execution, limit))
        return self._found

    async def _ended(self, rounds: int) -> list[tuple[Client, WorkflowExecution]]:
        listed: list[tuple[Client, WorkflowExecution]] = []
        for _ in range(SETTLED_SECONDS):
            listed = [
                (client, execution)
                for client in self._clients.values()
                async for execution in client.list_workflows()
            ]
            executions = [execution for _, execution in listed]
            runs = sum(each.workflow_type == VoyageWorkflow.__name__ for each in executions)
            if runs >= rounds and WorkflowExecutionStatus.RUNNING not in {each.status for each in executions}:
                break
            await asyncio.sleep(1)
        return listed

    async def _look_at(self, client: Client, execution: WorkflowExecution, limit: asyncio.Semaphore) -> None:
        async with limit:
            name = f"{execution.id} ({execution.run_id})"
            if execution.workflow_type == VoyageWorkflow.__name__:
                self._found.runs[execution.id] += 1
            if execution.status not in GOOD_ENDS:
                self._found.lost.append(f"{name} has ended as {getattr(execution.status, 'name', None)}")
            history = await client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history()
            self._found.histories += 1
            for event in history.events:
                for payload in payloads_in(event):
                    try:
                        await self._read_patiently(payload)
                    except Exception as error:  # noqa: BLE001  # whatever it is: it cannot be read
                        self._found.lost.append(f"{name}, event {event.event_id}: {error!r}")

    async def _read_patiently(self, payload: Payload) -> None:
        for _ in range(TRIES):
            try:
                await self._read(payload)
            except (StorageUnavailableError, KeyUnavailableError):
                await asyncio.sleep(1)
            else:
                return
        await self._read(payload)

    async def _read(self, payload: Payload) -> None:
        assert self._codec
        reference = await reference_in(payload, self._codec)
        if reference is not None:
            payload = await self._retrieve(reference)
        else:
            self._found.payloads += 1
            self._found.size += payload.ByteSize()
        if payload.metadata["encoding"] != b"binary/encrypted":
            raise ValueError("it is not encrypted")
        [decoded] = await self._codec.decode([payload])
        if decoded.metadata["encoding"] != b"json/plain":
            raise ValueError(f"it is {decoded.metadata['encoding']!r} after decoding")

    async def _retrieve(self, reference: Reference) -> Payload:
        driver = self._drivers[reference.driver_name]
        [stored] = await driver.retrieve(StorageDriverRetrieveContext(), [reference.claim])
        claim: dict[str, Any] = dict(reference.claim.claim_data)
        if (key := tuple(sorted(claim.items()))) not in self._seen:
            self._seen.add(key)
            # Past the driver, which may have it in its cache.
            data = await asyncio.to_thread(self._store.read, claim)
            if hashlib.sha256(data).hexdigest() != claim["hash_value"]:
                raise ValueError(f"{claim} holds something else")
            self._found.payloads += 1
            self._found.stored += 1
            self._found.size += len(data)
        return stored
