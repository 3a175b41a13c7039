"""A payload's pieces as request bodies."""

import tracemalloc
from typing import Any

import pytest
from temporal_payloads_s3._body import Body

WHOLE = bytes(range(256)) * 3000
PIECES = [WHOLE[:7], WHOLE[7:700_001], b"", WHOLE[700_001:]]


@pytest.mark.parametrize("start", [0, 3, 7, 8, 700_000, 700_001, len(WHOLE) - 1])
@pytest.mark.parametrize("size", [None, 1, 10, 300_000, len(WHOLE)])
async def test_a_part_is_the_same_bytes_signed_sent_and_sent_again(start: int, size: int | None) -> None:
    expected = WHOLE[start:][:size]
    body = Body(PIECES, start, size)
    assert len(body) == len(expected)
    for _ in range(2):
        assert b"".join(iter(lambda: body.read(1000), b"")) == expected
        assert body.tell() == len(expected)
        body.seek(0)
        assert b"".join([bytes(chunk) async for chunk in body]) == expected
    assert body.read() == expected


async def test_a_large_payload_is_copied_once_on_its_way_to_the_store(
    s3_server: Any, s3_bucket: str, open_driver: Any, store_context: Any, payload: Any
) -> None:
    size = 20_000_000
    async with open_driver(s3_server, s3_bucket) as driver:
        await driver.store(store_context, [payload(1)])
        large = payload(2, size)
        tracemalloc.start()
        try:
            await driver.store(store_context, [large])
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    # The chunks that each part is signed by are a megabyte each.
    assert size < peak < 1.5 * size
