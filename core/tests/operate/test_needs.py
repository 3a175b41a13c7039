"""What a holder needs: which payload is a reference, a mark in doubt, or a gap."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import build
from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._codecs.named import NamedCodec
from temporal_payloads._operate import embedded
from temporal_payloads._operate import needs as needs_module
from temporal_payloads._operate.holders import Held, Holder
from temporal_payloads._operate.needs import needs_of
from temporal_payloads._operate.recorded import ConfinedReferences, RecordedReference
from temporal_payloads._storage.errors import UnknownDriverError
from temporal_payloads._storage.references import MARKER, MESSAGE_TYPE, Reference
from temporal_payloads.plugin import PayloadReaderContext
from temporalio.api.batch.v1 import BatchOperationSignal
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import StartBatchOperationRequest
from temporalio.converter import PayloadCodec, StorageDriverClaim, WithSerializationContext

HASH = "0123456789abcdef" * 4
REFERENCE = Reference("memory", StorageDriverClaim(claim_data={"key": f"v0/d/sha256/{HASH}", "a": "b"}), 1234)
RECORDED = RecordedReference("memory", (("a", "b"), ("key", f"v0/d/sha256/{HASH}")), 1234)
LEGACY = Payload(
    metadata={"encoding": b"json/external-storage-reference"},
    data=b'{"driver_name": "old", "driver_claim": {"claim_data": {"key": "k"}}}',
)
USERS = Holder("workflow", "orders", "order-7", "run", type="Order")
BATCH = Holder("workflow", "orders", "job", "run", type="temporal-sys-batch", division="TemporalBatcher")


class Backwards(PayloadCodec):
    """Turns payloads round, whole."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(metadata={"encoding": b"backwards"}, data=payload.SerializeToString()[::-1])
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload.FromString(payload.data[::-1])
            if payload.metadata.get("encoding") == b"backwards"
            else payload
            for payload in payloads
        ]


class OfOne(Backwards, WithSerializationContext):
    """Decodes in the context of one workflow, or where somebody reads."""

    def __init__(self, context: Any = None) -> None:
        self.context = context

    def with_context(self, context: Any) -> "OfOne":
        return OfOne(context)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        if not isinstance(self.context, PayloadReaderContext) and self.context.workflow_id != "order-7":
            raise ValueError("a payload of somebody else's")
        return await super().decode(payloads)


def chain_of(codec: PayloadCodec) -> CodecChain:
    return CodecChain([NamedCodec("backwards", codec, frozenset({"backwards"}))])


CHAIN = chain_of(Backwards())


async def encoded(payload: Payload, *, marked: bool) -> Payload:
    [result] = await Backwards().encode([payload])
    if marked:
        result.metadata[MARKER] = b"true"
    return result


@pytest.fixture
def needs(monkeypatch):
    """Read payloads as the server would give them."""
    client: Any = None

    async def needs(*payloads, holder=USERS, chain=CHAIN, message=None):
        event = HistoryEvent()
        event.workflow_execution_started_event_attributes.input.payloads.extend(payloads)

        async def held(*_: Any) -> Any:
            yield Held(message or event, None)

        monkeypatch.setattr(needs_module, "held_by", held)
        return await needs_of(client, holder, chain)

    return needs


def of_the_server(*payloads: Payload, encoding: bytes = b"binary/protobuf") -> Payload:
    signal = BatchOperationSignal(signal="put", input=Payloads(payloads=payloads))
    request = StartBatchOperationRequest(namespace="orders", job_id="j", signal_operation=signal)
    metadata = {"encoding": encoding, "messageType": b"temporal.server.api.batch.v1.BatchOperationInput"}
    return Payload(metadata=metadata, data=Payload(data=request.SerializeToString()).SerializeToString())


# -- references


async def test_references_are_needed_as_they_were_recorded_whatever_their_driver_says(needs):
    found = await needs(REFERENCE.to_payload(), LEGACY, REFERENCE.to_payload())
    assert found.references == {RECORDED, RecordedReference("old", (("key", "k"),), 0)}
    assert (found.payloads, found.messages, found.complete, found.hashes) == (3, 1, True, set())


async def test_a_reference_that_has_been_through_codecs_is_needed(needs):
    found = await needs(await encoded(REFERENCE.to_payload(), marked=True))
    assert ({each.claim_data for each in found.references}, found.complete) == ({RECORDED.claim_data}, True)


async def test_a_reference_that_a_proxy_encoded_like_everything_else_is_needed(needs):
    found = await needs(await encoded(REFERENCE.to_payload(), marked=False))
    assert {each.claim_data for each in found.references} == {RECORDED.claim_data}
    assert found.complete


