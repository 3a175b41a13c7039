"""A namespace whose payloads the stores have, as its server tells of it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from temporalio.service import RPCError, RPCStatusCode

from temporal_payloads._operate.collection.owners import owner_of
from temporal_payloads._operate.collection.schedules import describe
from temporal_payloads._operate.holders import held_by, in_divisions, run_of, schedules, workflows
from temporal_payloads._operate.namespaces import namespaces_of_server
from temporal_payloads._operate.needs import needs_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from temporalio.client import Client

    from temporal_payloads._codecs.chain import CodecChain
    from temporal_payloads._operate.collection.owners import Owner
    from temporal_payloads._operate.collection.schedules import ScheduleNow
    from temporal_payloads._operate.holders import Holder
    from temporal_payloads._operate.needs import Needs

_NOT_TOLD = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.UNIMPLEMENTED)
"""How servers answer that do not list their namespaces for everybody."""


class Namespace:
    """A namespace, as its server tells of it.

    Args:
        client: Of the namespace. Its data converter is not used.
        chain: Decodes references that have been through codecs.
        profile: That of Temporal's client configuration by which it is connected.
    """

    def __init__(self, client: Client, chain: CodecChain, profile: str | None = None) -> None:
        self._client = client
        self._chain = chain
        self._profile = profile

    async def owner(self) -> Owner:
        """Return what its server tells about itself."""
        return await owner_of(self._client, self._profile)

    @property
    def name(self) -> str:
        """The namespace."""
        return self._client.namespace

    async def neighbours(self) -> list[str]:
        """Return the namespaces of its server; only itself if this credential may not list them.

        Raises:
            RPCError: The server cannot be asked.
        """
        try:
            return await namespaces_of_server(self._client)
        except RPCError as error:
            if error.status not in _NOT_TOLD:
                raise
            return [self.name]

    def schedules(self) -> AsyncGenerator[Holder, None]:
        """Yield its schedules."""
        return schedules(self._client)

    async def executions(self) -> AsyncGenerator[Holder, None]:
        """Yield everything else that holds payloads, also what the default listing leaves out."""
        for listed in (workflows(self._client), in_divisions(self._client)):
            async with aclosing(listed):
                async for holder in listed:
                    yield holder

    async def describe(self, schedule_id: str) -> ScheduleNow:
        """Return what a schedule did last."""
        return await describe(self._client, schedule_id)

    async def look_up(self, holder: Holder) -> Holder:
        """Return what is not listed any more: as it is now, or as it was listed where no more is told.

        Raises:
            RPCError: The server does not tell; `NOT_FOUND` if it is gone.
        """
        if holder.kind == "workflow":
            return await run_of(self._client, holder.id, holder.run_id)
        async with aclosing(held_by(self._client, holder)) as messages:
            await anext(messages)
        return holder

    async def needs_of(self, holder: Holder) -> Needs:
        """Read what a holder needs."""
        return await needs_of(self._client, holder, self._chain)
