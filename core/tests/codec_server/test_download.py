"""`/download`, which the Web UI asks when a person clicks on a stored payload."""

import pytest
from google.protobuf.json_format import MessageToDict
from temporal_payloads.plugin import (
    PayloadIntegrityError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from temporalio.api.common.v1 import Payload


async def test_a_reference_is_resolved_and_decoded(serve, make, store):
    api = await serve()
    large = make.plain(["order"] * 1000)
    reference = await store.put(make.flipped(large))
    # The UI sends this query with everything.
    assert await api.payloads("download?preserveStorageRefs=true", [reference]) == [large]


async def test_anything_but_references_is_refused_by_its_position(serve, make, store):
    api = await serve()
    reference = await store.put(make.flipped(make.plain(1)))
    status, code, message = await api.error("download", [reference, make.plain(1)])
    assert (status, code) == (400, "not_a_reference")
    assert "payloads[1]" in message
    assert not store.reads


async def test_a_missing_object_is_gone_and_never_a_404(serve, make, store):
    # The Web UI reads a 404 as "not configured to download".
    api = await serve()
    reference = await store.put(make.flipped(make.plain(1)))
    store.objects.clear()
    status, code, message = await api.error("download", [reference])
    assert (status, code) == (410, "payload_not_found")
    assert "expired, was deleted, or is in another store" in message


async def test_an_object_that_was_changed_is_unprocessable(serve, make, store):
    api = await serve()
    reference = await store.put(make.flipped(make.plain(1)))
    [key] = store.objects
    store.objects[key] = b"something else"
    status, code, _ = await api.error("download", [reference])
    assert (status, code) == (422, "payload_corrupt")


async def test_a_stored_payload_that_no_codec_can_decode_is_unprocessable(serve, store):
    api = await serve()
    corrupt = Payload(metadata={"encoding": b"binary/flip"}, data=b"no gzip")
    status, code, _ = await api.error("download", [await store.put(corrupt)])
    assert (status, code) == (422, "payload_corrupt")
    unknown = Payload(metadata={"encoding": b"binary/encrypted"}, data=b"...")
    status, code, _ = await api.error("download", [await store.put(unknown)])
    assert (status, code) == (422, "payload_not_decoded")


async def test_a_reference_to_an_unknown_driver_tells_the_log_which_are_known(serve, make, store, caplog):
    api = await serve()
    reference = await store.put(make.flipped(make.plain(1)))
    reference.data = reference.data.replace(b'"memory"', b'"attic"')
    status, code, message = await api.error("download", [reference])
    assert (status, code) == (422, "unknown_driver")
    assert "'attic'" in message
    assert "memory" not in message
    assert "configured: memory" in caplog.text


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"driverName": 1}', b'{"claimData": []}', b"\xff", b"[" * 20_000]
)
async def test_a_reference_that_holds_no_reference_is_refused(serve, data):
    api = await serve()
    for metadata in (
        {
            "encoding": b"json/protobuf",
            "messageType": b"temporal.api.sdk.v1.ExternalStorageReference",
        },
        {"encoding": b"json/external-storage-reference"},
    ):
        status, code, _ = await api.error("download", [Payload(metadata=metadata, data=data)])
        assert (status, code) in {(403, "reference_rejected"), (422, "unknown_driver")}


async def test_the_first_of_several_that_fails_is_named(serve, make, store):
    api = await serve()
    good = await store.put(make.flipped(make.plain(1)))
    bad = await store.put(make.flipped(make.plain(2)))
    del store.objects[next(key for key in store.objects if key in bad.data.decode())]
    _, _, message = await api.error("download", [good, bad])
    assert message.startswith("payloads[1]: ")


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (StorageUnavailableError("it is down"), (503, "storage_unavailable")),
        (StorageTimeoutError("it is slow"), (504, "storage_timeout")),
        (StoragePermissionError("grant s3:GetObject"), (502, "storage_failed")),
        (StorageMisconfiguredError("no such bucket"), (502, "storage_failed")),
        (PayloadIntegrityError("other bytes"), (422, "payload_corrupt")),
        (OSError("secret-token in a client's message"), (502, "storage_failed")),
    ],
)
async def test_a_failing_store_is_told_from_a_bad_request(serve, make, store, failure, expected):
    api = await serve()
    reference = await store.put(make.flipped(make.plain(1)))
    store.failure = failure
    found = await api.error("download", [reference])
    assert found[:2] == expected
    assert "secret-token" not in found[2]


async def test_the_answer_is_not_kept_by_caches(serve, make, store):
    api = await serve()
    response = await api.post("download", [await store.put(make.flipped(make.plain(1)))])
    assert await response.json() == {"payloads": [MessageToDict(make.plain(1))]}
    assert response.headers["Cache-Control"] == "no-store"
