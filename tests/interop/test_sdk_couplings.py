"""What this project relies on in the SDK and no type checker sees.

Where a new release of `temporalio` breaks something here, the test's message names what has changed, and the
file that has to change with it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import temporalio
from support.history import REFERENCE_MARKER
from support.values import large
from support.workers import RUN_TIMEOUT, connect, new_id
from temporal_payloads import PayloadSettings, PayloadsPlugin, build_data_converter
from temporal_payloads._observe.spans import HEADER
from temporal_payloads._sdk_plugin import SDK_DEFAULT_CONCURRENCY
from temporal_payloads._storage.failures import _WRAPPERS
from temporal_payloads._storage.references import MARKER
from temporal_payloads.plugin import PayloadTooLargeError, StorageUnavailableError
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import CommandType
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.contrib.aws.s3driver import S3StorageDriver, S3StorageDriverClient
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    PayloadCodec,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
    WorkflowSerializationContext,
    _extstore,
)
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local_servers import TemporalServer
    from temporalio.converter import StorageDriverRetrieveContext

POISON = "nobody decodes this"


def changed(what: str, file: str) -> str:
    """Return what a failing test has to tell."""
    return f"temporalio {temporalio.__version__} has changed {what}, on which {file} depends"


# -- the handle's client


async def test_a_handle_has_its_client(temporal_server: TemporalServer) -> None:
    client = await connect(temporal_server, DataConverter.default)
    handle = client.get_workflow_handle(new_id("wf"))
    assert getattr(handle, "_client", None) is client, changed(
        "where a workflow's handle has its client", "core/src/temporal_payloads/testing/_histories.py"
    )


# -- the header in which the SDK's interceptors hand a trace on


def test_the_trace_is_in_the_header_that_is_read() -> None:
    assert TracingInterceptor().header_key == HEADER, changed(
        "the header of its OpenTelemetry interceptor", "core/src/temporal_payloads/_observe/spans.py"
    )


# -- the worker's words for payloads that cannot be decoded


class Poisoned(PayloadCodec):
    """Cannot decode one value."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        if any(POISON.encode() in payload.data for payload in payloads):
            raise ValueError("cannot be decoded")
        return list(payloads)


@activity.defn
async def take(value: str) -> None:
    del value


@activity.defn
async def beat() -> None:
    activity.heartbeat(POISON)
    raise RuntimeError("the next attempt gets the heartbeat's details")


@workflow.defn
class Poisons:
    @workflow.run
    async def run(self, name: str) -> None:
        await workflow.execute_activity(
            name,
            args=[POISON] if name == "take" else [],
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=2, initial_interval=timedelta(milliseconds=10)),
        )


@pytest.mark.parametrize(
    ("name", "words"),
    [("take", "Failed decoding arguments"), ("beat", "Failed decoding heartbeat details")],
)
async def test_an_activity_that_cannot_decode_fails_in_these_words(
    temporal_server: TemporalServer, name: str, words: str
) -> None:
    client = await connect(
        temporal_server, dataclasses.replace(DataConverter.default, payload_codec=Poisoned())
    )
    async with Worker(
        client,
        task_queue=new_id("queue"),
        workflows=[Poisons],
        activities=[take, beat],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ) as worker:
        with pytest.raises(WorkflowFailureError) as raised:
            await client.execute_workflow(
                Poisons.run, name, id=new_id("wf"), task_queue=worker.task_queue, run_timeout=RUN_TIMEOUT
            )
    messages = []
    error: BaseException | None = raised.value
    while error is not None:
        messages.append(getattr(error, "message", ""))
        error = error.__cause__
    assert words in messages, changed(
        f"the failure {words!r} (now: {messages})", "core/src/temporal_payloads/_storage/failures.py"
    )
    assert words in _WRAPPERS


# -- the worker's options


async def test_a_worker_says_nothing_of_its_storage_concurrency_by_its_default(
    temporal_server: TemporalServer,
) -> None:
    client = await Client.connect(temporal_server.address)
    config = Worker(client, task_queue=new_id("queue"), activities=[take]).config(active_config=True)
    assert config.get("max_workflow_task_external_storage_concurrency") == SDK_DEFAULT_CONCURRENCY, changed(
        "the default of max_workflow_task_external_storage_concurrency",
        "core/src/temporal_payloads/_sdk_plugin.py",
    )


async def test_a_worker_that_was_never_started_can_be_ended(
    temporal_server: TemporalServer, caplog: pytest.LogCaptureFixture
) -> None:
    """`worker._shutdown_complete_event` and `worker._bridge_worker.initiate_shutdown()`."""
    nobody_there = {"threshold": 0, "timeout": "5s", "drivers": {"redis": {"url": "redis://127.0.0.1:1/0"}}}
    plugin = PayloadsPlugin(PayloadSettings(storage=nobody_there))
    client = await Client.connect(temporal_server.address, plugins=[plugin])
    task_queue = new_id("queue")
    told = changed("how a worker is ended that never started", "core/src/temporal_payloads/_sdk_plugin.py")
    for _ in range(2):  # the second worker can be made only if the first one has let go of the task queue
        worker = Worker(client, task_queue=task_queue, activities=[take])
        try:
            async with asyncio.timeout(30), worker:
                await asyncio.Event().wait()
        except StorageUnavailableError:
            pass
        except TimeoutError:
            pytest.fail(told)
    assert not [record for record in caplog.records if record.levelno == logging.WARNING], told


