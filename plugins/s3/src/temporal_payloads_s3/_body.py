"""A payload, or a part of one, as a request body, without a copy of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

_CHUNK = 256 * 1024


class Body:
    """What botocore takes for a file (to sign it, and to send it again) and aiohttp for a stream of chunks.

    Parts sent as `bytes` would be copies, and those under way together one more copy of the payload. A file
    proper is read by aiohttp in a thread, 64 KiB at a time.

    Args:
        pieces: What is one after the other the whole.
        start: The first byte of the whole that is sent.
        size: How many bytes are sent at most; None for all that are left.
    """

    def __init__(self, pieces: Sequence[bytes], start: int = 0, size: int | None = None) -> None:
        self._views = list(_cut(pieces, start, sum(map(len, pieces)) if size is None else size))
        self._size = sum(map(len, self._views))
        self._position = 0

    def __len__(self) -> int:
        return self._size

    def read(self, size: int | None = -1) -> bytes:
        """Return up to `size` bytes from the position on; all that is left if it is negative or None."""
        wanted = self._size if size is None or size < 0 else size
        chunk = b"".join(_cut(self._views, self._position, wanted))
        self._position += len(chunk)
        return chunk

    def seek(self, position: int) -> None:
        """Move to a position from the start."""
        self._position = position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        for view in self._views:
            for start in range(0, len(view), _CHUNK):
                yield view[start : start + _CHUNK]


def _cut(pieces: Iterable[bytes | memoryview], start: int, size: int) -> Iterator[memoryview]:
    """Return so many bytes of the whole, from a position on, without copying them."""
    end = start + size
    for piece in pieces:
        view = memoryview(piece)[max(start, 0) : max(end, 0)]
        if view:
            yield view
        start -= len(piece)
        end -= len(piece)
