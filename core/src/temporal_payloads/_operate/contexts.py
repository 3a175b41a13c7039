"""The contexts in which a payload that stands in a history may have been encoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from temporalio.converter import WorkflowSerializationContext

from temporal_payloads._plugins.contract import PayloadReaderContext

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from temporal_payloads._codecs.chain import CodecChain

    T = TypeVar("T")


class ReadingContexts:
    """Codecs as they decode for a workflow; and, where that fails, for somebody who reads its namespace.

    A history also has payloads of others: of children, of workflows that signalled it, of Nexus.

    Args:
        chain: Decodes as the data converter would.
        namespace: The workflow's.
        workflow_id: Empty if it is not known.
    """

    def __init__(self, chain: CodecChain, namespace: str, workflow_id: str = "") -> None:
        reader = chain.with_context(PayloadReaderContext(namespace))
        self._chains = [reader]
        if workflow_id:
            own = chain.with_context(
                WorkflowSerializationContext(namespace=namespace, workflow_id=workflow_id)
            )
            self._chains = [own] if own is reader else [own, reader]

    async def first(self, decode: Callable[[CodecChain], Awaitable[T]]) -> T:
        """Return what the first of them gives that raises nothing.

        Raises:
            Exception: What was raised for the workflow itself.
        """
        first_error: Exception | None = None
        for chain in self._chains:
            try:
                return await decode(chain)
            except Exception as error:  # noqa: BLE001  # a codec may raise anything
                first_error = first_error or error
        assert first_error is not None
        raise first_error
