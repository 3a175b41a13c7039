"""What is measured, and by which attributes."""

import asyncio
import dataclasses

import pytest
from opentelemetry.sdk.metrics.export import HistogramDataPoint
from support.keys import encryption, put_keys_into_environment
from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._codecs.named import NamedCodec
from temporal_payloads._observe.catalogue import ATTRIBUTES, CODEC_BUCKETS, METRICS
from temporal_payloads._observe.metrics import Metrics, only_listed
from temporal_payloads._observe.observers import Observers
from temporal_payloads._observe.otel_metrics import OTelRecorder
from temporal_payloads._plugins.events import CollectionEvent, InlineEvent
from temporal_payloads.plugin import (
    KeyDescription,
    PayloadNotFoundError,
    PerPayloadCodec,
    PluginRegistry,
    StorageUnavailableError,
)
from temporalio.api.common.v1 import Payload
from temporalio.exceptions import ApplicationError

ORDERS = {"driver": "example.memory", "namespace": "orders"}


async def test_what_is_stored_and_retrieved_is_counted(measured, build, bound, values):
    converter = bound(build().converter)
    payloads = await converter.encode([values.large, values.small])
    assert await converter.decode(payloads) == [values.large, values.small]
    for operation in ("store", "retrieve"):
        assert measured.of("storage.duration", operation=operation, outcome="ok", **ORDERS) == 1
        assert measured.of("storage.payloads", operation=operation, **ORDERS) == 1
        size = payloads[0].external_payloads[0].size_bytes
        assert measured.of("storage.io", operation=operation, **ORDERS) == size


async def test_new_payloads_are_counted_by_where_they_went(measured, build, bound, values):
    payloads = await bound(build().converter).encode([values.large, values.small, values.small])
    assert measured.of("new.payloads", **ORDERS) == 1
    assert measured.of("new.payloads", driver="inline", namespace="orders") == 2
    assert measured.of("new.size", **ORDERS) == payloads[0].external_payloads[0].size_bytes
    assert measured.of("new.size", driver="inline") == sum(payload.ByteSize() for payload in payloads[1:])


async def test_codecs_are_measured_by_what_went_in_and_out(measured, build, bound, values):
    converter = bound(build().converter)
    [before] = converter.payload_converter.to_payloads([values.large])
    [after] = await converter.payload_codec.encode([before])
    assert await converter.payload_codec.decode([after]) == [before]
    gzip = {"codec": "gzip", "namespace": "orders"}
    assert measured.of("codec.input", operation="encode", **gzip) == before.ByteSize()
    assert measured.of("codec.output", operation="encode", **gzip) == after.ByteSize()
    assert measured.of("codec.input", operation="decode", **gzip) == after.ByteSize()
    assert measured.of("codec.output", operation="decode", **gzip) == before.ByteSize()
    assert measured.of("codec.payloads", operation="decode", **gzip) == 1
    assert measured.of("codec.duration", operation="decode", outcome="ok", **gzip) == 1


async def test_what_a_codec_leaves_alone_is_not_counted(measured, build, bound, values):
    converter = bound(build().converter)
    await converter.decode(converter.payload_converter.to_payloads([values.small]))
    assert "temporal_payloads.codec.payloads" not in measured.points()


async def test_codecs_have_buckets_of_microseconds(measured, build, bound, values):
    await bound(build().converter).encode([values.large])
    [point] = measured.points()["temporal_payloads.codec.duration"]
    assert isinstance(point, HistogramDataPoint)
    assert tuple(point.explicit_bounds) == CODEC_BUCKETS
    assert CODEC_BUCKETS[0] == 5e-6


async def test_cache_and_dedupe_hits_are_counted(measured, build, bound, values):
    converter = bound(build(storage={"cache": {"max_size": 9_000_077}}).converter)
    for _ in range(3):
        payloads = await converter.encode([values.large])
        await converter.decode(payloads)
    assert measured.of("storage.cache.hits", **ORDERS) == 3
    assert measured.of("storage.dedupe.hits", **ORDERS) == 2


async def test_a_failure_is_counted_under_its_type(measured, build, bound, store, values):
    converter = bound(build().converter)
    payloads = await converter.encode([values.large])
    store.items.clear()
    with pytest.raises(PayloadNotFoundError):
        await converter.decode(payloads)
    failed = {"operation": "retrieve", "outcome": "error", "error_type": "PayloadNotFoundError"}
    assert measured.of("storage.duration", **failed) == 1
    with pytest.raises(ApplicationError, match="gzip"):
        await converter.decode([Payload(metadata={"encoding": b"binary/gzip"}, data=b"no gzip")])
    failed |= {"operation": "decode", "error_type": "PayloadIntegrityError"}
    assert measured.of("codec.duration", codec="gzip", **failed) == 1


async def test_retries_and_an_open_circuit_are_told(
    measured, memory, build, bound, store, values, leaping_clock
):
    memory.retries = False
    store.fail_writing = StorageUnavailableError("down")
    converter = bound(build(storage={"circuit": {"failures": 2, "open_for": "10s"}}).converter)
    for _ in range(2):
        with pytest.raises(StorageUnavailableError):
            await converter.encode([values.large])
    assert measured.of("storage.retries", operation="store", **ORDERS) >= 2
    assert measured.of("storage.circuit.open", driver="example.memory") == 1
    store.fail_writing = None
    await asyncio.sleep(11)
    await converter.encode([values.large])
    assert measured.of("storage.circuit.open", driver="example.memory") == 0


