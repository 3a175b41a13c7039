"""The key ring of the storm: a file that workers watch, with keys of its own and one that KMS keeps."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from contextlib import closing
from typing import TYPE_CHECKING, Any

import botocore.session

if TYPE_CHECKING:
    from pathlib import Path

REGION = "eu-central-1"
KMS_NAMESPACE = "storm-kms"
"""The Temporal namespace whose payloads are encrypted with KMS keys."""
KNOWN_EVERYWHERE = 1.5
"""Seconds after which each process has looked at the file again."""


class KeyRingFile:
    """Adds keys, first to be read and then to write, as the docs have it.

    Args:
        file: Written at once.
        kms_url: KMS itself, where keys are made.
        seed: Decides the bytes of keys.
    """

    def __init__(self, file: Path, kms_url: str, seed: int) -> None:
        self.file = file
        self._kms_url = kms_url
        self._seed = seed
        self._ids: list[str] = []
        self._kms_ids: list[str] = []
        self._add()
        self._write(active=0)

    @property
    def keys(self) -> int:
        """How many keys there are."""
        return len(self._ids) + len(self._kms_ids)

    async def rotate(self) -> None:
        """Add a key of each kind everywhere, to be read only; then let them write."""
        writing = len(self._ids) - 1
        await asyncio.to_thread(self._add)
        self._write(active=writing)
        await asyncio.sleep(KNOWN_EVERYWHERE)
        self._write(active=writing + 1)

    def kms_settings(self, url: str) -> dict[str, Any]:
        """Return the `[key_providers.awskms]` table."""
        return {
            "region": REGION,
            "endpoint_url": url,
            "access_key_id": "test",
            "secret_access_key": "test",
            "connect_timeout": "1s",
            "read_timeout": "2s",
            "max_attempts": 2,
            "timeout": "5s",
        }

    def _add(self) -> None:
        client: Any = botocore.session.get_session().create_client(
            "kms",
            region_name=REGION,
            endpoint_url=self._kms_url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        with closing(client):
            self._kms_ids.append(f"awskms:///{client.create_key()['KeyMetadata']['Arn']}")
        self._ids.append(f"key-{len(self._ids) + 1}")

    def _write(self, *, active: int) -> None:
        kms_ids = [self._kms_ids[active], *(key for key in self._kms_ids if key != self._kms_ids[active])]
        quoted = ", ".join(f'"{key}"' for key in kms_ids)
        secrets = [base64.b64encode(self._secret(key)).decode() for key in self._ids]
        lines = [
            f'active = "{self._ids[active]}"',
            "[namespaces]",
            f"{KMS_NAMESPACE} = [{quoted}]",
            "[keys]",
            *(f'{key} = "{secret}"' for key, secret in zip(self._ids, secrets, strict=True)),
        ]
        # Replaced as deployments do it: nobody ever reads half a file.
        new = self.file.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n")
        new.replace(self.file)

    def _secret(self, key_id: str) -> bytes:
        return hashlib.sha256(f"{self._seed} {key_id}".encode()).digest()
