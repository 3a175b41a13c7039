"""Settings in which everything that can be secret is a secret that is recognised."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.seeded import CLOSED, Seeds, Shown, World
from temporal_payloads.codec_server._logs import TextFormatter
from temporal_payloads.observability import JsonFormatter


class _Recorder(logging.Handler):
    def __init__(self, shown: Shown) -> None:
        super().__init__(logging.DEBUG)
        self._shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        for formatter in (TextFormatter(), JsonFormatter(), logging.Formatter("%(message)s %(args)r")):
            self._shown.see(formatter.format(record))
        if record.exc_info and record.exc_info[1]:
            self._shown.see(record.exc_info[1])


@pytest.fixture
def seeds() -> Seeds:
    return Seeds()


@pytest.fixture
def shown(seeds: Seeds) -> Iterator[Shown]:
    """What is logged, at all levels and by everybody, is seen; at the end no secret may be among it."""
    shown = Shown(seeds)
    recorder = _Recorder(shown)
    root = logging.getLogger()
    names = [
        "",
        "temporal_payloads",
        "temporal_payloads.codec_server.access",
        "temporal_payloads.codec_server.audit",
    ]
    before = {name: logging.getLogger(name).level for name in names}
    root.addHandler(recorder)
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    # They log what they send at this level, session tokens too: who asks for that sees it. What they are
    # answered has data keys, and those are hidden by us.
    theirs = dict.fromkeys(
        ("botocore", "aiobotocore", "boto3", "urllib3", "asyncio", "hypothesis"), logging.INFO
    )
    for name, level in {**theirs, "botocore.parsers": logging.DEBUG}.items():
        before[name] = logging.getLogger(name).level
        logging.getLogger(name).setLevel(level)
    yield shown
    root.removeHandler(recorder)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
    assert shown.texts, "nothing was looked at"
    shown.check()


@pytest.fixture
def world(seeds: Seeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Put secrets into settings, files and variables. The servers that are named are not there."""
    keys = {f"key-{number}": seeds.key(f"the key key-{number}") for number in range(1, 4)}
    variables = {"SEEDED_KEY": base64.b64encode(keys["key-1"]).decode()}
    ring = f'active = "key-3"\n[keys]\nkey-3 = "{base64.b64encode(keys["key-3"]).decode()}"\n'
    tokens = {name: seeds.text(f"the token {name}") for name in ("given", "in-file")}
    files = {
        "key-2": base64.b64encode(keys["key-2"]).decode(),
        "ring.toml": ring,
        "token": tokens["in-file"],
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    aws = {
        "region": "eu-central-1",
        "endpoint_url": f"http://127.0.0.1:{CLOSED}",
        "access_key_id": "AKIASEEDED",
        "max_attempts": 1,
    }

    def credentials(of: str) -> dict[str, str]:
        return {
            "secret_access_key": seeds.text(f"the secret access key of {of}"),
            "session_token": seeds.text(f"the session token of {of}", 64),
        }

    redis = {"type": "redis", "retries": 0, "connect_timeout": "2s"}
    user = seeds.text("the password of the Redis URL")
    azure = {"type": "azure_blob", "container": "seeded", "max_attempts": 1, "connect_timeout": "2s"}
    account = f"http://127.0.0.1:{CLOSED}/devstoreaccount1"
    account_keys = {
        name: base64.b64encode(seeds.key(f"the account key {name}")).decode()
        for name in ("by-key", "by-string")
    }
    postgres = {"type": "postgres", "connect_timeout": "2s"}
    role = seeds.text("the password of the PostgreSQL URL")
    settings: dict[str, Any] = {
        "codecs": ["gzip", "encryption"],
        "decode_only": ["ring"],
        "codec": {
            "encryption": {
                "active": "key-1",
                "keys": {
                    "key-1": {"env": "SEEDED_KEY"},
                    "key-2": {"file": tmp_path / "key-2"},
                    "awskms:///alias/seeded": {},
                },
            },
            "ring": {"type": "encryption", "file": tmp_path / "ring.toml"},
        },
        "key_providers": {"awskms": {**aws, **credentials("KMS"), "timeout": "3s"}},
        "storage": {
            "driver": "s3",
            "threshold": 100,
            "timeout": "3s",
            "cache": {"max_size": 0},
            "drivers": {
                "s3": {**aws, "bucket": "seeded", **credentials("S3")},
                "by-url": {**redis, "url": f"redis://somebody:{user}@127.0.0.1:{CLOSED}/0"},
                "by-host": {
                    **redis,
                    "host": "127.0.0.1",
                    "port": CLOSED,
                    "password": seeds.text("the password of Redis"),
                },
                "azure-by-key": {**azure, "account_url": account, "account_key": account_keys["by-key"]},
                "azure-by-sas": {
                    **azure,
                    "account_url": account,
                    "sas_token": f"sv=2024-08-04&sp=rw&sig={seeds.text('the SAS signature')}",
                },
                "azure-by-string": {
                    **azure,
                    "connection_string": "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
                    f"AccountKey={account_keys['by-string']};BlobEndpoint={account};",
                },
                "gcs": {
                    "bucket": "seeded",
                    "endpoint_url": f"http://127.0.0.1:{CLOSED}",
                    "anonymous": True,
                    "connect_timeout": "2s",
                },
                "postgres-by-url": {**postgres, "url": f"postgresql://a:{role}@127.0.0.1:{CLOSED}/a"},
                "postgres-by-host": {
                    **postgres,
                    "host": "127.0.0.1",
                    "port": CLOSED,
                    "database": "a",
                    "user": "a",
                    "password": seeds.text("the password of PostgreSQL"),
                },
                "by-sentinel": {
                    **redis,
                    "password": seeds.text("the password behind Sentinel"),
                    "sentinel": {
                        "hosts": [f"127.0.0.1:{CLOSED}"],
                        "service_name": "mymaster",
                        "password": seeds.text("the password of Sentinel"),
                    },
                },
            },
        },
        "codec_server": {
            "auth": {
                "tokens": {
                    "given": {"token": tokens["given"], "operations": ["encode", "decode", "download"]},
                    "in-file": {"token_file": tmp_path / "token"},
                },
                "jwt": {
                    "jwks_url": f"https://127.0.0.1:{CLOSED}/keys",
                    "issuer": "https://login.example.com/",
                    "audience": "payloads",
                },
            }
        },
    }
    return World(settings, tmp_path, variables, keys, ring, tokens)


@pytest.fixture
def private_key(seeds: Seeds, tmp_path: Path) -> Path:
    """A private key in a PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    no_password = serialization.NoEncryption()
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, no_password)
    # What comes before says what kind of key it is, and after it is the public one.
    seeds.know("a private key", der[36:68])
    file = tmp_path / "private.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password)
    )
    return file
