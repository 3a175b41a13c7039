"""A task queue whose workers and clients move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from moving.stories import Move
from support.keys import put_keys_into_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from local_servers import TemporalServer


@pytest.fixture(autouse=True)
def keys_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every deployment find the keys that its settings name."""
    variables: dict[str, str] = {}
    put_keys_into_environment(variables)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def move(temporal_server: TemporalServer) -> AsyncIterator[Move]:
    """A task queue without workers, and nothing in flight."""
    begun = Move(temporal_server)
    yield begun
    await begun.close()
