"""The two wire formats, from the published vectors and made here from the facts alone."""

import base64
import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporal_payloads_encryption_codec import EncryptionCodec, KeyRing
from temporalio.api.common.v1 import Payload

VECTORS = json.loads((Path(__file__).parents[3] / "tests/vectors/codecs.json").read_text())
KEY = base64.b64decode(VECTORS["encryption_key"])
KEY_ID = VECTORS["encryption_key_id"]
ONE = bytes([1]) * 32
URI = "awskms:///alias/orders?region=eu-central-1"


def parse(text):
    return Payload.FromString(base64.b64decode(text))


def sample_encode(payload, key, key_id, **metadata):
    """What the samples write, by the facts."""
    nonce = os.urandom(12)
    return Payload(
        metadata={"encoding": b"binary/encrypted", "encryption-key-id": key_id.encode(), **metadata},
        data=nonce + AESGCM(key).encrypt(nonce, payload.SerializeToString(), None),
    )


def sample_decode(payload, key):
    return Payload.FromString(AESGCM(key).decrypt(payload.data[:12], payload.data[12:], None))


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
async def test_the_published_vectors_are_read_and_written(case):
    codec = EncryptionCodec(KeyRing.of({KEY_ID: KEY}, KEY_ID))
    payload, encrypted = parse(case["payload"]), parse(case["encrypted"])
    assert await codec.decode([encrypted]) == [payload]
    [ours] = await codec.encode([payload])
    assert dict(ours.metadata) == dict(encrypted.metadata)
    assert len(ours.data) == len(encrypted.data)
    assert sample_decode(ours, KEY) == payload


async def test_the_samples_key_is_a_key(payload, make, monkeypatch):
    monkeypatch.setenv("SAMPLES_KEY", "text:test-key-test-key-test-key-test!")
    codec = make(active="test-key-id", keys={"test-key-id": {"env": "SAMPLES_KEY"}})
    theirs = sample_encode(payload, b"test-key-test-key-test-key-test!", "test-key-id")
    assert await codec.decode([theirs]) == [payload]


async def test_each_nonce_is_new(payload):
    codec = EncryptionCodec(KeyRing.of({"a": ONE}, "a"))
    encoded = await codec.encode([payload] * 100)
    assert len({each.data[:12] for each in encoded}) == 100


async def test_with_a_providers_key_the_data_key_stands_beside_the_payload(make, payload, vault):
    codec = make(active=URI)
    [ours] = await codec.encode([payload])
    assert set(ours.metadata) == {"encoding", "encryption-key-id", "encryption-dek"}
    assert ours.metadata["encryption-key-id"] == URI.encode()
    wrapped = base64.b64decode(ours.metadata["encryption-dek"], validate=True)
    assert sample_decode(ours, await vault.unwrap_data_key(URI, wrapped)) == payload


async def test_what_the_proxy_would_write_is_read(make, payload, vault):
    data_key = await vault.make_data_key(URI)
    theirs = sample_encode(
        payload, data_key.plaintext, URI, **{"encryption-dek": base64.b64encode(data_key.wrapped)}
    )
    assert await make(active=URI).decode([theirs]) == [payload]


async def test_both_forms_are_read_whichever_is_written(make, payload):
    local = {"a": {"env": "KEY_1"}}
    sample, envelope = make(active="a", keys={**local, URI: {}}), make(active=URI, keys=local)
    [one], [other] = await sample.encode([payload]), await envelope.encode([payload])
    assert "encryption-dek" not in one.metadata
    assert "encryption-dek" in other.metadata
    for codec in (sample, envelope):
        assert await codec.decode([one, other, payload]) == [payload] * 3


@pytest.mark.parametrize("size", [0, 1, 1000, 600_000, 3_000_000])
async def test_sizes(make, make_payload, size):
    codec = make(active="a", keys={"a": {"env": "KEY_1"}})
    payload = make_payload(size)
    [encoded] = await codec.encode([payload])
    assert sample_decode(encoded, ONE) == payload
    assert await codec.decode([encoded]) == [payload]
