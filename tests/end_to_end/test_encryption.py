"""With encryption on a real server: what everybody can read there, and that nobody can read the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import activities
from support.activities import Gate
from support.confidential import OPEN, SECRETS, WORKFLOWS, Confidential, fail_in_source, secret
from support.failures import pending_activity
from support.history import is_reference, is_sealed
from support.keys import encrypted, encryption
from support.readable import (
    READABLE,
    READABLE_OF_ENCRYPTED,
    READABLE_PAYLOADS,
    clear_text_in,
    payloads_with_places,
    sentences_for,
)
from support.schedules import described_once_started
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from support.workflows import KEYWORD, Echo, Mailbox
from temporal_payloads import build_data_converter
from temporal_payloads._operate.histories import payloads_in, reference_in
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import QueryWorkflowRequest
from temporalio.client import (
    Client,
    HeaderCodecBehavior,
    Interceptor,
    OutboundInterceptor,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    ScheduleState,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.converter import (
    PayloadConverter,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message
    from local_servers import TemporalServer
    from support.stores import S3Store

pytestmark = pytest.mark.usefixtures("keys_in_environment")

WORD = "confidential"
BOUND = {"bind": "namespace", "accept_unbound": False}


class Heading(Interceptor):
    """Gives each workflow that a client starts a header."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002  # the SDK's
        class Outbound(OutboundInterceptor):
            async def start_workflow(self, input: Any) -> Any:  # noqa: A002  # likewise
                [header] = PayloadConverter.default.to_payloads(["open-header"])
                input.headers = {**input.headers, "open-header-key": header}
                return await super().start_workflow(input)

        return Outbound(next)


