"""What check says of codecs and keys, and of what another deployment has."""

import base64
import io
import json
import re
import sys
from pathlib import Path

import pytest

KEYS = {name: base64.b64encode(bytes([number]) * 32).decode() for number, name in enumerate("ABCD", 1)}


@pytest.fixture
def deployment(monkeypatch, run):
    """Write the settings of a deployment; return what its check prints as JSON."""
    for name, key in KEYS.items():
        monkeypatch.setenv(f"KEY_{name}", key)

    def deployment(settings):
        Path("temporal-payloads.toml").write_text(settings)
        return run("check", "--json")[1]

    return deployment


def ring(active, *others, text="", **variables):
    """Return settings with a key that writes and others that are read."""
    lines = [text, 'codecs = ["gzip", "encryption"]', f'codec.encryption.active = "{active}"']
    lines += [
        f'codec.encryption.keys.{key}.env = "{variables.get(key, f"KEY_{key}")}"' for key in (active, *others)
    ]
    return "\n".join(lines)


@pytest.fixture
def peer(tmp_path):
    """Keep what the check of a peer has printed in a file."""

    def peer(printed):
        file = tmp_path / "peer.json"
        file.write_text(printed)
        return str(file)

    return peer


def test_codecs_are_shown_with_what_they_are(run, write_settings, monkeypatch):
    monkeypatch.setenv("KEY_A", KEYS["A"])
    write_settings("""
        codecs = ["small", "encryption"]
        decode_only = ["zlib"]
        [codec.small]
        type = "gzip"
        [codec.encryption]
        active = "A"
        keys.A.env = "KEY_A"
    """)
    status, out, _ = run("check")
    assert status == 0
    assert "\n  small -> encryption\n" in out
    assert re.search(r"small +gzip +compresses +encode and decode +-\n", out)
    assert re.search(r"encryption +encryption +encrypts +encode and decode +ready\n", out)
    assert re.search(r"zlib +zlib +compresses +decode only +-\n", out)
    document = json.loads(run("check", "--json")[1])
    assert [(one["name"], one["type"], one["role"], one["decode_only"]) for one in document["codecs"]] == [
        ("small", "gzip", "compress", False),
        ("encryption", "encryption", "encrypt", False),
        ("zlib", "zlib", "compress", True),
    ]
    assert document["codecs"][0]["encodings"] == ["binary/gzip"]


def test_codecs_that_cannot_be_made_are_named_all_the_same(run, write_settings):
    write_settings('codecs = ["gzip", "encryptoin"]\ndecode_only = ["zlib"]')
    document = json.loads(run("check", "--json")[1])
    assert [(one["name"], one["decode_only"], one["role"]) for one in document["codecs"]] == [
        ("gzip", False, None),
        ("encryptoin", False, None),
        ("zlib", True, None),
    ]


def test_the_key_ring_is_shown_without_the_keys(run, write_settings, monkeypatch, tmp_path):
    monkeypatch.setenv("KEY_A", KEYS["A"])
    (tmp_path / "b.key").write_text(KEYS["B"])
    (tmp_path / "sample.key").write_text("text:test-key-test-key-test-key-test!")
    write_settings("""
        codecs = ["encryption"]
        [codec.encryption]
        active = "A"
        [codec.encryption.keys]
        A = { env = "KEY_A" }
        B = { file = "b.key" }
        old = { file = "sample.key" }
        [codec.encryption.namespaces]
        "prod-*" = ["B", "A"]
    """)
    for command in ("check", "keys"):
        out = run(command)[1]
        assert re.search(r"A +writes; read for prod-\* +variable KEY_A +[0-9a-f]{16}\n", out)
        assert re.search(r"B +writes for prod-\* +file b\.key +[0-9a-f]{16}\n", out)
        # Somebody thought of it, so that a fingerprint would let it be guessed.
        assert re.search(r"old +read only +file sample\.key +-\n", out)
        printed = out + run(command, "--json")[1]
        for secret in (*KEYS.values(), *(base64.b64decode(key).hex() for key in KEYS.values()), "test-key"):
            assert secret not in printed
    [codec] = json.loads(run("keys", "--json")[1])["codecs"]
    assert codec["keys"][0] == {
        "id": "A",
        "source": "variable KEY_A",
        "active": True,
        "writes_for": [],
        "reads_for": ["prod-*"],
        "fingerprint": codec["keys"][0]["fingerprint"],
    }


def test_without_keys_there_are_none(run, write_settings):
    write_settings('codecs = ["gzip"]')
    assert run("keys") == (0, "No codec has keys.\n", "")
    document = json.loads(run("keys", "--json")[1])
    assert document == {"version": 1, "ok": True, "codecs": [], "error": None, "problems": []}


@pytest.fixture
def refused_by_kms(write_settings, moto_server, monkeypatch):
    """Write settings with a key of KMS that may not be written with."""
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")

    def write(codecs):
        write_settings(f"""
        {codecs}
        [codec.encryption]
        active = "awskms:///alias/nobody-made-it"
        [key_providers.awskms]
        region = "eu-central-1"
        endpoint_url = "{moto_server.endpoint_url}"
        access_key_id = "test"
        secret_access_key = "a-secret-of-the-test"
        max_attempts = 1
        """)

    return write


def test_a_key_provider_that_refuses_is_an_error_like_a_store_that_is_down(run, refused_by_kms):
    refused_by_kms('codecs = ["encryption"]')
    status, out, err = run("check")
    assert (status, err) == (1, "")
    assert "alias/nobody-made-it" in out
    assert "kms:" in out
    assert "a-secret-of-the-test" not in out
    assert re.search(r"awskms:///alias/nobody-made-it +writes +key provider awskms +-\n", out)
    status, out, _ = run("check", "--json")
    document = json.loads(out)
    assert (status, document["ok"]) == (1, False)
    assert document["codecs"][0]["error"]["type"] == "KeyUnavailableError"


