"""Payloads and references wherever they stand in a message."""

from collections.abc import Sequence

import pytest
from google.protobuf.message import Message
from temporal_payloads._operate.histories import payloads_in, reference_in
from temporal_payloads._storage.references import MARKER, Reference
from temporal_payloads.plugin import ClaimRejectedError
from temporalio.api.common.v1 import Memo, Payload, Payloads, SearchAttributes
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import History, HistoryEvent
from temporalio.api.query.v1 import QueryRejected, WorkflowQuery
from temporalio.api.schedule.v1 import Schedule
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionResponse,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
)
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.converter import PayloadCodec, StorageDriverClaim

KINDS = sorted(field.name for field in HistoryEvent.DESCRIPTOR.oneofs_by_name["attributes"].fields)


class Filling:
    """Puts a payload with a number of its own wherever a message can have one, but in search attributes."""

    def __init__(self) -> None:
        self.numbers: list[bytes] = []

    def fill(self, message: Message, around: tuple[object, ...] = ()) -> None:
        if isinstance(message, Payload):
            self.numbers.append(b"%d" % len(self.numbers))
            message.data = self.numbers[-1]
            return
        here = message.DESCRIPTOR
        for field in here.fields:
            inner = field.message_type
            # Twice within itself is deep enough for what contains itself.
            if inner is None or inner is SearchAttributes.DESCRIPTOR or around.count(inner) > 1:
                continue
            value = getattr(message, field.name)
            if isinstance(value, Message):
                if field.containing_oneof is None or field is field.containing_oneof.fields[0]:
                    value.SetInParent()
                    self.fill(value, (*around, here))
            elif not inner.GetOptions().map_entry:
                self.fill(value.add(), (*around, here))
                self.fill(value.add(), (*around, here))
            elif inner.fields_by_name["value"].message_type:
                self.fill(value["first"], (*around, here))
                self.fill(value["second"], (*around, here))


def found_in(message: Message) -> list[bytes]:
    return [payload.data for payload in payloads_in(message)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_payload_of_every_kind_of_event_is_found(kind) -> None:
    event, filling = HistoryEvent(), Filling()
    filling.fill(getattr(event, kind))
    assert sorted(found_in(event)) == sorted(filling.numbers)


@pytest.mark.parametrize(
    "kind",
    [
        Failure,
        Memo,
        PollWorkflowTaskQueueResponse,
        RespondWorkflowTaskCompletedRequest,
        DescribeWorkflowExecutionResponse,
        Schedule,
        WorkflowActivation,
        WorkflowQuery,
    ],
)
def test_every_payload_of_other_messages_is_found(kind) -> None:
    message, filling = kind(), Filling()
    filling.fill(message)
    assert filling.numbers
    assert sorted(found_in(message)) == sorted(filling.numbers)


def test_payloads_come_in_the_order_of_the_events() -> None:
    history = History()
    for number in range(3):
        attributes = history.events.add().activity_task_completed_event_attributes
        attributes.result.payloads.extend(Payload(data=b"%d%d" % (number, each)) for each in range(2))
    assert found_in(history) == [b"00", b"01", b"10", b"11", b"20", b"21"]


def test_a_payload_contains_itself() -> None:
    assert found_in(Payload(data=b"x")) == [b"x"]


def test_the_causes_of_a_failure_are_followed_to_the_last() -> None:
    failure = innermost = Failure()
    for _ in range(50):
        innermost = innermost.cause
    innermost.application_failure_info.details.payloads.add().data = b"x"
    assert found_in(failure) == [b"x"]


def test_search_attributes_are_left_out() -> None:
    event = HistoryEvent()
    started = event.workflow_execution_started_event_attributes
    started.search_attributes.indexed_fields["Keyword"].data = b"read by the server"
    started.memo.fields["note"].data = b"memo"
    assert found_in(event) == [b"memo"]


def test_a_message_without_payloads_has_none() -> None:
    assert found_in(QueryRejected()) == []
    assert found_in(Payloads()) == []


# -- references


class Backwards(PayloadCodec):
    """Turns payloads round, whole."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(metadata={"encoding": b"backwards"}, data=payload.SerializeToString()[::-1])
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        for payload in payloads:
            assert MARKER not in payload.metadata
        return [_forwards(payload) for payload in payloads]


def _forwards(payload: Payload) -> Payload:
    if payload.metadata["encoding"] != b"backwards":
        return payload
    return Payload.FromString(payload.data[::-1])


REFERENCE = Reference("example", StorageDriverClaim(claim_data={"key": "k"}), 1234)
LEGACY = Payload(
    metadata={"encoding": b"json/external-storage-reference"},
    data=b'{"driver_name": "example", "driver_claim": {"claim_data": {"key": "k"}}}',
)


async def encoded_reference() -> Payload:
    """As the SDK writes it once it lets references go through the codecs."""
    [encoded] = await Backwards().encode([REFERENCE.to_payload()])
    encoded.external_payloads.extend(REFERENCE.to_payload().external_payloads)
    encoded.metadata[MARKER] = b"true"
    return encoded


@pytest.mark.parametrize("codec", [None, Backwards()], ids=["without codecs", "with a codec"])
async def test_a_reference_in_the_clear_is_read(codec) -> None:
    assert await reference_in(REFERENCE.to_payload(), codec) == REFERENCE
    legacy = await reference_in(LEGACY, codec)
    assert legacy is not None
    assert (legacy.driver_name, legacy.claim, legacy.size) == (REFERENCE.driver_name, REFERENCE.claim, 0)


async def test_a_reference_that_has_been_through_codecs_is_read_and_left_as_it_is() -> None:
    payload = await encoded_reference()
    before = payload.SerializeToString(deterministic=True)
    assert await reference_in(payload, Backwards()) == REFERENCE
    assert payload.SerializeToString(deterministic=True) == before


async def test_any_other_payload_is_no_reference() -> None:
    assert await reference_in(Payload(metadata={"encoding": b"json/plain"}, data=b"1"), Backwards()) is None
    [encoded] = await Backwards().encode([Payload(data=b"1")])
    assert await reference_in(encoded, Backwards()) is None


@pytest.mark.parametrize("codec", [None, Backwards()], ids=["without codecs", "with another codec"])
async def test_a_reference_that_the_codecs_leave_encoded_is_rejected(codec) -> None:
    payload = await encoded_reference()
    payload.metadata["encoding"] = b"unknown"
    with pytest.raises(ClaimRejectedError, match="codecs could not be decoded"):
        await reference_in(payload, codec)


async def test_a_reference_that_cannot_be_read_is_rejected() -> None:
    broken = REFERENCE.to_payload()
    broken.data = b"{"
    with pytest.raises(ClaimRejectedError, match="could not be read"):
        await reference_in(broken, None)