async def test_a_payload_of_another_workflow_is_decoded_as_for_somebody_who_reads(needs):
    payload = await encoded(REFERENCE.to_payload(), marked=True)
    for workflow_id in ("order-7", "order-8"):
        holder = Holder("workflow", "orders", workflow_id, "run")
        assert (await needs(payload, holder=holder, chain=chain_of(OfOne()))).complete


async def test_nothing_else_is_needed(needs):
    plain = Payload(metadata={"encoding": b"json/plain"}, data=f'"{HASH}"'.encode())
    users = Payload(metadata={"encoding": b"binary/protobuf", "messageType": b"orders.v1.Order"})
    users.data = of_the_server(REFERENCE.to_payload()).data
    found = await needs(plain, await encoded(plain, marked=False), users)
    assert (found.references, found.hashes, found.complete) == (set(), set(), True)


# -- gaps


@pytest.mark.parametrize("chain", [CHAIN, CodecChain()], ids=["another codec", "no codec"])
async def test_an_encoded_reference_that_cannot_be_decoded_is_a_gap(needs, chain):
    payload = Payload(metadata={"encoding": b"binary/theirs", MARKER: b"true"}, data=b"sealed")
    found = await needs(payload, payload, chain=chain)
    assert not found.complete
    [(what, gap)] = found.gaps.items()
    assert what == "references that could not be decoded (ClaimRejectedError)"
    assert (gap.count, gap.holder) == (2, USERS)
    assert "The codecs that it was written with must be configured" in gap.why


async def test_any_payload_that_no_codec_decodes_is_a_gap(needs):
    found = await needs(Payload(metadata={"encoding": b"binary/encrypted"}, data=b"sealed"))
    assert list(found.gaps) == ["payloads that no codec decodes (PayloadNotDecodedError)"]
    broken = Payload(metadata={"encoding": b"backwards"}, data=b"\xff")
    assert list((await needs(broken)).gaps) == ["payloads that no codec decodes (DecodeError)"]


async def test_a_layer_more_than_the_codecs_take_off_is_a_gap(needs):
    twice = await encoded(await encoded(REFERENCE.to_payload(), marked=True), marked=False)
    assert not (await needs(twice)).complete


async def test_what_is_of_an_unknown_kind_is_a_gap():
    client: Any = None
    found = await needs_of(client, Holder("unknown", "orders", "x", division="4711"), CHAIN)
    assert list(found.gaps) == ["executions of an unknown kind"]


# -- marks in doubt


@pytest.mark.parametrize(
    "data",
    [
        f'{{"claimData": {{"key": "{HASH}"}}}}',
        f'{{"driverName": "memory", "claimData": {{"key": ["{HASH}"]}}}}',
        f'{{"driverName": "memory", "claimData": {{"key": "v0/{HASH}", "x": "{"y" * 300_000}"}}}}',
        f"{{{HASH}",
    ],
    ids=["without a driver", "of another form", "too large", "no JSON"],
)
async def test_what_is_no_valid_reference_stops_nothing_and_marks_what_may_be_a_hash(needs, data):
    payload = REFERENCE.to_payload()
    payload.data = data.encode()
    for each in (payload, await encoded(payload, marked=True), await encoded(payload, marked=False)):
        found = await needs(each)
        assert (found.references, found.hashes, found.complete) == (set(), {HASH}, True)


async def test_inside_of_the_servers_own_workflows_references_are_found_and_hashes_marked(needs):
    for inner in (REFERENCE.to_payload(), await encoded(REFERENCE.to_payload(), marked=True)):
        found = await needs(of_the_server(inner), holder=BATCH)
        assert {each.claim_data for each in found.references} == {RECORDED.claim_data}
        assert found.complete
    assert (await needs(of_the_server(REFERENCE.to_payload()), holder=BATCH)).hashes == {HASH}


async def test_an_encoded_reference_inside_of_them_that_cannot_be_decoded_is_a_gap(needs):
    sealed = Payload(metadata={"encoding": b"binary/theirs", MARKER: b"true"}, data=b"sealed")
    assert not (await needs(of_the_server(sealed), holder=BATCH)).complete


async def test_messages_of_the_api_are_looked_into_everywhere(needs):
    payloads = Payload(
        metadata={"encoding": b"binary/protobuf", "messageType": b"temporal.api.common.v1.Payloads"},
        data=Payloads(payloads=[REFERENCE.to_payload()]).SerializeToString(),
    )
    assert (await needs(payloads)).references == {RECORDED}
    assert (await needs(await encoded(payloads, marked=False))).references == {RECORDED}


async def test_what_is_packed_into_any_is_looked_into(needs):
    packed = AnyMessage()
    packed.Pack(REFERENCE.to_payload())
    assert (await needs(message=packed)).references == {RECORDED}


