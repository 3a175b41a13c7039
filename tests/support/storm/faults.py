"""Everything that goes wrong: each fault as a block, after which all is as it was."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from support.storm.deployment import Deployment
    from support.storm.proxy import Weather

    Fault = Callable[[Deployment], AbstractAsyncContextManager[None]]

DAY = 24 * 60 * 60


@asynccontextmanager
async def _killed(deployment: Deployment) -> AsyncIterator[None]:
    await deployment.store.kill()
    await deployment.proxy.cut()
    try:
        yield
    finally:
        await deployment.store.start()
        deployment.store.point(deployment.proxy)
        await deployment.proxy.restore()


@asynccontextmanager
async def _frozen(deployment: Deployment) -> AsyncIterator[None]:
    deployment.store.freeze()
    try:
        yield
    finally:
        deployment.store.thaw()


@asynccontextmanager
async def _full(deployment: Deployment) -> AsyncIterator[None]:
    async with deployment.store.full():
        yield


def _weather(weather: Weather) -> Fault:
    @asynccontextmanager
    async def turned(deployment: Deployment) -> AsyncIterator[None]:
        with deployment.proxy.turned(weather):
            yield

    return turned


@asynccontextmanager
async def _kms_down(deployment: Deployment) -> AsyncIterator[None]:
    await deployment.kms_proxy.cut()
    try:
        # Data keys live for a moment only; while they do, nobody notices.
        await asyncio.sleep(4)
        yield
    finally:
        await deployment.kms_proxy.restore()


@asynccontextmanager
async def _worker_killed(deployment: Deployment) -> AsyncIterator[None]:
    await deployment.mortal.kill()
    try:
        yield
    finally:
        deployment.mortal.start()


@asynccontextmanager
async def _clocks_off(deployment: Deployment) -> AsyncIterator[None]:
    await deployment.steady.set_clock(DAY)
    await deployment.mortal.set_clock(-DAY)
    try:
        yield
    finally:
        await deployment.steady.set_clock(0)
        await deployment.mortal.set_clock(0)


@asynccontextmanager
async def _keys_rotated(deployment: Deployment) -> AsyncIterator[None]:
    await deployment.keys.rotate()
    yield


OF_THE_STORE: dict[str, Fault] = {
    "store killed": _killed,
    "store frozen": _frozen,
    "store crawls": _weather("crawl"),
    "store full": _full,
    "rubbish answered": _weather("rubbish"),
    "answers damaged": _weather("damage"),
}
"""One at a time."""
OF_THE_REST: dict[str, Fault] = {
    "KMS down": _kms_down,
    "worker killed": _worker_killed,
    "clocks off": _clocks_off,
    "keys rotated": _keys_rotated,
}
"""One at a time, beside those of the store."""
