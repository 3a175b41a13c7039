"""What the codec tells of its keys, and of the key of a payload: for the commands, and never the key."""

import base64

import pytest
from temporal_payloads.plugin import KeyDescription
from temporal_payloads_encryption_codec import EncryptionCodec, KeyRing
from temporal_payloads_encryption_codec._fingerprint import fingerprint

KEYS = {"one": {"env": "KEY_1"}, "two": {"env": "KEY_2"}}
URI = "awskms:///alias/orders"


def test_each_key_says_what_it_is_used_for(make):
    codec = make(active="one", keys=KEYS | {URI: {}}, namespaces={"prod-*": ["two", "one"], "test": URI})
    one, two, kms = codec.describe_keys()
    assert (one.id, one.active, one.writes_for, one.reads_for) == ("one", True, [], ["prod-*"])
    assert (two.id, two.active, two.writes_for, two.reads_for) == ("two", False, ["prod-*"], [])
    assert (kms.id, kms.active, kms.writes_for) == (URI, False, ["test"])
    assert [key.writes for key in (one, two, kms)] == [True, True, True]
    assert [key.writes for key in make(active="one", keys=KEYS).describe_keys()] == [True, False]


def test_each_key_says_where_it_comes_from(make, tmp_path):
    key = tmp_path / "two.key"
    key.write_text(base64.b64encode(bytes([2]) * 32).decode())
    codec = make(active="one", keys={"one": {"env": "KEY_1"}, "two": {"file": key}, URI: {}})
    assert [one.source for one in codec.describe_keys()] == [
        "variable KEY_1",
        f"file {key}",
        "key provider awskms",
    ]
    ring = tmp_path / "ring.toml"
    ring.write_text(f'active = "three"\nkeys.three = "{key.read_text()}"\nkeys.one.env = "KEY_1"')
    assert [one.source for one in make(file=ring).describe_keys()] == [f"file {ring}", "variable KEY_1"]
    assert [one.source for one in EncryptionCodec(KeyRing.of({"a": b"1" * 32}, "a")).describe_keys()] == [
        "code"
    ]


def test_keys_that_were_read_again_are_told(make, tmp_path, monkeypatch):
    monkeypatch.setattr("temporal_payloads_encryption_codec._ring_file.LOOKED_AT_EVERY", 0)
    ring = tmp_path / "ring.toml"
    ring.write_text('active = "one"\nkeys.one.env = "KEY_1"')
    codec = make(file=ring)
    ring.write_text('active = "two"\nkeys.one.env = "KEY_1"\nkeys.two.env = "KEY_2"')
    assert [(key.id, key.writes) for key in codec.describe_keys()] == [("two", True), ("one", False)]


def test_a_fingerprint_tells_keys_apart_and_nothing_of_them():
    keys = [bytes([number]) * 32 for number in range(1, 20)]
    prints = [fingerprint(key) for key in keys]
    assert len(set(prints)) == len(keys)
    assert fingerprint(keys[0]) == prints[0]  # the same in every process
    for key, found in zip(keys, prints, strict=True):
        assert found is not None
        assert len(found) == 16  # 64 of 256 bits
        assert found not in key.hex()


def test_the_fingerprint_is_the_same_in_every_release():
    # Deployments of different releases compare them.
    assert fingerprint(bytes(range(32))) == "4bb3294890fda50c"


@pytest.mark.parametrize("text", [b"test-key-test-key-test-key-test!", b"correct horse battery staple 123"])
def test_a_text_that_could_be_guessed_has_none(text):
    assert fingerprint(text) is None


def test_nothing_of_a_key_is_in_its_description(make):
    codec = make(active="one", keys=KEYS)
    for secret in (bytes([1]) * 32, bytes([2]) * 32):
        for form in (secret.hex(), base64.b64encode(secret).decode(), repr(secret)):
            assert form not in repr(codec.describe_keys())
    assert set(KeyDescription.__dataclass_fields__) == {
        *("id", "source", "active", "writes_for", "reads_for", "fingerprint")
    }


async def test_the_key_of_a_payload_is_told_in_both_formats(make, payload):
    codec = make(active="one", keys=KEYS, namespaces={"test": URI})
    [encoded] = await codec.encode([payload])
    assert codec.key_of(encoded) == "one"
    provided = make(active=URI)
    [encoded] = await provided.encode([payload])
    assert provided.key_of(encoded) == URI
    # Also where the key is not in the ring.
    assert make(active="two", keys=KEYS).key_of(encoded) == URI
    encoded.metadata["encryption-key-id"] = b"\xffnobody"
    assert codec.key_of(encoded) == "\ufffdnobody"


def test_other_payloads_have_no_key(make, payload):
    codec = make(active="one", keys=KEYS)
    assert codec.key_of(payload) is None
    payload.metadata["encryption-key-id"] = b"one"
    assert codec.key_of(payload) is None
    payload.metadata["encoding"] = b"binary/encrypted"
    del payload.metadata["encryption-key-id"]
    assert codec.key_of(payload) is None
