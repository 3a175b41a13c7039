"""No payload that somebody needs is lost, whatever writers and a collector do at once."""

from contextlib import AsyncExitStack
from random import Random
from urllib.parse import urlsplit

from support.collecting_storm import CollectingStorm, rounds
from support.lossy_proxy import LossyProxy, Queue


async def test_nothing_that_somebody_needs_is_lost(container, open_driver):
    random = Random(11)
    queue = Queue(random)
    address = urlsplit(container.server.account_url)
    async with AsyncExitStack() as stack:
        proxies = [
            await stack.enter_async_context(
                LossyProxy(str(address.hostname), address.port or 0, queue, lost=10)
            )
            for _ in range(3)
        ]

        async def settle():
            for proxy in proxies:
                await proxy.settle()

        drivers = [
            await stack.enter_async_context(
                open_driver(
                    **container.settings
                    | {"account_url": address._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()}
                )
            )
            for proxy in proxies
        ]
        calm = await stack.enter_async_context(open_driver(**container.settings))
        storm = CollectingStorm(
            writers=drivers[:2], collector=drivers[2], calm=calm, random=random, settle=settle
        )
        outcomes = await storm.run(rounds(100))
    assert {"put_aside: done", "delete: done", "delete: changed"} <= set(outcomes), outcomes
    lost = [outcome for outcome in outcomes if outcome.endswith((": unknown", "UnavailableError"))]
    assert lost, outcomes