@pytest.mark.parametrize(
    "data",
    [
        rf'{{"\ud800": "{HASH}"}}',
        rf'[{{"metadata": {{"encoding": "YQ==", "\ud800": ""}}, "data": "{HASH}"}}]',
        rf'{{"metadata": {{"encoding": "\ud800"}}, "name": ["\ud800", "{HASH}"]}}',
    ],
)
@pytest.mark.parametrize("message_type", [MESSAGE_TYPE, b"temporal.api.x"])
async def test_half_of_a_surrogate_pair_in_json_stops_nothing_and_hashes_are_marked(
    needs, message_type, data
):
    metadata = {"encoding": b"json/protobuf", "messageType": message_type}
    payload = Payload(metadata=metadata, data=data.encode())
    for holder in (USERS, BATCH):
        found = await needs(payload, holder=holder)
        assert (found.references, found.hashes, found.complete) == (set(), {HASH}, True)


async def test_payloads_too_deep_within_each_other_are_a_gap(needs):
    payload = of_the_server(REFERENCE.to_payload())
    for _ in range(50):
        payload = of_the_server(payload)
    found = await needs(payload, holder=BATCH)
    assert (found.hashes, found.complete) == ({HASH}, False)


def nested(payload: Payload, levels: int) -> Payload:
    metadata = {"encoding": b"binary/protobuf", "messageType": b"temporal.api.common.v1.Payload"}
    for _ in range(levels):
        payload = Payload(metadata=metadata, data=payload.SerializeToString())
    return payload


async def test_payloads_within_each_other_are_searched_for_hashes_once_and_not_at_each_level(
    needs, monkeypatch
):
    searched: list[bytes] = []

    def noted(data: bytes) -> list[str]:
        searched.append(data)
        return []

    monkeypatch.setattr(embedded, "hashes_in", noted)
    found = await needs(nested(REFERENCE.to_payload(), 14))
    assert (found.references, found.complete) == ({RECORDED}, True)
    large = [data for data in searched if len(data) >= REFERENCE.to_payload().ByteSize()]
    assert len(large) == len(set(large)) >= 14


async def test_what_a_codec_decodes_inside_of_another_payload_is_searched_for_hashes(needs):
    inner = Payload(metadata={"messageType": b"temporal.api.x"}, data=HASH.encode())
    found = await needs(nested(await encoded(inner, marked=False), 2))
    assert HASH in found.hashes


async def test_large_payloads_are_looked_into_off_the_event_loop(needs, monkeypatch):
    threads: set[int] = set()
    hashes_in = embedded.hashes_in

    def noted(data: bytes) -> Any:
        threads.add(threading.get_ident())
        return hashes_in(data)

    monkeypatch.setattr(embedded, "hashes_in", noted)
    data = b'{"key": "' + HASH.encode() + b"-" * 100_000 + b'"}'
    assert (await needs(Payload(metadata={"messageType": b"temporal.api.x"}, data=data))).hashes == {HASH}
    assert threads
    assert threading.get_ident() not in threads


async def test_what_is_made_to_be_looked_at_for_ever_is_a_gap_of_its_run_and_its_hashes_are_marked(
    needs, monkeypatch
):
    monkeypatch.setattr(embedded, "EFFORT", 4)
    found = await needs(nested(Payload(data=HASH.encode() * 20), 14))
    [(what, gap)] = found.gaps.items()
    assert what == "payloads that could not be looked into (TooIntricateError)"
    assert (gap.count, gap.holder) == (1, USERS)
    assert HASH in found.hashes


# -- what a recorded reference means for the stores


def confined(**storage: Any) -> ConfinedReferences:
    settings = {"storage": {"drivers": {"memory": {"read_aliases": ["older"]}}, **storage}}
    external = build(PayloadSettings.model_validate(settings)).converter.external_storage
    assert external is not None
    return ConfinedReferences(external.drivers)


def recorded(name: str = "memory", **claim: str) -> RecordedReference:
    data = {"store": "default", "key": f"v0/d/sha256/{HASH}", "hash_algorithm": "sha256", "hash_value": HASH}
    return RecordedReference(name, tuple(sorted((data | claim).items())), 1)


@pytest.mark.parametrize("name", ["memory", "older"])
def test_a_claim_that_the_driver_takes_has_a_canonical_spelling(name):
    found = confined().of(recorded(name, other="field"))
    assert found is not None
    driver, claim = found
    assert (driver.name(), claim.sha256) == ("memory", HASH)
    assert "other" not in claim.claim.claim_data


def test_a_claim_that_the_driver_rejects_leads_nowhere_and_its_hashes_count():
    elsewhere = recorded(store="another")
    assert confined().of(elsewhere) is None
    assert elsewhere.hashes == {HASH}


def test_the_name_of_no_driver_is_an_error():
    with pytest.raises(UnknownDriverError, match="'unheard-of'"):
        confined().of(recorded("unheard-of"))
