"""Payloads that are too large, and codecs that are missing: what is wrong can be read, and can be mended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.failures import application_error, task_failure
from support.values import large, small
from support.workflows import Echo, Produces
from temporal_payloads.plugin import PayloadTooLargeError

if TYPE_CHECKING:
    from faults.conftest import Bench

TIGHT: dict[str, tuple[dict[str, Any], str]] = {
    "driver": ({"driver": {"max_payload_size": 2000}}, "max_payload_size of 2000 bytes"),
    "codec": ({"codec": {"gzip": {"max_decoded_size": 2000}}}, "Raise codec.gzip.max_decoded_size"),
}
"""A limit that is too low for a large value, and what stands in the message."""
limits = pytest.mark.parametrize("limit", TIGHT)


@limits
async def test_a_client_is_told_that_an_argument_is_too_large(
    bench: Bench, task_queue: str, limit: str
) -> None:
    changes, told = TIGHT[limit]
    client = await bench.client(**changes)
    with pytest.raises(PayloadTooLargeError) as raised:
        await bench.start(client, Echo.run, large("order"), task_queue=task_queue)
    assert told in str(raised.value)


@limits
async def test_an_activity_fails_for_good_if_its_result_is_too_large(
    bench: Bench, task_queue: str, limit: str
) -> None:
    changes, told = TIGHT[limit]
    client = await bench.client()
    # Failures are not encoded: the codec's limit would not let this one through either.
    async with await bench.worker(task_queue, encode_failures=False, **changes):
        handle = await bench.start(client, Produces.run, "activity", "order", task_queue=task_queue)
        error = await application_error(handle)
    assert error.type == "PayloadTooLargeError"
    assert error.non_retryable
    assert told in error.message


@limits
async def test_a_workflow_whose_result_is_too_large_says_so_in_its_history_and_waits(
    bench: Bench, task_queue: str, limit: str
) -> None:
    """The SDK fails the workflow task, which is tried again until a worker with a higher limit is there."""
    changes, told = TIGHT[limit]
    client = await bench.client()
    handle = await bench.start(client, Produces.run, "workflow", "order", task_queue=task_queue)
    async with await bench.worker(task_queue, **changes):
        assert told in str(await task_failure(handle))
    async with await bench.worker(task_queue):
        assert await handle.result() == large("order")


async def test_a_workflow_waits_for_a_worker_with_the_right_codec(bench: Bench, task_queue: str) -> None:
    client = await bench.client()
    handle = await bench.start(client, Echo.run, small("order"), task_queue=task_queue)
    async with await bench.worker(task_queue, codecs=["zlib"], encode_failures=False):
        assert "Add 'gzip' to codecs" in str(await task_failure(handle))
    async with await bench.worker(task_queue):
        assert await handle.result() == small("order")
