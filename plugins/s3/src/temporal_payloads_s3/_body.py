"""A payload, or a part of one, as a request body, without a copy of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CHUNK = 256 * 1024


class Body:
    """What botocore takes for a file (to sign it, and to send it again) and aiohttp for a stream of chunks.

    Parts sent as `bytes` would be copies, and those under way together one more copy of the payload. A file
    proper is read by aiohttp in a thread, 64 KiB at a time.
    """

    def __init__(self, data: bytes, start: int = 0, size: int | None = None) -> None:
        self._view = memoryview(data)[start : None if size is None else start + size]
        self._position = 0

    def __len__(self) -> int:
        return len(self._view)

    def read(self, size: int | None = -1) -> bytes:
        """Return up to `size` bytes from the position on; all that is left if it is negative or None."""
        end = len(self) if size is None or size < 0 else self._position + size
        chunk = bytes(self._view[self._position : end])
        self._position += len(chunk)
        return chunk

    def seek(self, position: int) -> None:
        """Move to a position from the start."""
        self._position = position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        for start in range(0, len(self), _CHUNK):
            yield self._view[start : start + _CHUNK]
