"""The command `temporal-payloads`."""

from temporal_payloads._cli.main import main

__all__ = ["main"]
