"""The codec server over real stores, with the plugins as they are installed."""

import hashlib
import json
import logging
import os

import pytest
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import assemble
from temporal_payloads._storage.references import is_encoded_reference, is_reference, read_reference
from temporal_payloads.codec_server import create_app


def s3_driver(server, bucket):
    return {
        "type": "s3",
        "bucket": bucket,
        "endpoint_url": server.endpoint_url,
        "region": server.region,
        "access_key_id": server.access_key_id,
        "secret_access_key": server.secret_access_key,
    }


@pytest.fixture(params=["s3", "redis"])
def real_settings(request):
    if request.param == "s3":
        driver = s3_driver(request.getfixturevalue("s3_server"), request.getfixturevalue("s3_bucket"))
    else:
        server = request.getfixturevalue("redis_server")
        prefix = hashlib.sha256(os.urandom(8)).hexdigest()
        driver = {"type": "redis", "url": server.url, "key_prefix": prefix}
    storage = {"threshold": 1000, "drivers": {request.param: driver}, "cache": {"max_size": 0}}
    return PayloadSettings(codecs=["gzip"], storage=storage)


@pytest.fixture
async def real_api(real_settings, serve_app):
    return await serve_app(create_app(real_settings))


async def test_what_is_encoded_comes_back(real_api, make):
    small, large = make.plain("x" * 500), make.plain(os.urandom(5000).hex())
    encoded = await real_api.payloads("encode", [small, large], namespace="orders")
    assert [is_reference(one) or is_encoded_reference(one) for one in encoded] == [False, True]
    assert await real_api.payloads("decode", encoded, namespace="orders") == [small, large]
    assert await real_api.payloads("download", encoded[1:], namespace="orders") == [large]
    assert (await real_api.error("download", encoded[1:], namespace="billing"))[0] == 403


async def test_a_missing_object_and_a_forged_one(real_api, make):
    large = make.plain(os.urandom(5000).hex())
    encoded = await real_api.payloads("encode", [large])
    [reference] = await real_api.payloads("decode?preserveStorageRefs=true", encoded)
    sha256 = read_reference(reference).claim.claim_data["hash_value"]
    missing = type(reference)()
    missing.CopyFrom(reference)
    missing.data = reference.data.replace(sha256.encode(), b"0" * 64)
    assert (await real_api.error("download", [missing]))[:2] == (410, "payload_not_found")
    forged = type(reference)()
    forged.CopyFrom(reference)
    claim = json.loads(reference.data)
    claim["claimData"]["key"] = "secrets/database.json"
    forged.data = json.dumps(claim).encode()
    assert (await real_api.error("download", [forged]))[:2] == (403, "reference_rejected")
    claim = json.loads(reference.data)
    claim["claimData"]["hash_value"] = "0" * 64
    forged.data = json.dumps(claim).encode()
    assert (await real_api.error("download", [forged]))[:2] == (403, "reference_rejected")


async def test_a_worker_of_the_same_settings_reads_what_the_server_encoded(real_api, real_settings, make):
    [reference] = await real_api.payloads("encode", [make.plain("y" * 5000 + os.urandom(900).hex())])
    assembly = assemble(real_settings)
    async with assembly.drivers_open():
        [value] = await assembly.converter.decode([reference])
    assert value.startswith("yyy")


async def test_the_server_is_ready_when_the_store_answers(real_api):
    assert (await real_api.client.get("/readyz")).status == 200


async def test_the_server_starts_and_is_not_ready_while_the_store_is_away(serve_app, s3_server):
    driver = {**s3_driver(s3_server, "no-such-bucket"), "secret_access_key": "wrong-secret"}
    settings = PayloadSettings(storage={"drivers": {"s3": driver}})
    api = await serve_app(create_app(settings))
    response = await api.client.get("/readyz")
    assert response.status == 503
    assert "wrong-secret" not in await response.text()
    assert (await api.client.get("/healthz")).status == 200


# -- what a refusal tells

FAILED = dict.fromkeys(("encode", "decode", "download"), "storage_failed")
REJECTED = dict.fromkeys(("decode", "download"), "reference_rejected")


@pytest.mark.parametrize(
    ("changes", "codes", "logged"),
    [
        ({"secret_access_key": "wrong-secret"}, FAILED, "the credentials are not accepted"),
        ({"bucket": "another-bucket"}, REJECTED, "another-bucket"),
        ({"max_payload_size": 1000}, {"encode": "limit_exceeded"}, "max_payload_size"),
    ],
)
async def test_a_refusal_tells_no_bucket_endpoint_or_setting_and_the_log_tells_all(
    serve_app, s3_server, s3_bucket, make, caplog, changes, codes, logged
):
    caplog.set_level(logging.INFO)
    working = s3_driver(s3_server, s3_bucket)

    async def serve(driver):
        storage = {"threshold": 0, "timeout": 20, "drivers": {"s3": driver}, "cache": {"max_size": 0}}
        return await serve_app(create_app(PayloadSettings(storage=storage)))

    payload = make.plain(os.urandom(1000).hex())
    [reference] = await (await serve(working)).payloads("encode", [payload])
    driver = {**working, **changes}
    api = await serve(driver)
    secret = [*changes, *map(str, changes.values()), s3_bucket, s3_server.endpoint_url, "storage.", "aws."]
    for operation, code in codes.items():
        caplog.clear()
        if operation == "decode":
            [got] = await api.payloads("decode", [reference])
            got_code, told = got.metadata["temporal-payloads-error"].decode().split(": ", 1)
        else:
            sent = payload if operation == "encode" else reference
            _, got_code, told = await api.error(operation, [sent])
            # The line of the request has the whole sentence.
            [record] = [each for each in caplog.records if each.name.endswith("codec_server.access")]
            assert logged in record.fields["reason"]
        assert got_code == code
        assert [part for part in secret if part in told] == []
        assert logged in caplog.text
        assert "wrong-secret" not in caplog.text
