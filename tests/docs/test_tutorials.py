"""The tutorials end in something that runs, and shows what they say."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from local_servers.process import free_ports
from support.console import commands, ended_well
from support.pages import ROOT

TUTORIALS = ROOT / "docs/tutorials"
LARGE = (TUTORIALS / "large-payloads.md").read_text()
ENCRYPTION = (TUTORIALS / "encryption.md").read_text()


def files(page):
    """Return the files that a page shows, by the name that stands before each."""
    return dict(
        re.findall(r"`([\w-]+\.(?:py|toml))`[^\n]*:\n\n```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    )


class Terminal:
    """The directory of a tutorial, with the servers that this machine has for it."""

    def __init__(self, folder, temporal):
        self.folder = folder
        self.address = temporal.address
        [self.codec_port] = free_ports(1)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.variables = {
            **os.environ,
            "PATH": path,
            "TEMPORAL_ADDRESS": temporal.address,
            "TEMPORAL_PAYLOADS_CODEC_SERVER__PORT": str(self.codec_port),
        }

    def write(self, page):
        for name, text in files(page).items():
            (self.folder / name).write_text(text.replace("localhost:7233", self.address))

    def run(self, command):
        ended = subprocess.run(
            command.replace("8081", str(self.codec_port)),
            shell=True,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=self.variables,
        )
        assert ended_well(ended), ended.stderr
        return ended.stdout

    @contextmanager
    def running(self, *command, ready=""):
        """Run it as in a terminal of its own."""
        out = subprocess.PIPE if ready else None
        with subprocess.Popen(command, cwd=self.folder, env=self.variables, stdout=out, text=True) as process:
            try:
                if process.stdout:
                    assert ready in process.stdout.readline()
                yield
            finally:
                process.terminate()


@pytest.fixture
def terminal(tmp_path, temporal_server):
    return Terminal(tmp_path, temporal_server)


def check_what_is_shown(terminal, page):
    shown = commands(page, "Run it")
    assert [terminal.run(command) for command, _ in shown] == [printed for _, printed in shown]


def test_large_payloads_leave_the_history(terminal):
    terminal.write(LARGE)
    with terminal.running(sys.executable, "worker.py"):
        check_what_is_shown(terminal, LARGE)


def test_everything_is_encrypted_and_is_read_through_the_codec_server(terminal):
    terminal.write(LARGE)
    terminal.write(ENCRYPTION)
    [(key, _)] = commands(ENCRYPTION, "A key")
    terminal.variables["REPORTS_KEY"] = terminal.run(f"{key}; echo $REPORTS_KEY").strip()
    terminal.run("temporal-payloads check")
    with (
        terminal.running(sys.executable, "worker.py"),
        terminal.running("temporal-payloads", "codec-server", ready="Codec server at"),
    ):
        check_what_is_shown(terminal, ENCRYPTION)
