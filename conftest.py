"""What holds for the tests of all distributions."""

import gc
import logging
import socket
import threading
from collections.abc import Iterator
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from temporalio.worker._workflow import _WorkflowWorker

# As Hypothesis itself has it in CI: an example during which the machine was busy with others is no failure.
settings.register_profile(
    "unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give tests that share servers to one worker, where there are several (`make test`).

    Those of a folder use the same servers. Of tests that need none, those of a file share what they prepare.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group_of(item)))
    if hasattr(config, "workerinput"):
        # What takes long comes first, so that no worker is left with it when the others have ended.
        items.sort(key=lambda item: (not _crosses_distributions(item), not _uses_servers(item)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """End a run in which the groups do not count: each worker would start every server."""
    if session.config.getoption("loadgroup", False):
        for item in session.items[:1]:
            assert item.nodeid.endswith(f"@{_group_of(item)}"), "pytest-xdist does not know this pytest"


def _group_of(item: pytest.Item) -> str:
    return str(item.path.parent if _uses_servers(item) else item.path)


def _uses_servers(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("server", "browser"))


def _crosses_distributions(item: pytest.Item) -> bool:
    return item.path.relative_to(item.config.rootpath).parts[0] in {"tests", "examples"}


@pytest.fixture(scope="session", autouse=True)
def patient_deadlock_detector() -> Iterator[None]:
    """Let workflow code take a minute, where the SDK fails a task of which it sees nothing for two seconds.

    On a busy machine that happens by itself, as when the sandbox imports modules. It leaves a failed task in
    a history of which a test says that nothing failed, or how many tasks there were.
    """

    def patiently(worker: _WorkflowWorker, *args: Any, **options: Any) -> None:
        as_it_was(worker, *args, **options)
        if worker._deadlock_timeout_seconds:  # noqa: SLF001  # the SDK has no setting but TEMPORAL_DEBUG
            worker._deadlock_timeout_seconds = 60  # noqa: SLF001  # as above

    as_it_was = _WorkflowWorker.__init__
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(_WorkflowWorker, "__init__", patiently)
        yield


@pytest.fixture(scope="module", autouse=True)
def only_new_garbage() -> None:
    """Leave what is there before a module's tests out of garbage collections; all other tests, for instance.

    Many tests collect garbage, to see that nothing was left open or kept alive. Each would walk through all
    that pytest holds, which takes longer than the test.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nothing listens on, and that nothing else can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


class _Refusing(StreamRequestHandler):
    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nConnection: close\r\n\r\n")


@pytest.fixture
def refusing_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A proxy that lets nobody through, in the environment; the password that its URL has."""
    hidden = "hunter2-of-the-proxy"
    server = ThreadingTCPServer(("127.0.0.1", 0), _Refusing)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        for each in (name, name.lower()):
            monkeypatch.setenv(each, f"http://user:{hidden}@127.0.0.1:{server.server_address[1]}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield hidden
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Take back what a command sets up for its process, to a stream that lives no longer than its test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def references_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have references written in clear, also where the tests run with those that go through the codecs.

    It is for tests of what only then is so: how often codecs are asked, what is in doubt.
    """
    monkeypatch.setattr("temporalio.converter._extstore._ENCODE_STORAGE_REFERENCES", False)
