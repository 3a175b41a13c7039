"""Fixtures for core's tests: a clean environment, fake installed distributions, and a store in memory."""

import asyncio
import importlib
import os
import sys
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from temporal_payloads.plugin import (
    ClaimRejectedError,
    ConfinedClaim,
    ContentAddressedDriver,
    DriverPlugin,
    PluginRegistry,
    StorageUnavailableError,
    hookimpl,
)
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

DISTRIBUTIONS = Path(__file__).parent / "distributions"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    """No settings of the machine get into a test, and none of a test get out of it."""
    for name in os.environ:
        if name.upper().startswith(("TEMPORAL", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("temporal_payloads._settings.provenance._announced", set())
    monkeypatch.setattr("temporal_payloads._build.codecs._warned_of", set())


@pytest.fixture
async def leaping_clock():
    """Let the event loop wait for nothing: its clock, which circuits go by too, leaps to what comes next.

    So nothing takes longer than it says, however busy the machine is. It is for tests that use no threads and
    no network: while it waited for those alone, time would not go by.
    """
    loop: Any = asyncio.get_running_loop()
    now, select = 0.0, loop._selector.select

    def select_and_leap(timeout=None):
        nonlocal now
        if timeout is None:
            return select()
        events = select(0)
        if not events:
            now += max(timeout, 0) + 1e-9  # whatever the sum of two floats is, the time has come
        return events

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "time", lambda: now)
        patch.setattr(loop._selector, "select", select_and_leap)
        clock = SimpleNamespace(monotonic=loop.time, strftime=time.strftime)
        patch.setattr("temporal_payloads._storage.circuit.time", clock)
        yield clock


@pytest.fixture
def write_settings(tmp_path):
    """Write the settings file of the working directory."""

    def write(text, name="temporal-payloads.toml"):
        file = tmp_path / name
        file.write_text(dedent(text), encoding="utf-8")
        return file

    return write


@pytest.fixture
def set_variables(monkeypatch):
    """Set variables by the part of their names after our prefix."""

    def set_them(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"TEMPORAL_PAYLOADS_{name}", value)

    return set_them


@pytest.fixture
def install(monkeypatch):
    """Install some of the fake distributions in `distributions/`."""
    known = set(sys.modules)

    def put_on_path(*names):
        for name in names:
            monkeypatch.syspath_prepend(DISTRIBUTIONS / name)
        importlib.invalidate_caches()

    yield put_on_path
    for name in set(sys.modules) - known:
        if (file := getattr(sys.modules[name], "__file__", None)) and Path(file).is_relative_to(
            DISTRIBUTIONS
        ):
            del sys.modules[name]


class MemorySettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    shelf: str = Field("main", min_length=1, description="Which part of the store; keys begin with it.")
    password: SecretStr | None = Field(None, description="Nobody asks for it.")
    max_payload_size: int = Field(1024 * 1024 * 50, gt=0, description="Largest payload that is stored.")
    ttl: int | None = Field(None, description="Seconds after which payloads are said to expire.")


class Store:
    """What a server would be: it outlives the clients, and counts them."""

    def __init__(self):
        self.items = {}
        self.opened = self.open_now = self.writes = self.reads = 0
        self.shelves_opened = []
        self.shelves_asked = []
        """The shelf of each call that was to read."""
        self.on_opening = lambda: None
        self.fail_opening = None
        self.fail_writing = None
        self.fail_reading = None
        self.fail_closing = None
        self.shelves_down = set()
        """The shelves that cannot be used now."""
        self.shelves_frozen = set()
        """The shelves that take what they are given and never answer."""
        self.on_writing = lambda shelf, items: None
        """Called with what is to be written; may raise."""
        self.closing = None
        """Set to an `asyncio.Event` to hold up whoever closes."""
        self.gate = None
        """Set to an `asyncio.Event` to hold up whoever writes or reads."""
        self.arrived = None
        """Set to an `asyncio.Event` that tells when somebody is held up."""

    async def wait(self):
        if self.gate is not None:
            if self.arrived is not None:
                self.arrived.set()
            await self.gate.wait()


class MemoryDriver(ContentAddressedDriver):
    def __init__(self, store, settings, name):
        super().__init__(driver_name=name, max_payload_size=settings.max_payload_size)
        self.store_behind = store
        self.shelf = settings.shelf
        self.loop = asyncio.get_running_loop()

    def type(self):
        return "memory"

    def key_for(self, target, sha256):
        return f"{self.shelf}/{target.namespace if target else ''}/{sha256}"

    async def write(self, items):
        assert asyncio.get_running_loop() is self.loop
        self.store_behind.writes += 1
        await self.store_behind.wait()
        await self.answer()
        self.store_behind.on_writing(self.shelf, items)
        if self.store_behind.fail_writing:
            raise self.store_behind.fail_writing
        for key, data in items.items():
            self.store_behind.items.setdefault(key, data)

    async def read(self, keys):
        assert asyncio.get_running_loop() is self.loop
        self.store_behind.reads += 1
        self.store_behind.shelves_asked.append(self.shelf)
        await self.store_behind.wait()
        await self.answer()
        if self.store_behind.fail_reading:
            raise self.store_behind.fail_reading
        return [self.store_behind.items.get(key) for key in keys]

    async def check(self):
        await self.store_behind.wait()
        if self.store_behind.fail_reading:
            raise self.store_behind.fail_reading
        await self.answer()

    async def answer(self):
        if self.shelf in self.store_behind.shelves_frozen:
            await asyncio.Event().wait()
        if self.shelf in self.store_behind.shelves_down:
            raise StorageUnavailableError(f"the shelf {self.shelf} is down")


class MemoryPlugin:
    """A driver plugin whose store is an object in this process."""

    retries = True
    """As the S3 and Redis plugins have it: core calls the driver once."""

    def __init__(self):
        self.store = Store()

    @hookimpl
    def temporal_payloads_driver(self):
        return DriverPlugin(
            api_version=1,
            settings=MemorySettings,
            driver_type="memory",
            driver_name="example.memory",
            open=self.open,
            confine=self.confine,
            expiry=lambda settings: settings.ttl and timedelta(seconds=settings.ttl),
            retries=self.retries,
        )

    @asynccontextmanager
    async def open(self, settings, context):
        self.store.opened += 1
        self.store.shelves_opened.append(settings.shelf)
        self.store.on_opening()
        if self.store.fail_opening:
            raise self.store.fail_opening
        self.store.open_now += 1
        try:
            await asyncio.sleep(0)
            yield MemoryDriver(self.store, settings, context.name)
        finally:
            if self.store.closing is not None:
                await self.store.closing.wait()
            self.store.open_now -= 1
            if self.store.fail_closing:
                raise self.store.fail_closing

    @staticmethod
    def confine(settings, claim):
        data = claim.claim_data
        shelf, _, rest = data.get("key", "").partition("/")
        namespace, _, sha256 = rest.rpartition("/")
        if (
            shelf != settings.shelf
            or "/" in namespace
            or len(sha256) != 64
            or sha256 != data.get("hash_value")
            or data.get("hash_algorithm") != "sha256"
        ):
            raise ClaimRejectedError("The claim lies outside this shelf")
        canonical = {name: data[name] for name in ("key", "hash_algorithm", "hash_value")}
        return ConfinedClaim(
            claim=StorageDriverClaim(claim_data=canonical), sha256=sha256, namespace=namespace or None
        )


@pytest.fixture
def memory():
    return MemoryPlugin()


@pytest.fixture
def store(memory):
    return memory.store


@pytest.fixture
def registry(memory):
    """A registry that has the driver `memory`, registered in code."""
    registry = PluginRegistry()
    registry.register_driver("memory", memory)
    return registry


@pytest.fixture
def make_payload():
    def make(size=100, seed="a", encoding=b"json/plain"):
        return Payload(metadata={"encoding": encoding}, data=(seed * size).encode()[:size])

    return make


@pytest.fixture
def store_context():
    return StorageDriverStoreContext(
        target=StorageDriverWorkflowInfo(namespace="orders", id="w", run_id="r", type="Order")
    )


@pytest.fixture
def retrieve_context():
    return StorageDriverRetrieveContext()
