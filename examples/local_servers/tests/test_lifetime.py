"""However the owner ends, no process of its servers is left."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from local_servers import ServerStartError, start_redis
from local_servers.process import free_ports, run_server

OWNER_OF_THREE_SERVERS = """
import time
from pathlib import Path
from local_servers import start_redis, start_temporal

with start_temporal(Path("temporal")), start_redis(Path("redis"), tls=True):
    print("up", flush=True)
    time.sleep(600)
"""
KEEPERS_AND_SERVERS = 6

StartOwner = Callable[[], tuple["subprocess.Popen[str]", list[psutil.Process]]]


@pytest.fixture
def start_owner(tmp_path: Path) -> Iterator[StartOwner]:
    """Start the program above, and return it with all its processes once its servers are up."""
    owners = []

    def start() -> tuple["subprocess.Popen[str]", list[psutil.Process]]:
        # A session of its own, so that a test can send Ctrl-C's signal to its whole foreground group.
        owner = subprocess.Popen(
            [sys.executable, "-c", OWNER_OF_THREE_SERVERS],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        owners.append(owner)
        assert owner.stdout
        assert owner.stdout.readline() == "up\n"
        return owner, psutil.Process(owner.pid).children(recursive=True)

    yield start
    for owner in owners:
        owner.kill()
        owner.communicate()


def still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended after a while in which they had every chance."""
    return psutil.wait_procs(processes, timeout=60)[1]


def keepers_and_servers(directory: Path) -> list[psutil.Process]:
    """Those whose files are in this directory; this process may have started servers for other tests too."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            # Only of the keeper: a server may write over its own command line.
            if str(directory) in " ".join(child.cmdline()):
                found += [child, *child.children(recursive=True)]
    return found


def test_leaving_the_block_ends_every_process_and_frees_the_port(tmp_path):
    with start_redis(tmp_path) as server:
        started = keepers_and_servers(tmp_path)
        assert len(started) == 2
    assert not [process for process in started if process.is_running()]
    with socket.socket() as probe:
        assert probe.connect_ex((server.host, server.port)) != 0


def test_an_error_in_the_block_ends_every_process(tmp_path):
    started = []
    with pytest.raises(ZeroDivisionError), start_redis(tmp_path):  # noqa: PT012 - what ran is seen in time
        started += keepers_and_servers(tmp_path)
        1 / 0  # noqa: B018
    assert len(started) == 2
    assert not [process for process in started if process.is_running()]


def test_a_server_outlives_the_thread_that_started_it(tmp_path):
    block = start_redis(tmp_path)
    entered = []
    thread = threading.Thread(target=lambda: entered.append(block.__enter__()))
    thread.start()
    thread.join()
    entered[0].check()
    block.__exit__(None, None, None)


@pytest.mark.server
def test_an_owner_killed_by_sigkill_leaves_no_server(start_owner: StartOwner):
    owner, processes = start_owner()
    assert len(processes) == KEEPERS_AND_SERVERS
    owner.kill()
    assert not still_running(processes)


@pytest.mark.server
def test_ctrl_c_on_the_whole_foreground_group_leaves_no_server(start_owner: StartOwner):
    owner, processes = start_owner()
    assert len(processes) == KEEPERS_AND_SERVERS
    os.killpg(owner.pid, signal.SIGINT)
    assert owner.wait(60) != 0
    assert not still_running(processes)


def test_a_server_whose_keeper_was_killed_is_ended(tmp_path):
    with start_redis(tmp_path):
        keeper, server = keepers_and_servers(tmp_path)
        keeper.kill()
    assert not still_running([keeper, server])


def test_a_server_that_ignores_term_is_killed(tmp_path):
    started = []
    ready = tmp_path / "ready"
    program = f"""if True:
        import pathlib, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path({str(ready)!r}).touch()
        time.sleep(99)
    """
    with run_server(
        "stubborn",
        [sys.executable, "-c", program],
        log_file=tmp_path / "log",
        is_ready=ready.stat,
        grace=0.1,
    ):
        started += keepers_and_servers(tmp_path)
    assert len(started) == 2
    assert not [process for process in started if process.is_running()]


@pytest.mark.parametrize(
    ("program", "told"),
    [
        pytest.param(
            "print('cannot bind: address in use'); raise SystemExit(3)",
            r"(?s)frail ended with status 3.*cannot bind: address in use",
            id="the end of its log",
        ),
        pytest.param(
            "print('panic: what happened'); print('a frame\\n' * 200); raise SystemExit(2)",
            r"(?s)frail ended with status 2.*panic: what happened",
            id="the beginning of its panic",
        ),
    ],
)
def test_a_server_that_does_not_start_is_reported_with_what_it_said(tmp_path, program, told):
    with (
        pytest.raises(ServerStartError, match=told),
        run_server(
            "frail",
            [sys.executable, "-c", program],
            log_file=tmp_path / "log",
            is_ready=(tmp_path / "never").stat,
        ),
    ):
        pass


def test_free_ports_are_different_and_free():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[0]))
        taken.listen()
        assert ports[0] not in free_ports(50)


def test_workers_of_a_test_run_get_different_free_ports(monkeypatch):
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    given = []
    # A worker that died is replaced by one with the next number.
    for worker in ("gw0", "gw1", "gw5"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        given += free_ports(2000)
    assert len(set(given)) == 6000
