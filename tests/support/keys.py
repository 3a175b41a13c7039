"""Keys for tests, and the settings of an encryption codec that has them."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3  # type: ignore[import-untyped]  # it has no types of its own

KEYS = {f"key-{number}": bytes([number]) * 32 for number in range(1, 5)}
"""The bytes of the keys, by their ids."""


AWS_REGION = "eu-central-1"


def variable_of(key_id: str) -> str:
    """Return the variable that has a key; `put_keys_into_environment` sets it."""
    return f"TEST_{key_id.upper().replace('-', '_')}"


def put_keys_into_environment(environment: Any = os.environ) -> None:
    """Set a variable for each key: `os.environ`, or what a process is started with."""
    for key_id, key in KEYS.items():
        environment[variable_of(key_id)] = base64.b64encode(key).decode()


def encryption(active: str, *others: str, **settings: Any) -> dict[str, Any]:
    """Return a `[codec.encryption]` table: the key that writes, those that are only read, and more."""
    return {
        "active": active,
        "keys": {key_id: {"env": variable_of(key_id)} for key_id in (active, *others)},
    } | settings


def encrypted(store: Any, codec: dict[str, Any] | None = None, **changes: Any) -> Any:
    """Return `PayloadSettings` with gzip, encryption that is required, and a store.

    Args:
        store: Where large payloads go: a `support.stores.Store`.
        codec: The table `[codec.encryption]`; by default with `key-1`.
        changes: As of `Store.settings`.
    """
    policy = {"codecs": ["gzip", "encryption"], "require_encrypted": True, "encode_failures": None}
    return store.settings(**{**policy, "codec": {"encryption": codec or encryption("key-1")}, **changes})


def kms_access(endpoint_url: str) -> dict[str, str]:
    """Return a `[key_providers.awskms]` table for moto."""
    credentials = {"access_key_id": "test", "secret_access_key": "test"}
    return {"endpoint_url": endpoint_url, "region": AWS_REGION, **credentials}


@contextmanager
def new_kms_key(endpoint_url: str) -> Iterator[str]:
    """Make a key in moto's KMS, and yield its URI."""
    kms = boto3.client(
        "kms",
        endpoint_url=endpoint_url,
        region_name=AWS_REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    try:
        yield f"awskms:///{kms.create_key()['KeyMetadata']['Arn']}"
    finally:
        kms.close()