async def test_keys_are_counted_by_the_ids_that_are_configured(measured, build, bound, values, monkeypatch):
    keys: dict[str, str] = {}
    put_keys_into_environment(keys)
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    converter = bound(
        build(
            codecs=["encryption"], codec={"encryption": encryption("key-1")}, encode_failures=False
        ).converter
    )
    payloads = await converter.encode([values.small, values.small])
    await converter.decode(payloads)
    for operation in ("encode", "decode"):
        assert measured.of("key.uses", operation=operation, codec="encryption", key="key-1") == 2


async def test_an_id_that_somebody_wrote_into_a_payload_makes_no_series(measured):
    class Careless(PerPayloadCodec):
        """Decodes whatever bears its encoding, and tells the id that the payload names."""

        def encode_payload(self, payload):
            return payload

        def decode_payload(self, payload):
            return Payload(data=payload.data)

        def key_of(self, payload):
            return payload.metadata["key"].decode()

        def describe_keys(self):
            return [KeyDescription(id="ours", source="a test")]

    observers = Observers(PluginRegistry())
    observers.add(Metrics(OTelRecorder()))
    codec = NamedCodec("careless", Careless(), frozenset({"binary/careless"}), "encrypt")
    chain = CodecChain([codec], observers=observers)
    metadata = {"encoding": b"binary/careless"}
    await chain.decode([Payload(metadata=metadata | {"key": key}) for key in (b"ours", b"x1", b"x2")])
    assert measured.of("key.uses", key="ours") == 1
    assert measured.of("key.uses", key="other") == 2
    assert len(measured.points()["temporal_payloads.key.uses"]) == 2


async def test_namespaces_that_are_not_listed_are_one_series_and_nothing_is_kept_of_each():
    class Recorder:
        def __init__(self):
            self.given = []

        def record(self, metric, value, attributes):
            self.given.append(attributes)

    recorder = Recorder()
    tell = Metrics(recorder, only_listed(["orders"]))
    for number in range(3):
        tell(InlineEvent(payloads=1, size=1, namespace=f"theirs-{number}"))
    tell(InlineEvent(payloads=1, size=1, namespace="orders"))
    assert [each["namespace"] for each in recorder.given] == [*["other"] * 6, *["orders"] * 2]
    # One of each metric, made once.
    assert len({id(each) for each in recorder.given}) == 4


async def test_claims_make_no_series(measured, build, bound, values):
    assembly = build()
    theirs = bound(assembly.converter, namespace="theirs")
    payloads = await theirs.encode([values.large])
    await bound(assembly.converter).decode(payloads)
    assert measured.of("storage.payloads", operation="retrieve", **ORDERS) == 1


async def test_no_series_names_a_workflow_a_run_or_a_payload(measured, build, bound, values):
    converter = bound(build().converter, run_id="the-run", workflow_id="the-workflow")
    [payload] = await converter.encode([values.large])
    await converter.decode([payload])
    known = {metric.name: set(metric.attributes) for metric in METRICS}
    points = measured.points()
    assert points
    for name, series in points.items():
        for point in series:
            assert set(point.attributes) <= known[name]
            text = str(dict(point.attributes))
            assert not any(secret in text for secret in ("the-run", "the-workflow", "sha256"))


async def test_a_collection_is_told(measured, build):
    event = CollectionEvent(
        driver="example.memory",
        complete=True,
        payloads={"needed": 7, "unneeded": 2, "aside": 1},
        size={"needed": 700, "unneeded": 200, "aside": 100},
        put_aside=1,
        deleted=3,
        deleted_size=300,
        duration=2.5,
        ended=1_800_000_000.0,
    )
    observers = build().observers
    observers.notify(event)
    observers.notify(dataclasses.replace(event, complete=False, payloads={"needed": 0}, ended=9e9))
    assert measured.of("gc.payloads", state="needed") == 7
    assert measured.of("gc.size", state="aside") == 100
    assert measured.of("gc.changes", change="deleted") == 6
    assert measured.of("gc.freed") == 600
    assert measured.of("gc.completed") == 1_800_000_000.0


@pytest.mark.parametrize("observability", [{"metrics": False}, {"metrics": False, "spans": False}])
async def test_it_can_be_turned_off(measured, build, bound, values, observability):
    await bound(build(observability=observability).converter).encode([values.large])
    assert measured.points() == {}


async def test_what_fails_to_record_keeps_no_payload_from_going_on(build, bound, values, caplog):
    assembly = build()

    def broken(event):
        raise ValueError("no room")

    assembly.observers.add(broken)
    for _ in range(2):
        await bound(assembly.converter).encode([values.large])
    [record] = [record for record in caplog.records if "could not be recorded" in record.message]
    assert "no room" in record.exc_text


def test_every_attribute_is_explained():
    assert {name for metric in METRICS for name in metric.attributes} == set(ATTRIBUTES)


def test_prometheus_would_name_each_metric_once():
    names = [metric.prometheus for metric in METRICS]
    assert len(set(names)) == len(names)
    histograms = [metric.prometheus for metric in METRICS if metric.kind == "histogram"]
    # The SDK applies buckets to each metric whose name contains the one that they were given for.
    assert not [one for one in histograms for other in histograms if one != other and one in other]
