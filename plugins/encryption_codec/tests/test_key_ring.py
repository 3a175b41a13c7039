"""Which key writes, which are read, and what is wrong with a ring."""

import base64
import json
import logging

import pytest
from pydantic import ValidationError
from temporal_payloads import ConfigurationError, build_data_converter
from temporal_payloads.plugin import (
    KeyNotForNamespaceError,
    PayloadIntegrityError,
    PayloadNotDecodedError,
    PayloadReaderContext,
    PluginSettingsError,
)
from temporal_payloads_encryption_codec import EncryptionCodec, KeyRing
from temporal_payloads_encryption_codec._key_ring import WARN_FROM, Usage
from temporal_payloads_encryption_codec._key_text import read_key
from temporal_payloads_encryption_codec._settings import EncryptionSettings
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext

ONE, TWO, THREE = (bytes([number]) * 32 for number in (1, 2, 3))
KEYS = {"one": {"env": "KEY_1"}, "two": {"env": "KEY_2"}, "three": {"env": "KEY_3"}}
URI = "awskms:///alias/orders"


def in_namespace(namespace):
    return WorkflowSerializationContext(namespace=namespace, workflow_id="w")


def key_of(payload):
    return payload.metadata["encryption-key-id"].decode()


# -- writing and reading


async def test_the_active_key_writes_and_all_are_read(make, payload):
    before, after = make(active="one", keys=KEYS), make(active="two", keys=KEYS)
    [old], [new] = await before.encode([payload]), await after.encode([payload])
    assert (key_of(old), key_of(new)) == ("one", "two")
    for codec in (before, after):
        assert await codec.decode([old, new]) == [payload] * 2


async def test_a_namespace_has_its_own_writing_key(make, payload):
    codec = make(
        active="one", keys=KEYS, namespaces={"prod-*": "two", "prod-eu": "three", "test": ["three", "one"]}
    )
    written = {
        namespace: key_of((await codec.with_context(in_namespace(namespace)).encode([payload]))[0])
        for namespace in ("prod-us", "prod-eu", "test", "other")
    }
    assert written == {"prod-us": "two", "prod-eu": "two", "test": "three", "other": "one"}
    assert key_of((await codec.encode([payload]))[0]) == "one"


@pytest.mark.parametrize(
    ("patterns", "never_reached"),
    [
        (["*", "prod-*", "test"], {"prod-*": "*", "test": "*"}),
        (["prod-*", "prod-eu-*", "prod-?", "*"], {"prod-eu-*": "prod-*", "prod-?": "prod-*"}),
        (["*-eu", "prod-*"], {}),
        (["prod-?", "prod-*"], {}),
        (["*a", "[ab]a", "*b*", "[ab]"], {}),
    ],
)
def test_a_pattern_that_an_earlier_one_makes_useless_is_told(make, caplog, patterns, never_reached):
    with caplog.at_level(logging.WARNING, "temporal_payloads"):
        codec = make(active="one", keys=KEYS, namespaces=dict.fromkeys(patterns, "two"))
    assert len(caplog.messages) == len(never_reached)
    for later, earlier in never_reached.items():
        assert f"the key of the namespaces {later!r} never writes: {earlier!r} stands before" in caplog.text
    two = next(key for key in codec.describe_keys() if key.id == "two")
    assert two.writes_for == [pattern for pattern in patterns if pattern not in never_reached]
    assert two.reads_for == list(never_reached)


async def test_reading_goes_by_key_id_alone(make, payload):
    codec = make(active="one", keys=KEYS, namespaces={"a": "two", "b": "three"})
    encoded = await codec.with_context(in_namespace("a")).encode([payload])
    assert await codec.with_context(in_namespace("b")).decode(encoded) == [payload]
    assert await codec.decode(encoded) == [payload]


async def test_a_key_that_nobody_knows_is_left_alone_and_explained(make, payload):
    [foreign] = await EncryptionCodec(KeyRing.of({"theirs": THREE}, "theirs")).encode([payload])
    codec = make(active="one", keys={"one": KEYS["one"]})
    assert await codec.decode([foreign, payload]) == [foreign, payload]
    why = codec.why_left_alone(foreign)
    assert "'theirs', which is not in the key ring (one). Add that key" in why
    del foreign.metadata["encryption-key-id"]
    assert await codec.decode([foreign]) == [foreign]
    assert "no encryption-key-id" in codec.why_left_alone(foreign)
    assert codec.why_left_alone(payload) is None


