import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from temporal_payloads.plugin import KeyLayout, ListedPayload
from temporalio.converter import StorageDriverWorkflowInfo

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LAYOUT = KeyLayout()


@pytest.fixture
def listed():
    """Make a payload as a store lists it."""

    def make(
        content="a", *, namespace="orders", type_="Order", size=100, age=timedelta(0), known_age=True, **rest
    ):
        sha256 = hashlib.sha256(str(content).encode()).hexdigest()
        target = StorageDriverWorkflowInfo(namespace=namespace, type=type_, id="o-1") if namespace else None
        key = LAYOUT.write(target, sha256)
        parsed = LAYOUT.read(key)
        assert parsed is not None
        stored = NOW - age if known_age else None
        return ListedPayload(
            claim=LAYOUT.claim(key, sha256), key=parsed, size=size, tag="1", stored=stored, **rest
        )

    return make
