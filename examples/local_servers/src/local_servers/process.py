"""One server process: start it, wait until it answers, stop it for certain."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from local_servers import keeper

# Below the ephemeral range of Linux and macOS: no outgoing connection takes one of these between our look
# and the server's bind.
_PORT_RANGE = range(15_000, 32_000)
CLIENT_SECONDS = 30
"""How long a client waits for a server that is up, and that a busy machine may keep from running a while."""
CHECK_SECONDS = 5
"""How long one look whether a server is up waits; others follow."""
_START_SECONDS = 60.0
_POLL_SECONDS = 0.05
_LOG_TAIL_LINES = 30
_GO_PANIC = ("panic:", "fatal error:")


class ServerStartError(RuntimeError):
    """A server ended or stayed silent while it was starting; the message carries the end of its log."""


class ServerEndedError(ServerStartError):
    """It ended while it was starting.

    Args:
        message: What to say.
        status: Its exit status.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def free_ports(count: int) -> list[int]:
    """`count` different TCP ports on which nothing listens at 127.0.0.1 right now.

    Workers of pytest-xdist, and what they start, get different ones: none takes what another was given and
    has not bound yet.
    """
    found: list[int] = []
    ports = _ports_of_this_worker()
    for port in random.sample(ports, k=len(ports)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise ServerStartError(f"no {count} free ports between {_PORT_RANGE.start} and {_PORT_RANGE.stop}")


def _ports_of_this_worker() -> range:
    """The whole range, or the share of the worker of pytest-xdist that this process is or descends from."""
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    count = os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
    return _PORT_RANGE[int(number) % int(count) :: int(count)]


def require_free(name: str, port: int) -> int:
    """`port` itself.

    Raises:
        ServerStartError: Something listens there.
    """
    if not is_free(port):
        raise ServerStartError(
            f"{name} cannot listen at 127.0.0.1:{port}, because another program does: stop that, or choose "
            "another port"
        )
    return port


def is_free(port: int) -> bool:
    """Whether nothing listens at this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def run_server(
    name: str,
    command: Sequence[str | Path],
    *,
    log_file: Path,
    is_ready: Callable[[], object],
    grace: float = 5.0,
    environment: Mapping[str, str] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `command` for the length of the block.

    Yields the process that keeps it (see `local_servers.keeper`), which ends when the command does, with its
    exit status.

    Args:
        name: What the error calls the server.
        command: The program and its arguments.
        log_file: Where the server's output goes.
        is_ready: Asks the server over its own protocol; raises for as long as it is not up.
        grace: Seconds between TERM and KILL at the end.
        environment: Variables to add for the server.

    Raises:
        ServerStartError: The server was not ready within a minute; a `ServerEndedError` if it ended.
    """
    with log_file.open("wb") as log:
        # A session of its own: Ctrl-C in the terminal reaches the owner, which then stops its servers.
        kept = subprocess.Popen(  # noqa: S603 - one of our own commands
            [sys.executable, "-I", "-S", keeper.__file__, str(grace), *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )

    def check() -> None:
        if kept.poll() is not None:
            message = f"{name} ended with status {kept.returncode}.{tail(log_file)}"
            raise ServerEndedError(message, kept.returncode)
        is_ready()

    try:
        wait_until(name, check, lambda: tail(log_file))
        yield kept
    finally:
        _stop(kept, grace)


def wait_until(
    name: str, check: Callable[[], object], describe_failure: Callable[[], str] = lambda: ""
) -> None:
    """Call `check` until it no longer raises.

    Raises:
        ServerStartError: It still raised after a minute; with what `describe_failure` says.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            check()
        except ServerStartError:
            raise
        except Exception as error:  # each protocol's client has errors of its own; they all mean "not yet"
            if time.monotonic() > deadline:
                raise ServerStartError(
                    f"{name} did not answer within {_START_SECONDS:.0f} s ({error}).{describe_failure()}"
                ) from error
            time.sleep(_POLL_SECONDS)
        else:
            return


def _stop(kept: subprocess.Popen[bytes], grace: float) -> None:
    assert kept.stdin is not None
    kept.stdin.close()
    try:
        kept.wait(grace + 5)
    except subprocess.TimeoutExpired:
        # It hangs, stopped in a debugger, say.
        kept.kill()
        kept.wait()
    if kept.returncode < 0:
        # It was killed and could not stop the server any more: end what is left of its session.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(kept.pid, signal.SIGKILL)


def tail(log_file: Path) -> str:
    """The end of a log, to go into an error's message: of a panic its beginning, which says what happened."""
    lines = log_file.read_text(errors="replace").splitlines()
    panics = [number for number, line in enumerate(lines) if line.startswith(_GO_PANIC)]
    end = panics[0] + _LOG_TAIL_LINES // 2 if panics else len(lines)
    shown = lines[max(end - _LOG_TAIL_LINES, 0) : end]
    return f" The end of its log, {log_file.name}:\n" + "\n".join(shown)
