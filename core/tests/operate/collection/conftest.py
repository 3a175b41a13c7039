"""A store whose payloads have ages, namespaces that say what they are told, and a clock that is set."""

import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import build
from temporal_payloads._operate.collection.collector import Collector
from temporal_payloads._operate.collection.lease import EXPIRES
from temporal_payloads._operate.collection.namespace import Namespace
from temporal_payloads._operate.collection.owners import Owner
from temporal_payloads._operate.collection.schedules import ScheduleNow
from temporal_payloads._operate.collection.state import DirectoryState, Files
from temporal_payloads._operate.collection.stores import stores_open
from temporal_payloads._operate.holders import Holder
from temporal_payloads._operate.needs import Needs
from temporal_payloads._operate.recorded import RecordedReference
from temporal_payloads._storage.references import Reference
from temporal_payloads.plugin import (
    CollectableDriver,
    ContentAddressedDriver,
    DriverPlugin,
    KeyLayout,
    ListedPage,
    ListedPayload,
    PluginRegistry,
    hookimpl,
)
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)
from temporalio.service import RPCError, RPCStatusCode

GRACE = timedelta(days=7)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Clock:
    def __init__(self):
        self.now = datetime(2026, 6, 1, tzinfo=UTC)

    def __call__(self):
        return self.now

    def advance(self, by):
        self.now += by


@dataclass
class Item:
    data: bytes
    stored: datetime
    tag: int
    aside: bool = False


class Shelf:
    """A store, and what is to happen at certain moments in it."""

    def __init__(self, clock):
        self.clock = clock
        self.items = {}
        self.files = {}
        self.changes = []
        """All changes that were asked for: what, and which key."""
        self.before = {}
        """By method: called with the payloads before the change is made."""
        self.on_operation = lambda: None
        """Called before each operation on payloads or files."""
        self.tells_age = True
        self.why_not = None
        self.probe_fails = None
        self.probes = 0
        self.parts = 1
        self.asked_for = []
        """The namespaces whose parts were asked for, each time."""
        self.locked = set()
        """Keys of what may not be changed."""
        self.aside_looks_missing = False
        self._tags = 0

    def put(self, key, data, *, aside=False):
        self._tags += 1
        self.items[key] = Item(data, self.clock(), self._tags, aside)

    def keys(self, *, aside=None):
        return {key for key, item in self.items.items() if aside in (None, item.aside)}


class ShelfSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = "shelf"


class ShelfDriver(ContentAddressedDriver, CollectableDriver):
    def __init__(self, shelf, layout, name):
        super().__init__(driver_name=name, layout=layout)
        self._shelf = shelf

    def type(self):
        return "shelf"

    async def write(self, items):
        for key, data in items.items():
            if key not in self._shelf.items or self._shelf.items[key].aside:
                self._shelf.put(key, data)

    async def read(self, keys):
        return [item.data if (item := self._shelf.items.get(key)) else None for key in keys]

    def claim_for(self, namespace, sha256):
        target = StorageDriverWorkflowInfo(namespace=namespace) if namespace else None
        return self._layout.claim(self._layout.write(target, sha256), sha256)

    def shards(self, namespaces):
        self._shelf.asked_for.append(list(namespaces))
        return [str(number) for number in range(self._shelf.parts)]

    async def list_payloads(self, shard):
        if "list" in self._shelf.before:
            await self._shelf.before["list"](shard)
        for key, item in list(self._shelf.items.items()):
            parsed = self._layout.read(key)
            if parsed is None:
                yield ListedPage(payloads=[], others=1)
            elif hash(key) % self._shelf.parts == int(shard):
                yield ListedPage(
                    payloads=[
                        ListedPayload(
                            claim=self._layout.claim(key, parsed.sha256),
                            key=parsed,
                            size=len(item.data),
                            tag=str(item.tag),
                            stored=item.stored if self._shelf.tells_age else None,
                            aside=item.aside,
                        )
                    ]
                )

    async def probe(self):
        self._shelf.probes += 1
        if self._shelf.probe_fails:
            raise self._shelf.probe_fails

    async def aside_looks_missing(self, namespaces):
        return self._shelf.aside_looks_missing

    async def put_aside(self, payloads, *, grace):
        return await self._change("put_aside", payloads)

    async def restore(self, payloads):
        return await self._change("restore", payloads)

    async def delete(self, payloads):
        return await self._change("delete", payloads)

    async def _change(self, what, payloads):
        self._shelf.on_operation()
        if what in self._shelf.before:
            await self._shelf.before[what](payloads)
        changes = []
        for payload in payloads:
            key = payload.claim.claim_data["key"]
            self._shelf.changes.append((what, key))
            item = self._shelf.items.get(key)
            if key in self._shelf.locked:
                changes.append("refused")
            elif item is None:
                changes.append("gone")
            elif str(item.tag) != payload.tag or item.aside is (what == "put_aside"):
                changes.append("changed")
            else:
                if what == "delete":
                    del self._shelf.items[key]
                else:
                    self._shelf.put(key, item.data, aside=what == "put_aside")
                changes.append("done")
        return changes

    def state(self):
        return ShelfState(self._shelf)

    def why_not_collected(self):
        return self._shelf.why_not