# -- references


class InMemory(StorageDriver):
    """Keeps payloads in a dictionary."""

    def __init__(self) -> None:
        self.payloads: dict[str, Payload] = {}

    def name(self) -> str:
        return "memory"

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        keys = [str(len(self.payloads) + number) for number, _ in enumerate(payloads)]
        self.payloads.update(zip(keys, payloads, strict=True))
        return [StorageDriverClaim({"key": key}) for key in keys]

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        return [self.payloads[claim.claim_data["key"]] for claim in claims]


@pytest.mark.parametrize("encode", [False, True])
async def test_a_switch_has_references_encoded_and_marked(
    monkeypatch: pytest.MonkeyPatch, encode: bool
) -> None:
    file = "core/src/temporal_payloads/_storage/references.py"
    assert hasattr(_extstore, "_ENCODE_STORAGE_REFERENCES"), changed("_ENCODE_STORAGE_REFERENCES", file)
    monkeypatch.setattr(_extstore, "_ENCODE_STORAGE_REFERENCES", encode)
    converter = dataclasses.replace(
        DataConverter.default,
        payload_codec=Poisoned(),
        external_storage=ExternalStorage(drivers=[InMemory()], payload_size_threshold=0),
    )
    [reference] = await converter.encode([large("order")])
    expected = {MARKER: b"true"} if encode else {}
    marks = {key: value for key, value in reference.metadata.items() if key.startswith("__")}
    assert marks == expected, changed("the mark of an encoded reference", file)
    assert MARKER == REFERENCE_MARKER
    assert await converter.decode([reference]) == [large("order")]


# -- the S3 driver


class NoRequests(S3StorageDriverClient):
    """Is never asked."""

    async def put_object(self, *, bucket: str, key: str, data: bytes) -> None:
        raise AssertionError

    async def object_exists(self, *, bucket: str, key: str) -> bool:
        raise AssertionError

    async def get_object(self, *, bucket: str, key: str) -> bytes:
        raise AssertionError


async def test_the_s3_driver_takes_client_bucket_name_and_size_limit_in_this_order() -> None:
    told = changed(
        "the positions of S3StorageDriver's arguments", "plugins/s3/src/temporal_payloads_s3/_driver.py"
    )
    chosen: list[str] = []

    def choose(context: StorageDriverStoreContext, payload: Payload) -> str:
        chosen.append("bucket")
        return "bucket"

    driver = S3StorageDriver(NoRequests(), choose, "our name", 100)
    assert driver.name() == "our name", told
    with pytest.raises(ValueError, match="100"):
        await driver.store(StorageDriverStoreContext(), [Payload(data=b"x" * 200)])
    assert chosen == ["bucket"], told


# -- what external storage overrides


def test_external_storage_reads_references_in_this_method() -> None:
    """Without it a malformed reference fails in the words of a JSON parser."""
    assert callable(getattr(ExternalStorage, "_decode_reference", None)), changed(
        "ExternalStorage._decode_reference", "core/src/temporal_payloads/_storage/external_storage.py"
    )


@pytest.mark.parametrize("name", ["_store_payload", "_store_payload_sequence", "_store_payloads"])
def test_external_storage_stores_in_these_methods(name: str) -> None:
    """Without them a fallback is not used, and `storage.inline_limit` is not looked at."""
    assert callable(getattr(ExternalStorage, name, None)), changed(
        f"ExternalStorage.{name}", "core/src/temporal_payloads/_storage/external_storage.py"
    )


async def test_they_are_called_for_what_goes_out_and_know_for_whom() -> None:
    """`_store_context`, and `with_context` of a storage that has it."""
    file = "core/src/temporal_payloads/_storage/external_storage.py"
    converter = build_data_converter(PayloadSettings.model_validate({"storage": {"inline_limit": 100}}))
    target = StorageDriverWorkflowInfo(namespace="default", id="w", run_id="r", type="Order")
    bound = converter._with_contexts(
        WorkflowSerializationContext(namespace="default", workflow_id="w"), StorageDriverStoreContext(target)
    )
    payload = Payload(data=b"x" * 200)
    for call in (
        bound.encode(["x" * 200]),
        bound._transform_outbound_payload(payload),
        bound._external_store_payload_sequence([payload]),
    ):
        with pytest.raises(PayloadTooLargeError) as raised:
            await call
        assert "workflow 'Order' (id 'w')" in raised.value.message, changed("what storage is told", file)


async def test_what_belongs_to_a_failure_comes_by_a_way_of_its_own() -> None:
    """Else it would be measured, and an activity that has failed for good would be run again."""
    converter = build_data_converter(PayloadSettings.model_validate({"storage": {"inline_limit": 100}}))
    failure = Failure()
    await converter.encode_failure(ApplicationError("it failed", "x" * 200), failure)
    [detail] = failure.application_failure_info.details.payloads
    assert detail.ByteSize() > 200, changed(
        "ExternalStorage._store_payloads", "core/src/temporal_payloads/_storage/external_storage.py"
    )


def test_the_worker_tells_which_command_it_encodes() -> None:
    """Only a word in a message depends on it."""
    from temporalio.worker._command_aware_visitor import current_command, current_command_info  # noqa: PLC0415

    with current_command(CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION, 0):
        info = current_command_info.get()
    assert info is not None
    assert info.command_type == CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION, changed(
        "current_command_info", "core/src/temporal_payloads/_storage/inline_limit.py"
    )
