"""The fingerprint of settings: what must change it does, what must not does not, and no secret is in it."""

import base64
import json
import logging
import tomllib

import pytest
from temporal_payloads import PayloadSettings, build_data_converter, settings_fingerprint
from temporal_payloads._build.assembly import build
from temporal_payloads._build.fingerprint import announce_fingerprint, shared_parts
from temporal_payloads_zstd_codec._plugin import temporal_payloads_codec
from temporal_payloads_zstd_codec._settings import ZstdSettings

KEY, OTHER, THIRD = (base64.b64encode(bytes(range(n, n + 32))).decode() for n in (0, 100, 200))
SETTINGS = """
codecs = ["gzip", "encryption"]
decode_only = ["zlib"]
payload_converter = "msgspec"
[codec.encryption]
active = "new"
[codec.encryption.keys]
new = { env = "NEW" }
old = { env = "OLD" }
[storage]
driver = "s3"
[storage.drivers.s3]
bucket = "payloads"
region = "eu-central-1"
access_key_id = "an-id"
secret_access_key = "hunter2"
read_aliases = ["s3-before"]
[storage.drivers.redis]
url = "redis://worker:sesame@127.0.0.1/0"
"""


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("NEW", KEY)
    monkeypatch.setenv("OLD", OTHER)


def fingerprint(text=SETTINGS):
    return settings_fingerprint(PayloadSettings(**tomllib.loads(text)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"gzip", "encryption"', '"zstd", "encryption"'),
        ('"gzip", "encryption"', '"encryption"'),
        ('decode_only = ["zlib"]', ""),
        ('decode_only = ["zlib"]', 'decode_only = ["zlib", "zstd"]'),
        ('payload_converter = "msgspec"', ""),
        ('payload_converter = "msgspec"', 'payload_converter = "msgspec"\nencode_failures = false'),
        ('new = { env = "NEW" }\nold', 'new = { env = "NEW" }\nolder'),
        ('old = { env = "OLD" }', ""),
        ('old = { env = "OLD" }', 'old = { env = "NEW2" }'),
        ('bucket = "payloads"', 'bucket = "others"'),
        ('bucket = "payloads"', 'bucket = "payloads"\ndriver_name = "another"'),
        ('127.0.0.1/0"', "127.0.0.1/0\"\nkey_prefix = 'orders'"),
        ('read_aliases = ["s3-before"]', ""),
        ("127.0.0.1/0", "127.0.0.1/1"),
        ('127.0.0.1/0"', '127.0.0.1/0"\nmoved_to = "s3"'),
        ('[storage.drivers.redis]\nurl = "redis://worker:sesame@127.0.0.1/0"', ""),
    ],
)
def test_what_readers_and_writers_must_agree_on_changes_it(monkeypatch, old, new):
    monkeypatch.setenv("NEW2", THIRD)
    changed = SETTINGS.replace(old, new)
    assert changed != SETTINGS
    assert fingerprint(changed) != fingerprint()


def test_the_order_of_codecs_changes_it():
    text = 'codecs = ["gzip", "zlib"]'
    assert fingerprint(text) != fingerprint('codecs = ["zlib", "gzip"]')


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('active = "new"', 'active = "old"'),
        ("[codec.encryption]", "[codec.gzip]\nlevel = 9\nmin_size = 1\n[codec.encryption]"),
        ('driver = "s3"', 'driver = "redis"'),
        ('driver = "s3"', 'driver = "inline"'),
        (
            'driver = "s3"',
            'driver = "s3"\nthreshold = 0\nconcurrency = 3\ntimeout = "9s"\ncache.max_size = 0',
        ),
        ('127.0.0.1/0"', '127.0.0.1/0"\nretrieve_only = true'),
        ('bucket = "payloads"', 'bucket = "payloads"\nfallback = "redis"'),
        ('bucket = "payloads"', 'bucket = "payloads"\nmissing_payload = "fail"\nmax_attempts = 7'),
        ('"hunter2"', '"hunter3"'),
        ("sesame", "open"),
    ],
)
def test_what_may_differ_does_not_change_it(old, new):
    changed = (
        SETTINGS.replace(f"\n{old}", f"\n{new}") if f"\n{old}" in SETTINGS else SETTINGS.replace(old, new)
    )
    assert changed != SETTINGS
    assert fingerprint(changed) == fingerprint()


def test_names_that_only_the_settings_know_do_not_change_it():
    renamed = SETTINGS.replace('"gzip"', '"small"') + '[codec.small]\ntype = "gzip"\n'
    assert fingerprint(renamed) == fingerprint()


def test_a_dictionary_counts_by_what_is_in_it_and_not_by_its_name(tmp_path):
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    one.write_bytes(b"a dictionary")
    same.write_bytes(b"a dictionary")
    other.write_bytes(b"another")
    identity = temporal_payloads_codec().identity
    assert identity is not None
    assert identity(ZstdSettings(dictionary=one)) == identity(
        ZstdSettings(read_dictionaries=(same,), level=9)
    )
    assert identity(ZstdSettings(dictionary=one)) != identity(ZstdSettings(dictionary=other))


def test_no_secret_is_in_its_parts():
    parts = json.dumps(shared_parts(build(PayloadSettings(**tomllib.loads(SETTINGS)))))
    for secret in (KEY, OTHER, "hunter2", "sesame", "an-id"):
        assert secret not in parts
    assert "127.0.0.1" in parts


def test_it_is_logged_in_the_same_words_wherever_payloads_are_read_or_written(caplog):
    settings = PayloadSettings(codecs=("gzip",))
    build_data_converter(settings)
    with caplog.at_level(logging.INFO, logger="temporal_payloads"):
        announce_fingerprint(build(settings))
    [record] = [each for each in caplog.records if "fingerprint" in each.message]
    assert record.message.startswith(
        f"Settings fingerprint: {settings_fingerprint(settings)} (profile: none). "
    )
