"""Keys in files: rotation needs no restart, and a bad file keeps the ring that was read before."""

import base64
import logging
import os

import pytest
from temporal_payloads.plugin import CodecContext, PluginSettingsError
from temporal_payloads_encryption_codec import _ring_file
from temporal_payloads_encryption_codec._making import make_codec
from temporal_payloads_encryption_codec._settings import EncryptionSettings

KEYS = [base64.b64encode(bytes([number]) * 32).decode() for number in range(1, 5)]
RING = f'active = "one"\n[keys]\none = "{KEYS[0]}"\n'
BOTH = f'{RING}two = "{KEYS[1]}"\n'
PROMOTED = BOTH.replace('active = "one"', 'active = "two"')


@pytest.fixture(autouse=True)
def looked_at_each_time(monkeypatch):
    monkeypatch.setattr(_ring_file, "LOOKED_AT_EVERY", 0.0)


@pytest.fixture
def ring(tmp_path):
    file = tmp_path / "ring.toml"
    file.write_text(RING)
    return file


def put(file, text):
    """Replace a file as deployments do: by another one of the same name."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def key_of(payload):
    return payload.metadata["encryption-key-id"].decode()


async def test_a_key_is_added_and_then_promoted_without_a_restart(make, payload, ring):
    codec = make(file=ring)
    [first] = await codec.encode([payload])
    put(ring, BOTH)
    [second] = await codec.encode([payload])
    put(ring, PROMOTED)
    [third] = await codec.encode([payload])
    assert [key_of(each) for each in (first, second, third)] == ["one", "one", "two"]
    assert await codec.decode([first, second, third]) == [payload] * 3


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("active = ", "is no TOML"),
        ("", "ring.toml: active: is required"),
        (f'active = "two"\n[keys]\none = "{KEYS[0]}"', "ring.toml: active: names the key 'two'"),
        (f'active = "one"\n[keys]\none = "{KEYS[0][:30]}"', "keys.one.key: the key is a key of 176 bits"),
        (f'active = "one"\n[keys]\none = "{KEYS[2]}"', "'one' is another one than before"),
        (RING + "[keyz]\n", "keyz: there is no such setting. Did you mean 'keys'?"),
        (f"{RING}two = 2", "keys.two: must be a table"),
        ("#" * 2_000_000, "has more than 1,048,576 bytes"),
        (None, "No such file"),
    ],
)
async def test_a_bad_file_keeps_the_ring_loudly(make, payload, ring, caplog, bad, message):
    codec = make(file=ring)
    before = await codec.encode([payload])
    if bad is None:
        ring.unlink()
    else:
        put(ring, bad)
    with caplog.at_level(logging.ERROR, "temporal_payloads"):
        for _ in range(3):
            assert await codec.decode(await codec.encode([payload])) == [payload]
    [told] = caplog.messages
    assert "codec.encryption: the key ring's files (" in told
    assert str(ring) in told
    assert message in told
    assert KEYS[0][:20] not in told
    put(ring, PROMOTED)
    [after] = await codec.encode([payload])
    assert key_of(after) == "two"
    assert await codec.decode([*before, after]) == [payload] * 2


async def test_a_key_file_that_comes_after_the_ring_that_names_it_is_found(
    make, payload, tmp_path, ring, caplog
):
    codec = make(file=ring)
    own = tmp_path / "two.key"
    put(ring, f'{RING}two = {{ file = "{own}" }}\n'.replace('active = "one"', 'active = "two"'))
    for bad in (None, KEYS[1][:30], KEYS[1]):
        if bad is not None:
            own.write_text(bad)
        for _ in range(3):
            await codec.encode([payload])
    [last] = await codec.encode([payload])
    assert key_of(last) == "two"
    # Told once for each thing that is wrong, however often it is tried.
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 2
    assert "No such file" in told[0]
    assert "a key of 176 bits" in told[1]


@pytest.mark.parametrize("bad", ["active = ", 'active = "one"', None])
def test_a_ring_that_was_never_right_is_an_error(make, ring, bad):
    if bad is None:
        ring.unlink()
    else:
        ring.write_text(bad)
    with pytest.raises(PluginSettingsError, match=r"file: .*ring\.toml"):
        make(file=ring)


async def test_a_keys_own_file_that_has_another_key_is_told_and_not_taken(
    make, payload, tmp_path, ring, caplog
):
    own = tmp_path / "two.key"
    own.write_bytes(bytes([2]) * 32)
    put(ring, f'{RING}two = {{ file = "{own}" }}\n')
    codec = make(file=ring)
    encoded = await make(active="two", keys={"two": {"file": own}}).encode([payload])
    assert await codec.decode(encoded) == [payload]
    put(own, KEYS[3])
    assert await codec.decode(encoded) == [payload]
    assert "the key 'two' is another one than before" in caplog.text


async def test_a_link_that_is_turned_to_another_folder_is_followed(make, payload, tmp_path):
    """As Kubernetes replaces what a mounted secret holds."""
    for name, text in (("v1", RING), ("v2", PROMOTED)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ring.toml").write_text(text)
    (tmp_path / "data").symlink_to("v1")
    codec = make(file=tmp_path / "data" / "ring.toml")
    [old] = await codec.encode([payload])
    (tmp_path / "data.new").symlink_to("v2")
    (tmp_path / "data.new").replace(tmp_path / "data")
    [new] = await codec.encode([payload])
    assert (key_of(old), key_of(new)) == ("one", "two")


@pytest.mark.parametrize("at_the_start", [True, False])
async def test_a_file_that_is_replaced_while_it_is_read_is_read_again(
    make, payload, monkeypatch, ring, at_the_start
):
    codec = None if at_the_start else make(file=ring)
    read = _ring_file.Files.read

    def read_and_replace(self, file):
        monkeypatch.setattr(_ring_file.Files, "read", read)
        content = read(self, file)
        put(ring, PROMOTED)
        return content

    put(ring, BOTH)
    monkeypatch.setattr(_ring_file.Files, "read", read_and_replace)
    codec = codec or make(file=ring)
    await codec.encode([payload])
    [last] = await codec.encode([payload])
    assert key_of(last) == "two"


async def test_what_a_key_has_encrypted_is_counted_on_after_a_rotation(make, payload, ring):
    codec = make(file=ring)
    await codec.encode([payload] * 3)
    put(ring, BOTH)
    await codec.encode([payload] * 2)
    assert codec.messages() == {"one": 5, "two": 0}


def test_files_are_looked_at_once_a_second(make, monkeypatch, ring):
    monkeypatch.setattr(_ring_file, "LOOKED_AT_EVERY", 1.0)
    codec, looks = make(file=ring), []
    monkeypatch.setattr(_ring_file.Files, "have_changed", lambda _: looks.append(ring))
    began = codec._ring._next_look - 1.0
    for passed in (0.1, 0.5, 0.9, 1.1, 1.5, 2.0, 2.2):
        monkeypatch.setattr(codec._ring, "_clock", lambda passed=passed: began + passed)
        codec._ring.current()
    assert len(looks) == 2


async def test_the_file_may_name_variables_and_providers_keys(keys, vault, payload, ring):
    put(ring, 'active = "awskms:///a"\n[keys]\none = { env = "KEY_1" }\n[namespaces]\n"x-*" = "one"\n')
    codec = make_codec(
        EncryptionSettings(file=ring), CodecContext(place="codec.encryption", key_provider=lambda _: vault)
    )
    [encoded] = await codec.encode([payload])
    assert key_of(encoded) == "awskms:///a"


def test_a_file_that_only_root_may_read_is_told(make, ring):
    if os.geteuid() == 0:
        ring.unlink()
        ring.mkdir()
        message = "cannot be read: Is a directory"
    else:
        ring.chmod(0)
        message = "cannot be read: Permission denied"
    with pytest.raises(PluginSettingsError, match=message):
        make(file=ring)