async def test_a_data_key_beside_a_key_that_is_at_hand_is_left_alone_and_explained(make, payload):
    codec = make(active="one", keys={**KEYS, URI: {}})
    [local] = await codec.encode([payload])
    local.metadata["encryption-dek"] = b"AAAA"
    assert await codec.decode([local]) == [local]
    assert "has encryption-dek, and the key 'one' is one that is given as such" in codec.why_left_alone(local)
    local.metadata["encryption-key-id"] = URI.encode()
    del local.metadata["encryption-dek"]
    assert await codec.decode([local]) == [local]
    assert "lacks encryption-dek" in codec.why_left_alone(local)


async def test_another_key_under_the_same_id_is_told_and_may_be_tried_again(make, payload):
    [theirs] = await EncryptionCodec(KeyRing.of({"one": THREE}, "one")).encode([payload])
    with pytest.raises(PayloadIntegrityError, match="another key has the same id") as caught:
        await make(active="one", keys=KEYS).decode([theirs])
    assert not caught.value.non_retryable


# -- for somebody else


async def test_a_codec_server_decrypts_with_a_key_for_its_patterns_alone(make, payload):
    codec = make(active="one", keys=KEYS, namespaces={"prod-*": ["two", "three"]})
    new = await codec.with_context(in_namespace("prod-a")).encode([payload])
    old = await EncryptionCodec(KeyRing.of({"three": THREE}, "three")).encode([payload])
    default = await codec.encode([payload])
    reader = codec.with_context(PayloadReaderContext("prod-b"))
    assert await reader.decode([*new, *old, *default]) == [payload] * 3
    for context in (PayloadReaderContext("test"), PayloadReaderContext("")):
        stranger = codec.with_context(context)
        assert await stranger.decode(default) == [payload]
        for encoded in (new, old):
            with pytest.raises(KeyNotForNamespaceError, match=r"is for namespaces that match prod-\*"):
                await stranger.decode(encoded)
    invited = codec.with_context(PayloadReaderContext("test", frozenset({"prod-x"})))
    assert await invited.decode([*new, *old]) == [payload] * 2


async def test_the_active_key_is_for_all_namespaces_without_a_pattern_too(make, payload):
    codec = make(active="one", keys=KEYS, namespaces={"prod-*": "one", "test": "two"})
    encoded = await codec.encode([payload])
    for namespace in ("prod-a", "anything"):
        assert await codec.with_context(PayloadReaderContext(namespace)).decode(encoded) == [payload]
    with pytest.raises(KeyNotForNamespaceError):
        await codec.with_context(PayloadReaderContext("test")).decode(encoded)


async def test_a_codec_server_writes_with_the_namespaces_key(make, payload):
    codec = make(active="one", keys=KEYS, namespaces={"prod-*": "two"})
    [encoded] = await codec.with_context(PayloadReaderContext("prod-a")).encode([payload])
    assert key_of(encoded) == "two"


# -- bound to a namespace


async def test_a_bound_payload_is_read_in_its_namespace_alone(make, payload):
    codec = make(active="one", keys=KEYS, bind="namespace")
    [bound] = await codec.with_context(in_namespace("a")).encode([payload])
    assert bound.metadata["encryption-bind"] == b"namespace"
    activity = ActivitySerializationContext(
        namespace="a", activity_id="1", activity_type="t", activity_task_queue="q", workflow_id="w",
        workflow_type="w", is_local=False,
    )  # fmt: skip
    for context in (in_namespace("a"), activity, PayloadReaderContext("b", frozenset({"a"}))):
        assert await codec.with_context(context).decode([bound]) == [payload]
    with pytest.raises(PayloadIntegrityError, match="bound to a namespace, and this may be another one"):
        await codec.with_context(in_namespace("b")).decode([bound])
    with pytest.raises(PayloadNotDecodedError, match="Nexus"):
        await codec.decode([bound])


async def test_taking_the_mark_off_does_not_unbind_it(make, payload):
    codec = make(active="one", keys=KEYS, bind="namespace").with_context(in_namespace("a"))
    [bound] = await codec.encode([payload])
    del bound.metadata["encryption-bind"]
    with pytest.raises(PayloadIntegrityError):
        await codec.decode([bound])


async def test_what_is_bound_is_read_by_whoever_does_not_bind(make, payload):
    [bound] = (
        await make(active="one", keys=KEYS, bind="namespace")
        .with_context(in_namespace("a"))
        .encode([payload])
    )
    assert await make(active="one", keys=KEYS).with_context(in_namespace("a")).decode([bound]) == [payload]


