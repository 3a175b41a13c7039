"""No payload that somebody needs is lost, whatever writers and a collector do at once."""

from contextlib import AsyncExitStack
from random import Random

from support.collecting_storm import CollectingStorm, rounds
from support.lossy_proxy import LossyProxy, Queue

SIZES = (0, 1, 50, 500) * 10 + (1_100_000,)
"""Of payloads; the last one has two parts."""


async def test_nothing_that_somebody_needs_is_lost(database, open_driver):
    random = Random(11)
    queue = Queue(random)
    server = database.server
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
                open_driver(url=server.url.replace(f":{server.port}", f":{proxy.port}"))
            )
            for proxy in proxies
        ]
        calm = await stack.enter_async_context(open_driver(**database.address))
        storm = CollectingStorm(
            writers=drivers[:2],
            collector=drivers[2],
            calm=calm,
            random=random,
            settle=settle,
            sizes=SIZES,
        )
        outcomes = await storm.run(rounds(500))
    assert {"put_aside: done", "delete: done", "delete: changed"} <= set(outcomes), outcomes
    lost = [outcome for outcome in outcomes if outcome.endswith((": unknown", "UnavailableError"))]
    assert lost, outcomes