class ShelfState:
    def __init__(self, shelf):
        self._shelf = shelf

    async def read(self, name):
        self._shelf.on_operation()
        return self._shelf.files.get(name)

    async def write(self, name, data):
        self._shelf.on_operation()
        self._shelf.files[name] = data

    async def names(self, prefix):
        return sorted(name for name in self._shelf.files if name.startswith(prefix))

    async def remove(self, name):
        self._shelf.on_operation()
        self._shelf.files.pop(name, None)


class ShelfPlugin:
    def __init__(self, clock):
        self.clock = clock
        self.shelves = {}
        self.heard = []

    def shelf(self, name="shelf"):
        return self.shelves.setdefault(name, Shelf(self.clock))

    @staticmethod
    def layout(settings):
        return KeyLayout(f"{settings.name}/", max_length=1024)

    @hookimpl
    def temporal_payloads_driver(self):
        return DriverPlugin(
            api_version=1,
            settings=ShelfSettings,
            driver_type="shelf",
            driver_name="shelf",
            open=self.open,
            confine=lambda settings, claim: self.layout(settings).confine(claim),
            retries=True,
        )

    @hookimpl
    def temporal_payloads_collection_event(self, event):
        self.heard.append(event)

    @asynccontextmanager
    async def open(self, settings, context):
        yield ShelfDriver(self.shelf(settings.name), self.layout(settings), context.name)


@dataclass
class Run:
    """What a namespace holds, as a server would list it."""

    holder: Holder
    references: list[RecordedReference]
    hashes: list[str] = field(default_factory=list)
    gap: str | None = None
    error: RPCStatusCode | None = None


class FakeNamespace(Namespace):
    """Stands for a server that says, and fails, as told; what a real one does is tested with one."""

    def __init__(self, name, clock):
        self._name = name
        self.namespace_id = f"id-{name}"
        self.cluster = "cluster"
        self.address = "localhost:7233"
        self.retention = timedelta(days=30)
        self._clock = clock
        self.runs: dict[tuple[str, str, str], Run] = {}
        self.described: dict[str, list[str]] = {}
        self.taken_in: dict[str, tuple[str, datetime]] = {}
        """How workflows of schedules ended first, as their schedule has taken it in, and when they began."""
        self.not_taken_in: set[str] = set()
        """Workflows whose end their schedule does not take in: as the old scheduler's, with `ALLOW_ALL`."""
        self.read: list[str] = []
        """Ids of what was read."""
        self.looked_up: list[str] = []
        """Ids of what was asked about, because it was not listed any more."""
        self.looking_up_fails = None
        self.hidden: set[str] = set()
        """Ids of what is there, and not listed."""
        self.fail_listing = False
        self.describing_fails = None
        self.on_reading: Any = None

    @property
    def name(self):
        return self._name

    async def owner(self):
        return Owner(self._name, self.namespace_id, self.retention, self.cluster, self.address)

    def run(self, workflow_id, *references, status="COMPLETED", run_id="run", kind="workflow", **more):
        """Let there be a run, an activity or a schedule that needs these."""
        ended = None if status == "RUNNING" or kind == "schedule" else self._clock() - HOUR
        closed = more.pop("closed", ended)
        began = (closed or self._clock()) - HOUR
        holder = Holder(
            kind,
            self._name,
            workflow_id,
            "" if kind == "schedule" else run_id,
            status=status,
            start_time=began,
            close_time=closed,
            history_length=more.pop("length", 11),
            scheduled_by=more.pop("scheduled_by", ""),
        )
        run = Run(holder, list(references), **more)
        self.runs[kind, workflow_id, holder.run_id] = run
        known = self.taken_in.get(workflow_id, ("RUNNING", began))
        if holder.scheduled_by and known[0] == "RUNNING":
            self.taken_in[workflow_id] = (status, known[1])
        return run

    def schedule(self, schedule_id, *references, recent=(), action=None):
        self.described[schedule_id] = list(recent)
        return self.run(schedule_id, *references, kind="schedule", status=action or schedule_id)

    def delete(self, workflow_id, run_id="run", kind="workflow"):
        del self.runs[kind, workflow_id, "" if kind == "schedule" else run_id]

    async def schedules(self):
        for run in list(self.runs.values()):
            if run.holder.kind == "schedule" and run.holder.id not in self.hidden:
                yield run.holder

    async def executions(self):
        for run in list(self.runs.values()):
            if run.holder.kind != "schedule" and run.holder.id not in self.hidden:
                yield run.holder
        if self.fail_listing:
            raise RPCError("told to fail", RPCStatusCode.UNAVAILABLE, b"")

    async def look_up(self, holder):
        self.looked_up.append(holder.id)
        run = self.runs.get((holder.kind, holder.id, holder.run_id))
        if self.looking_up_fails or run is None:
            raise RPCError("told so", self.looking_up_fails or RPCStatusCode.NOT_FOUND, b"")
        return run.holder

    async def describe(self, schedule_id):
        if self.describing_fails or ("schedule", schedule_id, "") not in self.runs:
            raise RPCError("told so", self.describing_fails or RPCStatusCode.NOT_FOUND, b"")
        recent = frozenset(self.described[schedule_id])
        told = {one: self.taken_in[one] for one in recent if one in self.taken_in}
        return ScheduleNow(
            frozenset({self.runs["schedule", schedule_id, ""].holder.status}),
            recent,
            whole=len(recent) < 10,
            statuses={
                one: "RUNNING" if one in self.not_taken_in else status for one, (status, _) in told.items()
            },
            began={one: began for one, (_, began) in told.items()},
        )

    async def needs_of(self, holder):
        self.read.append(holder.id)
        if self.on_reading:
            await self.on_reading(holder)
        run = self.runs.get((holder.kind, holder.id, holder.run_id))
        if run is None:
            raise RPCError("not found", RPCStatusCode.NOT_FOUND, b"")
        if run.error:
            raise RPCError("told to fail", run.error, b"")
        needs = Needs(set(run.references), set(run.hashes))
        if run.gap:
            needs.gaps.miss(run.gap, "no way in", holder)
        return needs