async def test_what_is_not_bound_is_read_unless_that_is_not_accepted(make, payload):
    unbound = await make(active="one", keys=KEYS).encode([payload])
    binding = make(active="one", keys=KEYS, bind="namespace").with_context(in_namespace("a"))
    assert await binding.decode(unbound) == [payload]
    strict = make(active="one", keys=KEYS, bind="namespace", accept_unbound=False).with_context(
        in_namespace("a")
    )
    with pytest.raises(PayloadNotDecodedError, match="accept_unbound is false"):
        await strict.decode(unbound)


async def test_a_binding_of_another_kind_is_left_alone(make, payload):
    codec = make(active="one", keys=KEYS)
    [encoded] = await codec.encode([payload])
    encoded.metadata["encryption-bind"] = b"workflow"
    assert await codec.decode([encoded]) == [encoded]
    assert "which this release does not know" in codec.why_left_alone(encoded)


# -- what is wrong with a ring


def only(key):
    return {"active": "one", "keys": {"one": key}}


@pytest.mark.parametrize(
    ("settings", "place", "message"),
    [
        (
            {"active": "four"},
            ("active",),
            "names the key 'four', which is not among the keys (one, two, three)",
        ),
        ({"active": "one", "namespaces": {"a": "four"}}, ("namespaces", "a"), "names the key 'four'"),
        (only({}), ("keys", "one"), "has no key; give one of env and file"),
        (only({"env": "KEY_1", "file": "x"}), ("keys", "one"), "has env and file"),
        (only({"env": "UNSET"}), ("keys", "one", "env"), "the variable UNSET is not set"),
        (only({"env": "WRONG"}), ("keys", "one", "env"), "the variable WRONG is a key of"),
        (only({"file": "/nowhere"}), ("keys", "one", "file"), "/nowhere cannot be read"),
        (
            {"active": "one", "keys": {"one": KEYS["one"], "same": KEYS["one"]}},
            ("keys", "same"),
            "is the same key as 'one', under two ids: remove one",
        ),
        ({"active": URI, "keys": {URI: {"env": "KEY_1"}}}, ("keys", URI), "a table without settings"),
    ],
)
def test_a_ring_that_cannot_be_is_told_with_its_place(make, monkeypatch, settings, place, message):
    monkeypatch.setenv("WRONG", "c2VjcmV0LXNlY3JldC1zZWNyZXQ=")
    with pytest.raises(PluginSettingsError) as caught:
        make(**{"keys": KEYS, **settings})
    [(its_place, text)] = caught.value.problems
    assert its_place == place
    assert message in text
    assert "c2VjcmV0" not in str(caught.value)


def test_all_keys_that_are_wrong_are_told(make):
    with pytest.raises(PluginSettingsError) as caught:
        make(active="a", keys={"a": {"env": "UNSET_A"}, "b": {"file": "/nowhere"}})
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "active is missing"),
        ({"active": "a", "file": "ring.toml"}, "not in both"),
        ({"active": "a", "keys": {"a": "MDEyMzQ1Njc4OWFiY2RlZg=="}}, "a key does not stand in the settings"),
        ({"active": "a", "keys": {"a": {"key": "MDEyMzQ1Njc4OWFiY2RlZg=="}}}, "Give env or file"),
        ({"active": "a", "renew_before": "2h"}, "shorter than duration"),
        ({"active": ""}, "at least 1 character"),
        ({"active": "a", "namespaces": {"x": []}}, "names no key: list at least one"),
        ({"active": "a", "bind": "workflow"}, "'namespace'"),
        ({"active": "a", "accept_unbound": False}, r"accept_unbound\n.* needs bind = \"namespace\""),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValidationError, match=message) as caught:
        EncryptionSettings(**settings)
    assert "MDEyMzQ1" not in str(caught.value)


