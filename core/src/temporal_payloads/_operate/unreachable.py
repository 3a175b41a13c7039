"""Where a Temporal server is if nothing says it, and why it cannot be used, for a person."""

from __future__ import annotations

import re

from temporalio.service import RPCError

DEFAULT_ADDRESS = "localhost:7233"


def why_unreachable(error: Exception) -> str:
    """Return what the system or the server says, where the SDK's core puts it into structures of its own."""
    text = error.message if isinstance(error, RPCError) else str(error)
    of_system = re.search(r'tonic::transport::Error\(.*\b(?:message|error): "([^"]+)"', text, re.DOTALL)
    return of_system[1] if of_system else text


def cannot_be_used(address: str, address_from: str, error: Exception) -> str:
    """Say that a server cannot be used.

    Args:
        address: Where it was looked for.
        address_from: What says that it is there, for a person.
        error: What came of it.
    """
    return f"the Temporal server at {address} ({address_from}) cannot be used: {why_unreachable(error)}"
