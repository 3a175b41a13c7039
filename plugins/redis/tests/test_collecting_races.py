"""No payload that somebody needs is lost, whatever writers and a collector do at once."""

from contextlib import AsyncExitStack
from random import Random

from support.collecting_storm import CollectingStorm, rounds
from support.lossy_proxy import LossyProxy, Queue


async def test_nothing_that_somebody_needs_is_lost(server, open_driver):
    random = Random(11)
    queue = Queue(random)
    async with AsyncExitStack() as stack:
        proxies = [
            await stack.enter_async_context(LossyProxy("127.0.0.1", server.port, queue, lost=5))
            for _ in range(3)
        ]

        async def settle():
            for proxy in proxies:
                await proxy.settle()

        drivers = [
            await stack.enter_async_context(
                open_driver(host="127.0.0.1", port=proxy.port, pool_size=20, retries=retries)
            )
            for proxy, retries in zip(proxies, (0, 1, 0), strict=True)
        ]
        calm = await stack.enter_async_context(open_driver(url=server.url))
        storm = CollectingStorm(
            writers=drivers[:2], collector=drivers[2], calm=calm, random=random, settle=settle
        )
        outcomes = await storm.run(rounds(500))
    assert {"put_aside: done", "delete: done", "delete: changed"} <= set(outcomes), outcomes
    lost = [outcome for outcome in outcomes if outcome.endswith((": unknown", "UnavailableError"))]
    assert lost, outcomes
