"""Payloads that are too large, and codecs that are missing: what is wrong can be read, and can be mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.failures import application_error, task_failure
from support.values import large, small
from support.workflows import Echo, Produces
from temporal_payloads.plugin import PayloadTooLargeError

if TYPE_CHECKING:
    from faults.conftest import Bench

TIGHT = {"max_payload_size": 2000}


async def test_a_client_is_told_that_an_argument_is_too_large(bench: Bench, task_queue: str) -> None:
    client = await bench.client(driver=TIGHT)
    with pytest.raises(PayloadTooLargeError) as raised:
        await bench.start(client, Echo.run, large("order"), task_queue=task_queue)
    assert "max_payload_size of 2000 bytes" in str(raised.value)


async def test_an_activity_fails_for_good_if_its_result_is_too_large(bench: Bench, task_queue: str) -> None:
    client = await bench.client()
    async with await bench.worker(task_queue, driver=TIGHT):
        handle = await bench.start(client, Produces.run, "activity", "order", task_queue=task_queue)
        error = await application_error(handle)
    assert error.type == "PayloadTooLargeError"
    assert error.non_retryable
    assert "max_payload_size of 2000 bytes" in error.message


async def test_a_workflow_whose_result_is_too_large_says_so_in_its_history_and_waits(
    bench: Bench, task_queue: str
) -> None:
    """The SDK fails the workflow task, which is tried again until a worker with a higher limit is there."""
    client = await bench.client()
    handle = await bench.start(client, Produces.run, "workflow", "order", task_queue=task_queue)
    async with await bench.worker(task_queue, driver=TIGHT):
        assert "max_payload_size of 2000 bytes" in str(await task_failure(handle))
    async with await bench.worker(task_queue):
        assert await handle.result() == large("order")


@pytest.mark.parametrize(
    ("codecs", "message"),
    [(["zlib"], "Add 'gzip' to codecs"), ([], "Unknown payload encoding binary/gzip")],
    ids=["another codec", "no codec"],
)
async def test_a_workflow_waits_for_a_worker_with_the_right_codec(
    bench: Bench, task_queue: str, codecs: list[str], message: str
) -> None:
    client = await bench.client()
    handle = await bench.start(client, Echo.run, small("order"), task_queue=task_queue)
    async with await bench.worker(task_queue, codecs=codecs, encode_failures=False):
        failure = await task_failure(handle)
    assert message in f"{failure} {failure.__cause__}"
    async with await bench.worker(task_queue):
        assert await handle.result() == small("order")
