"""A process that forks while its threads encrypt: what they hold is not held in the child."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, os, signal, sys, time
from pathlib import Path
from temporal_payloads.plugin import CodecContext, DataKey, KeyProvider
from temporal_payloads_encryption_codec import _ring_file
from temporal_payloads_encryption_codec._making import make_codec
from temporal_payloads_encryption_codec._settings import EncryptionSettings
from temporalio.api.common.v1 import Payload
from temporalio.converter import WorkflowSerializationContext

class Vault(KeyProvider):
    async def make_data_key(self, key):
        return DataKey(plaintext=b"k" * 32, wrapped=b"wrapped")

    async def unwrap_data_key(self, key, wrapped):
        return b"k" * 32

_ring_file.LOOKED_AT_EVERY = 0.0
context = CodecContext(place="codec.encryption", key_provider=lambda _: Vault())
codec = make_codec(EncryptionSettings(file=Path(sys.argv[1])), context)
provided = codec.with_context(WorkflowSerializationContext(namespace="kms", workflow_id="w"))
payload = Payload(data=b"x")
usage = codec._ring.current().keys["one"].usage

async def use():
    for each in (codec, provided):
        assert await each.decode(await each.encode([payload])) == [payload]

with usage._lock, codec._ring._lock, codec._data_keys._lock:
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        asyncio.run(use())
        assert usage.messages == 1
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_is_forked_while_a_thread_encrypts_encrypts_too(tmp_path):
    ring = tmp_path / "ring.toml"
    ring.write_text(f'active = "one"\nkeys.one = "{"01" * 32}"\nnamespaces.kms = "awskms:///alias/orders"\n')
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(ring)], timeout=120, check=False)
    assert done.returncode == 0
