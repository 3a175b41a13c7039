"""A payload as a request body, without a copy of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_CHUNK = 256 * 1024


async def chunks(pieces: Sequence[bytes]) -> AsyncIterator[memoryview]:
    """Yield the pieces, one after the other, in chunks that don't hold up the event loop."""
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), _CHUNK):
            yield view[start : start + _CHUNK]