def test_who_only_reads_needs_no_key_to_write_with(run, refused_by_kms):
    refused_by_kms('decode_only = ["encryption"]')
    status, out, err = run("check")
    assert (status, err) == (0, "")
    assert re.search(r"encryption +encryption +encrypts +decode only +-\n", out)
    [codec] = json.loads(run("check", "--json")[1])["codecs"]
    assert (codec["checked"], codec["error"]) == (False, None)


# -- compared with a peer


def test_peers_that_read_what_each_other_writes_are_fine(run, deployment, peer):
    there = peer(deployment(ring("A", "B")))
    deployment(ring("B", "A"))
    status, out, err = run("check", "--peer", there)
    assert (status, err) == (0, "")
    assert f"Compared with {there}\n  each reads what the other writes" in out
    document = json.loads(run("check", "--json", "--peer", there)[1])
    assert document["peers"] == [{"peer": there, "differences": []}]


def differences(run, *peers):
    """Return the status and what is different."""
    options = [part for peer in peers for part in ("--peer", peer)]
    status, out, _ = run("check", "--json", *options)
    document = json.loads(out)
    assert document["ok"] is (status == 0)
    return status, [text for one in document["peers"] for text in one["differences"]]


def test_a_key_that_writes_here_must_be_in_the_peers_ring(run, deployment, peer):
    there = peer(deployment(ring("A")))
    deployment(ring("B", "A"))
    status, [difference] = differences(run, there)
    assert status == 1
    assert "'B' writes here and is not in the ring there" in difference
    # It only reads yet: that is the first of the two phases.
    deployment(ring("A", "B"))
    assert differences(run, there) == (0, [])
    # And once the peer has it too:
    there = peer(deployment(ring("A", "B")))
    deployment(ring("B", "A"))
    assert differences(run, there) == (0, [])


def test_a_key_that_writes_for_some_namespaces_must_be_there_too(run, deployment, peer):
    there = peer(deployment(ring("A")))
    deployment(ring("A", "B", text='codec.encryption.namespaces."prod-*" = "B"'))
    [difference] = differences(run, there)[1]
    assert "'B' writes here for prod-*" in difference


def test_what_the_peer_writes_must_be_readable_here(run, deployment, peer):
    there = peer(deployment(ring("B", "A")))
    deployment(ring("A"))
    status, [difference] = differences(run, there)
    assert status == 1
    assert f"'B' writes by {there} and is not in the ring here" in difference


def test_two_keys_under_one_id_are_found_without_showing_either(run, deployment, peer):
    there = peer(deployment(ring("A", "B")))
    deployment(ring("A", "B", B="KEY_C"))
    status, [difference] = differences(run, there)
    assert status == 1
    assert "'B' here and the one of" in difference
    assert "two keys under one id" in difference


def test_a_codec_that_is_written_must_be_read_by_the_other(run, deployment, peer):
    there = peer(deployment('codecs = ["gzip"]'))
    deployment('codecs = ["zlib"]\ndecode_only = ["gzip"]')
    status, [difference] = differences(run, there)
    assert status == 1
    assert "the codec 'zlib' is written here and cannot be read" in difference
    there = peer(deployment('codecs = ["gzip"]\ndecode_only = ["zlib"]'))
    deployment('codecs = ["zlib"]\ndecode_only = ["gzip"]')
    assert differences(run, there) == (0, [])


def test_a_peer_that_requires_encryption_needs_everybody_to_encrypt(run, deployment, peer):
    there = peer(deployment(ring("A", text="require_encrypted = true")))
    deployment(ring("A"))
    assert differences(run, there) == (0, [])
    deployment(ring("A").replace('["gzip", "encryption"]', '["gzip"]\ndecode_only = ["encryption"]'))
    status, [difference] = differences(run, there)
    assert status == 1
    assert "nothing encrypts here, and require_encrypted is set there" in difference


def test_several_peers_and_one_from_the_standard_input(run, deployment, peer, monkeypatch, tmp_path):
    there = peer(deployment(ring("A")))
    other = deployment(ring("A", "B"))
    deployment(ring("B", "A"))
    monkeypatch.setattr(sys, "stdin", io.StringIO(other))
    status, out, _ = run("check", "--peer", "-", "--peer", there)
    assert status == 1
    assert "Compared with the standard input\n  each reads" in out
    assert f"Compared with {there}\n  unsafe: the key 'B' writes here" in out


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("Settings\n", "is no JSON"),
        ("{}", "is not what `temporal-payloads check --json` of this release prints"),
        ('{"codecs": ["gzip"]}', "is not what `temporal-payloads check --json` of this release prints"),
    ],
)
def test_a_peer_that_is_none_is_told_as_such(run, deployment, tmp_path, printed, message):
    deployment(ring("A"))
    file = tmp_path / "other.json"
    if printed is not None:
        file.write_text(printed)
    status, _, err = run("check", "--peer", str(file))
    assert status == 2
    assert f"--peer: {file} {message}" in err
    document = json.loads(run("check", "--json", "--peer", str(file))[1])
    assert message in document["problems"][0]["message"]


def test_a_peer_whose_settings_are_wrong_cannot_be_compared_with(run, deployment, peer):
    there = peer(deployment('codecs = ["gizp"]'))
    deployment(ring("A"))
    status, _, err = run("check", "--peer", there)
    assert status == 2
    assert "comes from settings that are wrong there: codecs[0]" in err
