from collections.abc import Callable

import pytest
from temporal_payloads._storage.cache import disk, payload_cache
from temporal_payloads._storage.cache.disk import DiskCache


@pytest.fixture(autouse=True)
def patient_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine's disk is, what is kept is found."""
    monkeypatch.setattr(disk, "READ_SECONDS", 60.0)


@pytest.fixture
def written() -> Callable[[DiskCache], None]:
    """Wait until everything that was put is on disk."""

    def wait(cache: DiskCache) -> None:
        cache._threads.shutdown(wait=True)
        cache.renew_after_fork()

    return wait


@pytest.fixture
def new_process(monkeypatch: pytest.MonkeyPatch, written: Callable[[DiskCache], None]) -> Callable[[], None]:
    """Forget what this process keeps in memory, as a restart does. The fixture itself begins with one."""
    monkeypatch.setattr(payload_cache, "_shared", {})

    def restart() -> None:
        for cache in payload_cache._shared.values():
            if cache._disk is not None:
                written(cache._disk)
        payload_cache._shared.clear()

    return restart
