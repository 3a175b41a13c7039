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
