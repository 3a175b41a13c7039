"""Run a command until standard input ends, then stop it: `python keeper.py GRACE COMMAND...`.

A server is started through this small program, which holds the reading end of a pipe from whoever wants the
server. When the pipe closes, because the owner asked or because it died (of SIGKILL too), the server gets a
TERM, and a KILL once GRACE seconds have passed. Unlike Linux's parent-death signal this is portable, and it
does not care which thread started the server. It runs with `python -I -S`, so it imports only what it needs.
"""

import os
import subprocess
import sys
import threading


def main() -> int:
    """Run the command to its end; its exit status becomes ours."""
    grace, *command = sys.argv[1:]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - the owner's own command
    threading.Thread(target=_stop_when_owner_is_gone, args=(server, float(grace)), daemon=True).start()
    return server.wait()


def _stop_when_owner_is_gone(server: subprocess.Popen[bytes], grace: float) -> None:
    # Nothing is ever written to the pipe. Unlike sys.stdin this takes no lock that would hold up our exit.
    os.read(sys.stdin.fileno(), 1)
    server.terminate()
    try:
        server.wait(grace)
    except subprocess.TimeoutExpired:
        server.kill()


if __name__ == "__main__":
    sys.exit(main())
