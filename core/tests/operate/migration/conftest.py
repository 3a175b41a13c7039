"""Two stores, namespaces that say what they are told, and migrations between the stores."""

import itertools
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import build
from temporal_payloads._operate.collection.namespace import Namespace
from temporal_payloads._operate.collection.schedules import ScheduleNow
from temporal_payloads._operate.collection.stores import stores_open
from temporal_payloads._operate.holders import Holder
from temporal_payloads._operate.migration.migration import Migration
from temporal_payloads._operate.migration.move import move_between
from temporal_payloads._operate.needs import Needs
from temporal_payloads._operate.recorded import RecordedReference
from temporal_payloads._storage.memory_driver import _stores
from temporal_payloads._storage.references import Reference
from temporal_payloads.plugin import PluginRegistry
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

_numbers = itertools.count()


class Histories(Namespace):
    """Stands for a server that says what it is told; what a real one does is tested with one."""

    def __init__(self, name):
        self._name = name
        self.runs = {}
        self.scheduled = {}
        """By the ids of schedules: the workflows of their last actions."""
        self.others = []
        """Namespaces of the same server."""
        self.read = []
        """Ids of what was read."""

    @property
    def name(self):
        return self._name

    async def neighbours(self):
        return [self._name, *self.others]

    def run(self, workflow_id, *references, hashes=(), running=False):
        closed = None if running else datetime(2026, 6, 1, tzinfo=UTC)
        status = "RUNNING" if running else "COMPLETED"
        holder = Holder("workflow", self._name, workflow_id, "run", status, None, closed, 11)
        self.runs[workflow_id] = (holder, Needs(set(references), set(hashes)))

    async def schedules(self):
        for schedule_id in self.scheduled:
            yield Holder("schedule", self._name, schedule_id)

    async def describe(self, schedule_id):
        return ScheduleNow(frozenset({schedule_id}), frozenset(self.scheduled[schedule_id]), whole=True)

    async def executions(self):
        for holder, _needs in list(self.runs.values()):
            yield holder

    async def needs_of(self, holder):
        self.read.append(holder.id)
        return self.runs[holder.id][1] if holder.kind == "workflow" else Needs()


class World:
    """Settings with two stores, `old` and `new`."""

    def __init__(self, state):
        self.number = next(_numbers)
        self.registry = PluginRegistry()
        self.namespaces = {"orders": Histories("orders")}
        self.old = {**self.shelf("old"), "moved_to": "new"}
        self.new = self.shelf("new")
        self.others = {}
        self.storage = {}
        self.gc = {"state": state}
        self.payloads = {}
        """By their references."""

    def shelf(self, name):
        return {"type": "memory", "store": f"{name}-{self.number}"}

    def items(self, name):
        """What a store has, by key."""
        store = _stores.get(f"{name}-{self.number}")
        return {} if store is None else {key: kept.data for key, kept in store._payloads.items()}

    def lose(self, name, reference):
        del _stores[f"{name}-{self.number}"]._payloads[dict(reference.claim_data)["key"]]

    def damage(self, name, key, data=b"damaged"):
        store = _stores[f"{name}-{self.number}"]
        store._payloads[key] = store._kept(data)

    @property
    def orders(self):
        return self.namespaces["orders"]

    def assembly(self, **changes):
        drivers = {"old": self.old, "new": self.new, **self.others, **changes}
        storage = {"driver": "new", "drivers": drivers, "cache": {"max_size": 0}, **self.storage}
        return build(PayloadSettings(storage=storage, gc=self.gc), registry=self.registry)

    async def store(self, text, *, workflow_id="w", namespace="orders", driver="old"):
        """Store a payload as a worker did before anything was moved; return its reference."""
        payload = Payload(metadata={"encoding": b"json/plain"}, data=text.encode())
        target = StorageDriverWorkflowInfo(namespace=namespace, id=workflow_id, run_id="run", type="T")
        table = self.others[driver] if driver in self.others else getattr(self, driver)
        before = {name: value for name, value in table.items() if name != "moved_to"}
        managed = self.assembly(**{driver: before}).drivers[driver]
        context = StorageDriverStoreContext(target=target if namespace else None)
        [claim] = await managed.store(context, [payload])
        reference = RecordedReference.of(Reference(managed.name(), claim, payload.ByteSize()))
        self.payloads[reference] = payload
        return reference

    async def read(self, reference, **changes):
        """Read a payload as a worker does now."""
        managed = self.assembly(**changes).drivers[reference.driver_name]
        [payload] = await managed.retrieve(StorageDriverRetrieveContext(), [reference.claim])
        assert payload == self.payloads[reference]

    @asynccontextmanager
    async def migration(self, source="old", destination="new", *, copies=True, **options):
        assembly = self.assembly()
        async with stores_open(assembly) as stores:
            yield Migration(
                assembly,
                stores,
                move_between(assembly, source, destination, copies=copies),
                self.namespaces,
                **{"pauses": (), **options},
            )

    async def copy(self, *, everything=False, **options):
        async with self.migration(**options) as migration:
            return await migration.copy(everything=everything)

    async def verify(self, *, everything=False, **options):
        async with self.migration(copies=False, **options) as migration:
            return await migration.verify(everything=everything)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "state")