class Stage:
    """A client with the keys, the workflows that it has run, and all that a server tells of them."""

    def __init__(self, client: Client, store: S3Store) -> None:
        self.client = client
        self.store = store
        self.told: list[Message] = []
        """Events of histories, and descriptions."""
        self.decoded = b""
        """What is in all payloads of the histories, for whoever has the keys."""

    async def add_run(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Add the history of a run."""
        await self.add(handle, (await handle.fetch_history()).events)

    async def add(self, handle: WorkflowHandle[Any, Any], told: Iterable[Message]) -> None:
        """Add what the server tells of a workflow."""
        context = WorkflowSerializationContext(namespace=self.client.namespace, workflow_id=handle.id)
        codec = self.client.data_converter.payload_codec
        assert isinstance(codec, WithSerializationContext)
        codec = codec.with_context(context)
        self.told.extend(told)
        for _, payload in payloads_with_places(told):
            reference = await reference_in(payload, codec)
            if reference is not None:
                payload = Payload.FromString(self.store.read(reference.claim.claim_data))  # noqa: PLW2901
                assert is_sealed(payload), "what is stored is encrypted too"
            if is_sealed(payload):
                [decoded] = await codec.decode([payload])
                self.decoded += decoded.data + b"\n"


@pytest.fixture(params=[{}, BOUND], ids=["by keys alone", "bound to the namespace"])
async def stage(request: pytest.FixtureRequest, temporal_server: TemporalServer, s3_store: S3Store) -> Stage:
    """Workflows that use everything, run to their ends with a small threshold, and what the server keeps."""
    converter = build_data_converter(encrypted(s3_store, encryption("key-1", **request.param)))
    client = await connect(temporal_server, converter, interceptors=[Heading()])
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            search_attributes={KEYWORD.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD},
            namespace=client.namespace,
        )
    )
    stage, gate = Stage(client, s3_store), Gate()
    registered = [activities.echo, fail_in_source, gate.beat_and_resume]
    workflows = [*WORKFLOWS, Echo, Mailbox]
    async with running_worker(client, workflows=workflows, activities=registered) as queue:
        await _run_all(stage, queue, gate)
        await _run_by_schedule(stage, queue)
        await _terminate(stage, queue)
    return stage


async def _run_all(stage: Stage, queue: str, gate: Gate) -> None:
    handle = await stage.client.start_workflow(
        Confidential.run,
        args=[WORD, secret(WORD, "start"), False],
        id=new_id("wf"),
        task_queue=queue,
        run_timeout=RUN_TIMEOUT,
        memo={"open-memo-key": secret(WORD, "start memo")},
        search_attributes=TypedSearchAttributes([SearchAttributePair(KEYWORD, "open-attribute")]),
        static_summary=secret(WORD, "start summary"),
        static_details=secret(WORD, "start details"),
    )
    await gate.reached.wait()
    pending = await pending_activity(handle, lambda each: each.attempt > 1)
    context = WorkflowSerializationContext(namespace=stage.client.namespace, workflow_id=handle.id)
    converter = stage.client.data_converter.with_context(context)
    assert await converter.decode(pending.heartbeat_details.payloads) == [secret(WORD, "heartbeat")]
    await stage.add(handle, [(await handle.describe()).raw_description])
    gate.opened.set()
    for query, arguments in {
        "ask": [secret(WORD, "query")],
        "__temporal_workflow_metadata": [],
        "__stack_trace": [],
    }.items():
        request = QueryWorkflowRequest(
            namespace=stage.client.namespace,
            execution=WorkflowExecution(workflow_id=handle.id),
            query=WorkflowQuery(
                query_type=query, query_args=Payloads(payloads=await converter.encode(arguments))
            ),
        )
        await stage.add(handle, [await stage.client.workflow_service.query_workflow(request)])
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("open-update-refused", WORD)
    assert isinstance(refused.value.cause, ApplicationError)
    assert refused.value.cause.message == secret(WORD, "refused update")
    # The SDK gives a client the message of a query's failure, and nothing of which to decode it.
    with pytest.raises(WorkflowQueryFailedError, match=r"^Encoded failure$"):
        await handle.query(Confidential.refuse_to_say, f"{WORD} reasons")
    await handle.signal("open-signal", secret(WORD, "signal"))
    updated = await handle.execute_update("open-update", args=[WORD, secret(WORD, "update")])
    assert updated == secret(WORD, "update result")
    with pytest.raises(WorkflowFailureError) as ended:
        await handle.result()
    assert isinstance(ended.value.cause, ApplicationError)
    assert ended.value.cause.message == secret(WORD, "end message")
    assert list(ended.value.cause.details) == [secret(WORD, "end details")]
    assert "confidential.py" in str(getattr(ended.value.cause.failure, "stack_trace", ""))
    for run_id in (handle.first_execution_run_id, None):
        await stage.add_run(stage.client.get_workflow_handle(handle.id, run_id=run_id))
    await stage.add_run(stage.client.get_workflow_handle(f"{handle.id}-child"))


async def _run_by_schedule(stage: Stage, queue: str) -> None:
    action = ScheduleActionStartWorkflow(
        Echo.run,
        secret(WORD, "schedule"),
        id=new_id("wf"),
        task_queue=queue,
        memo={"open-memo-key": secret(WORD, "schedule memo")},
    )
    schedule = Schedule(action=action, spec=ScheduleSpec(), state=ScheduleState(note="open-note"))
    handle = await stage.client.create_schedule(new_id("schedule"), schedule, trigger_immediately=True)
    try:
        description = await described_once_started(handle)
    finally:
        await handle.delete()
    stage.told.append(description.raw_description)
    [started] = description.info.recent_actions
    assert isinstance(started.action, ScheduleActionExecutionStartWorkflow)
    run = stage.client.get_workflow_handle(started.action.workflow_id)
    assert await run.result() == secret(WORD, "schedule")
    await stage.add_run(run)


async def _terminate(stage: Stage, queue: str) -> None:
    handle = await stage.client.start_workflow(Mailbox.run, id=new_id("wf"), task_queue=queue)
    await handle.terminate(secret(WORD, "termination"), reason="open-reason")
    await stage.add_run(handle)


async def test_everything_runs_and_nothing_confidential_can_be_read(stage: Stage) -> None:
    for message in stage.told:
        assert WORD.encode() not in message.SerializeToString(), message
    for place in SECRETS:
        assert f"{WORD} of the {place}".encode() in stage.decoded, f"nothing was said of the {place}"

    # What can be read in payloads is what no codec is given, and all of that is in the guide.
    seen: set[str] = set()
    for place, payload in payloads_with_places(stage.told):
        if is_sealed(payload) or is_reference(payload):
            others = set(payload.metadata) - {"encoding"}
            sentences = {key: sentences_for(key, READABLE_OF_ENCRYPTED) for key in others}
        else:
            sentences = {place: sentences_for(place, READABLE_PAYLOADS)}
        assert all(sentences.values()), sentences
        seen |= {each for found in sentences.values() for each in found}
    assert seen == set(READABLE_PAYLOADS) | set(READABLE_OF_ENCRYPTED)

    # So is all other text, and the guide tells of nothing that is not there.
    clear = clear_text_in(stage.told)
    unknown = {place: texts for place, texts in clear.items() if not sentences_for(place, READABLE)}
    assert unknown == {}
    told = {sentence for place in clear for sentence in sentences_for(place, READABLE)}
    assert told == set(READABLE)
    everything = b"".join(message.SerializeToString() for message in stage.told)
    assert [word for word in OPEN if word.encode() not in everything] == []

    # What walks histories for the commands finds the same payloads.
    walked = [id(payload) for message in stage.told for payload in payloads_in(message)]
    assert len(walked) == sum("indexed_fields" not in place for place, _ in payloads_with_places(stage.told))


async def test_values_of_headers_are_encrypted_where_the_client_says_so(
    temporal_server: TemporalServer, s3_store: S3Store
) -> None:
    client = await connect(
        temporal_server,
        build_data_converter(encrypted(s3_store)),
        interceptors=[Heading()],
        header_codec_behavior=HeaderCodecBehavior.CODEC,
    )
    async with running_worker(client, workflows=[Echo]) as queue:
        handle = await client.start_workflow(Echo.run, "hello", id=new_id("wf"), task_queue=queue)
        assert await handle.result() == "hello"
    [*_, (_, header)] = [
        found for found in payloads_with_places((await handle.fetch_history()).events) if "header" in found[0]
    ]
    assert is_sealed(header)
