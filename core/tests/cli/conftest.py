import pytest
from temporal_payloads._cli import main


@pytest.fixture
def run(capsys):
    """Run the command here, and return its status and what it wrote."""

    def call(*arguments):
        status = main(arguments)
        written = capsys.readouterr()
        return status, written.out, written.err

    return call


@pytest.fixture(autouse=True)
def no_server_by_default(monkeypatch, closed_port):
    """A Temporal server that happens to run on this machine is none of a test's."""
    monkeypatch.setattr("temporal_payloads._cli.temporal.DEFAULT_ADDRESS", f"127.0.0.1:{closed_port}")
