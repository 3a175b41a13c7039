"""How users call the API. Nothing here runs: mypy checks that it may be called so, and not otherwise."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import assert_type

from pydantic import BaseModel
from temporal_payloads import (
    ConfigurationError,
    PayloadsError,
    PayloadSettings,
    PayloadsPlugin,
    PluginConflictError,
    PluginLoadError,
    Problem,
    UnknownPluginError,
    build_data_converter,
    open_data_converter,
)
from temporal_payloads.observability import METRICS, Metric, prometheus_buckets
from temporal_payloads.plugin import (
    ByteSize,
    CircuitEvent,
    ClaimRejectedError,
    CodecEvent,
    CodecPlugin,
    CollectionEvent,
    ConfinedClaim,
    ContentAddressedDriver,
    DriverContext,
    DriverPlugin,
    Duration,
    InlineEvent,
    PayloadConverterPlugin,
    PayloadIntegrityError,
    PerPayloadCodec,
    PluginRegistry,
    StorageError,
    StorageEvent,
    gather_bounded,
    hookimpl,
    renewed_after_fork,
    run_off_loop,
)
from temporal_payloads.testing import (
    TEST_KEY,
    CodecConformance,
    DriverConformance,
    PayloadConverterConformance,
    PayloadsInMemory,
    assert_nothing_exceeds,
    assert_offloaded,
    assert_references_resolve,
)
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultPayloadConverter,
    PayloadConverter,
    StorageDriver,
    StorageDriverClaim,
)
from temporalio.exceptions import ApplicationError
from temporalio.runtime import PrometheusConfig
from temporalio.worker import Replayer, Worker

# -- converters

assert_type(build_data_converter(), DataConverter)
assert_type(build_data_converter(PayloadSettings.load(), base=pydantic_data_converter), DataConverter)
assert_type(build_data_converter(registry=PluginRegistry(), required=True), DataConverter)
build_data_converter("temporal-payloads.toml")  # type: ignore[arg-type]
build_data_converter(None, pydantic_data_converter)  # type: ignore[call-arg]


async def with_open_drivers() -> None:
    async with open_data_converter(PayloadSettings(), base=pydantic_data_converter) as converter:
        assert_type(converter, DataConverter)
        await Client.connect("localhost:7233", data_converter=converter)


async def with_the_sdk_plugin(client: Client) -> None:
    plugin = PayloadsPlugin(PayloadSettings.load(), registry=PluginRegistry())
    await Client.connect("localhost:7233", plugins=[plugin])
    Worker(client, task_queue="q", plugins=[plugin])
    Replayer(workflows=[], plugins=[plugin])


# -- settings

assert_type(PayloadSettings.load(), PayloadSettings)
assert_type(PayloadSettings.load("payloads.toml", "dev"), PayloadSettings)
assert_type(PayloadSettings.load(file=Path("payloads.toml"), profile=None), PayloadSettings)
assert_type(PayloadSettings.load(required=True), PayloadSettings)
PayloadSettings.load("payloads.toml", "dev", True)  # type: ignore[call-arg]
PayloadSettings.load(3)  # type: ignore[arg-type]


class OwnSettings(PayloadSettings):
    team: str = ""


assert_type(OwnSettings.load(), OwnSettings)


def what_is_wrong() -> list[str]:
    try:
        PayloadSettings.load()
    except (UnknownPluginError, PluginConflictError, PluginLoadError) as error:
        assert_type(error.problems, tuple[Problem, ...])
    except ConfigurationError as error:
        return [f"{problem.place}: {problem.message} ({problem.origin})" for problem in error.problems]
    except PayloadsError:
        pass
    return []


# -- a driver plugin


class ShelfSettings(BaseModel):
    room: str
    board: ByteSize = ByteSize(0)
    patience: Duration = timedelta(seconds=1)


class Counter:
    def __init__(self) -> None:
        self.renew_after_fork()
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        self.lock = threading.Lock()


class ShelfDriver(ContentAddressedDriver):
    def key_for(self, target: object, sha256: str) -> str:
        return sha256

    async def write(self, items: Mapping[str, bytes]) -> None:
        await gather_bounded(self._write, list(items.items()), limit=8)

    async def _write(self, item: tuple[str, bytes]) -> int:
        return await run_off_loop(lambda: len(item[1]), len(item[1]))

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        return [None for _ in keys]


@asynccontextmanager
async def open_shelf(settings: ShelfSettings, context: DriverContext) -> AsyncIterator[StorageDriver]:
    yield ShelfDriver(driver_name=context.name, max_payload_size=settings.board)


def confine(settings: ShelfSettings, claim: StorageDriverClaim) -> ConfinedClaim:
    if not claim.claim_data["key"].startswith(settings.room):
        raise ClaimRejectedError("Another room")
    return ConfinedClaim(claim=claim, sha256="", namespace=None)


@hookimpl
def temporal_payloads_driver() -> DriverPlugin[ShelfSettings]:
    return DriverPlugin(
        api_version=1,
        settings=ShelfSettings,
        driver_type="shelf",
        driver_name="shelf",
        open=open_shelf,
        confine=confine,
        expiry=lambda settings: settings.patience,
    )


# -- a codec plugin


class NoSettings(BaseModel):
    pass


class NoCodec(PerPayloadCodec):
    def encode_payload(self, payload: Payload) -> Payload:
        return payload

    def decode_payload(self, payload: Payload) -> Payload:
        raise PayloadIntegrityError("Never encoded", non_retryable=False)


class CodecOfOurOwn:
    @hookimpl
    def temporal_payloads_codec(self) -> CodecPlugin[NoSettings]:
        return CodecPlugin(
            api_version=1, settings=NoSettings, encodings=["x"], create=lambda _settings: NoCodec()
        )


# -- a payload converter plugin


def extend(settings: NoSettings, base: type[PayloadConverter]) -> type[PayloadConverter]:
    raise ValueError("It composes with no other")


class PayloadConverterOfOurOwn:
    @hookimpl
    def temporal_payloads_payload_converter(self) -> PayloadConverterPlugin[NoSettings]:
        return PayloadConverterPlugin(
            api_version=1,
            settings=NoSettings,
            create=lambda _settings: DefaultPayloadConverter,
            extend=extend,
            sandbox_passthrough=["own"],
        )


# -- observing, and registering in code


class Metrics:
    @hookimpl
    def temporal_payloads_storage_event(self, event: StorageEvent) -> None:
        assert_type(event.duration, float)
        assert_type(event.error, str | None)
        assert_type(event.namespace, str | None)

    @hookimpl
    def temporal_payloads_codec_event(self, event: CodecEvent) -> None:
        assert_type(event.keys, Mapping[str, int])

    @hookimpl
    def temporal_payloads_inline_event(self, event: InlineEvent) -> None:
        assert_type(event.size, int)

    @hookimpl
    def temporal_payloads_circuit_event(self, event: CircuitEvent) -> None:
        assert_type(event.is_open, bool)

    @hookimpl
    def temporal_payloads_collection_event(self, event: CollectionEvent) -> None:
        assert_type(event.payloads["unneeded"], int)


def buckets_for_the_sdks_endpoint() -> PrometheusConfig:
    assert_type(METRICS, tuple[Metric, ...])
    return PrometheusConfig(bind_address="127.0.0.1:0", histogram_bucket_overrides=prometheus_buckets())


def a_registry_of_our_own() -> PluginRegistry:
    registry = PluginRegistry()
    registry.register_codec("own", CodecOfOurOwn())
    registry.register_payload_converter("own", PayloadConverterOfOurOwn())
    registry.register_observer(Metrics())
    return registry


def errors_are_what_temporal_understands(error: StorageError) -> ApplicationError:
    return error


# -- the conformance kit


class TestShelf(DriverConformance):
    entry_point = "shelf"
    client_modules = ("shelf_client",)


class TestOwn(CodecConformance):
    entry_point = "own"
    deterministic = False


class TestOwnPayloadConverter(PayloadConverterConformance):
    entry_point = "own"
    bases = (DefaultPayloadConverter,)


# -- tests of applications

assert_type(PayloadsInMemory(PayloadSettings(), base=pydantic_data_converter).converter, DataConverter)
assert_type(PayloadsInMemory(PayloadSettings(), max_size=2**20).registry, PluginRegistry)
assert_type(TEST_KEY, str)
PayloadsInMemory()  # type: ignore[call-arg]


async def about_histories(handle: WorkflowHandle[object, str], history: WorkflowHistory) -> None:
    converter = DataConverter.default
    await assert_offloaded(handle, ["an order", 1], converter=converter)
    await assert_offloaded(history, [], converter=converter, namespace="orders")
    await assert_nothing_exceeds(handle, 1024)
    await assert_nothing_exceeds(history, "1KiB")
    await assert_references_resolve(handle, converter=converter)
    await assert_offloaded(handle, ["an order"])  # type: ignore[call-arg]