class World:
    """A store, the namespaces that share it, and collections of it."""

    def __init__(self, tmp_path):
        self.clock = Clock()
        self.plugin = ShelfPlugin(self.clock)
        self.shelf = self.plugin.shelf()
        self.namespaces = {"orders": FakeNamespace("orders", self.clock)}
        self.retention: timedelta | None = timedelta(days=30)
        """Of all namespaces; None if each has its own."""
        self.settings: dict[str, Any] = {"storage": {"drivers": {"shelf": {}}}}
        self.gc: dict[str, Any] = {}
        self.work = tmp_path / "work"
        self.work.mkdir()
        self.state = tmp_path / "state"

    @property
    def orders(self):
        return self.namespaces["orders"]

    def also(self, name):
        """Let another namespace share the store."""
        return self.namespaces.setdefault(name, FakeNamespace(name, self.clock))

    def also_at(self, address, cluster="cluster"):
        """Let the first namespace be on another cluster too, under the same id."""
        other = FakeNamespace("orders", self.clock)
        other.address, other.cluster = address, cluster
        return self.namespaces.setdefault(f"orders at {address}", other)

    @asynccontextmanager
    async def assembly(self):
        registry = PluginRegistry()
        registry.register_driver("shelf", self.plugin)
        owners = [{"namespaces": sorted({each.name for each in self.namespaces.values()})}]
        settings = PayloadSettings(**self.settings, gc={"grace": GRACE, "owners": owners, **self.gc})
        yield build(settings, registry=registry)

    async def store(self, text, *, namespace="orders", workflow_id="w", run_id="run", driver="shelf"):
        """Store a payload as a worker does; return the reference that goes into a history."""
        payload = Payload(metadata={"encoding": b"json/plain"}, data=text.encode())
        target = StorageDriverWorkflowInfo(namespace=namespace, id=workflow_id, run_id=run_id, type="T")
        if workflow_id is None:  # as what moves payloads stores them
            target = StorageDriverWorkflowInfo(namespace=namespace)
        async with self.assembly() as assembly:
            managed = assembly.drivers[driver]
            context = StorageDriverStoreContext(target=target if namespace else None)
            [claim] = await managed.store(context, [payload])
        return RecordedReference.of(Reference(managed.name(), claim, len(payload.data)))

    @asynccontextmanager
    async def collector(self, **options):
        async with self.assembly() as assembly, stores_open(assembly) as stores:
            for namespace in self.namespaces.values():
                namespace.retention = namespace.retention if self.retention is None else self.retention
            yield Collector(
                stores,
                list(self.namespaces.values()),
                assembly.settings.gc,
                clock=self.clock,
                work=self.work,
                **options,
            )

    async def collect(self, purpose="collect", **options):
        """Do a whole collection; what is gone on with was killed a while ago."""
        if options.get("resume"):
            self.clock.advance(EXPIRES)
        async with self.collector() as collector:
            return await collector.collect(purpose, **options)

    def files(self):
        return Files(ShelfState(self.shelf))


def key_of(reference):
    return dict(reference.claim_data)["key"]


def sha256_of(reference):
    return dict(reference.claim_data)["hash_value"]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def directory_state(tmp_path):
    return DirectoryState(tmp_path / "state")


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()
