"""All that holds payloads in a namespace."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from temporal_payloads._operate.holders import in_divisions, schedules, workflows

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from temporal_payloads._operate.holders import Holder
    from temporalio.client import Client


async def everything(client: Client) -> AsyncGenerator[Holder, None]:
    """Yield whatever holds payloads in the client's namespace, each once.

    What starts, ends or moves meanwhile may be missing.

    Raises:
        RPCError: The server does not list a part of it. The rest was not listed.
    """
    for listed in (workflows(client), in_divisions(client), schedules(client)):
        async with aclosing(listed):
            async for holder in listed:
                yield holder