@pytest.mark.parametrize("name", ["KEYS__A", "KEYS__A__KEY"])
def test_a_key_in_a_variable_of_the_settings_is_told_with_that_variable(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    for setting, value in {"ENCRYPTION__BIND": "namespace", "ENCRYPTION__ACTIVE": "a"}.items():
        monkeypatch.setenv(f"TEMPORAL_PAYLOADS_CODEC__{setting}", value)
    monkeypatch.setenv("TEMPORAL_PAYLOADS_CODECS", "encryption")
    monkeypatch.setenv(f"TEMPORAL_PAYLOADS_CODEC__ENCRYPTION__{name}", ONE.hex())
    with pytest.raises(ConfigurationError, match="a key does not stand in the settings") as caught:
        build_data_converter()
    [problem] = caught.value.problems
    assert problem.place == "codec.encryption.keys.a"
    assert problem.origin == f"TEMPORAL_PAYLOADS_CODEC__ENCRYPTION__{name}"
    assert ONE.hex() not in str(caught.value)


def test_a_ring_by_hand_is_checked_too():
    with pytest.raises(ValueError, match="'a' has 16 bytes, not 32"):
        KeyRing.of({"a": b"1" * 16}, "a")
    with pytest.raises(ValueError, match="active names the key 'b', which is not among the keys"):
        KeyRing.of({"a": ONE}, "b")
    with pytest.raises(ValueError, match=r"keys\.b is the same key as 'a'"):
        KeyRing.of({"a": ONE, "b": ONE}, "a")


def test_nothing_shows_a_key(make):
    codec = make(active="one", keys=KEYS, namespaces={"a": "two"})
    shown = "".join(map(repr, (codec, codec._ring.current(), *codec._ring.current().keys.values())))
    assert "one" in shown
    for secret in (ONE, TWO, THREE):
        assert secret.hex() not in shown
        assert repr(secret)[2:20] not in shown


# -- how often a key has been used


async def test_messages_are_counted_for_each_key(make, payload):
    codec = make(active="one", keys=KEYS, namespaces={"a": "two"})
    await codec.encode([payload] * 3)
    await codec.with_context(in_namespace("a")).encode([payload] * 2)
    assert codec.messages() == {"one": 3, "two": 2, "three": 0}


def test_a_key_that_has_encrypted_very_much_is_told_and_told_again(caplog):
    usage = Usage("one")
    with caplog.at_level(logging.WARNING, "temporal_payloads"):
        usage.count(WARN_FROM - 1)
        assert caplog.messages == []
        usage.count(1)
        usage.count(1)
        assert len(caplog.messages) == 1
        usage.count(WARN_FROM)
    assert len(caplog.messages) == 2
    assert "'one' has encrypted 268435456 messages" in caplog.messages[0]


@pytest.mark.parametrize("text", [base64.b64encode(ONE).decode(), ONE.hex(), "ab" * 32, "text:" + "k" * 32])
@pytest.mark.parametrize("where", ["env", "file"])
def test_a_key_where_the_name_of_its_place_is_meant_is_not_shown(where, text):
    with pytest.raises(ValidationError) as caught:
        EncryptionSettings(active="a", keys={"a": {where: text}})
    assert text[:8] not in str(caught.value)


def test_a_place_whose_name_reads_as_a_key_is_taken_if_it_is_there(make, monkeypatch, tmp_path):
    name, path = "ORDERS_SERVICE_PAYLOAD_ENCRYPTION_KEY_2026B", "run/secrets/orders/encryption/keys/2026-110"
    assert [len(read_key(each)) for each in (name, path)] == [32, 32]
    monkeypatch.setenv(name, base64.b64encode(ONE).decode())
    monkeypatch.chdir(tmp_path)
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_bytes(TWO)
    codec = make(active="a", keys={"a": {"env": name}, "b": {"file": path}})
    assert [key.source for key in codec.describe_keys()] == [f"variable {name}", f"file {path}"]
    monkeypatch.delenv(name)
    (tmp_path / path).unlink()
    for table in ({"env": name}, {"file": path}):
        with pytest.raises(ValidationError, match="or names what is not there") as caught:
            EncryptionSettings(active="a", keys={"a": table})
        assert not any(each in str(caught.value) for each in table.values())


@pytest.mark.parametrize("text", [base64.b64encode(ONE).decode(), ONE.hex(), "text:" + "k" * 32])
@pytest.mark.parametrize(
    "settings",
    [
        lambda text: {"active": text, "keys": KEYS},
        lambda text: {"active": "a", "keys": {text: {"env": "KEY_1"}}},
        lambda text: {"active": "a", "keys": {text: "2026-11"}},
        lambda text: {"active": "a", "keys": {"a": {text: ""}}},
        lambda text: {"active": "one", "keys": KEYS, "namespaces": {"p-*": text}},
        lambda text: {"active": "one", "keys": KEYS, "namespaces": {"p-*": ["one", text]}},
        lambda text: {"active": "one", "keys": KEYS, "namespaces": {text: "one"}},
    ],
)
def test_a_key_where_an_id_belongs_is_not_shown(make, tmp_path, settings, text):
    with pytest.raises(ValidationError, match=r"give the key an id|the variable") as caught:
        EncryptionSettings(**settings(text))
    assert text[:8] not in str(caught.value)
    ring = tmp_path / "ring.toml"
    ring.write_text("\n".join(f"{name} = {as_toml(value)}" for name, value in settings(text).items()))
    with pytest.raises(PluginSettingsError, match="give the key an id") as in_file:
        make(file=ring)
    assert text[:8] not in str(in_file.value)


def as_toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {as_toml(each)}" for name, each in value.items()) + "}"
    return json.dumps(value)
