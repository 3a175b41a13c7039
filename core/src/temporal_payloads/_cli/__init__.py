"""The command `temporal-payloads`."""

from temporal_payloads._cli._main import main

__all__ = ["main"]
