"""The command `temporal-payloads`."""

from temporal_payloads._cli.main import main, run

__all__ = ["main", "run"]
