"""The cache's tier on disk: what it saves a process that starts again, and what it costs one that writes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

from temporalio.converter import StorageDriver, StorageDriverClaim

from benchmarks.data import new_payloads
from benchmarks.harness import Config, Contestant, Line, Report, duration, faster, race
from benchmarks.s3 import retrieve, store
from benchmarks.servers import Servers, converter, driver_of

SIZE = 300_000
PAYLOADS = 10


async def run(config: Config, servers: Servers) -> Report:
    """Read from a disk that another process filled, and write with and without it."""
    sizes = count(32_000_000)

    def driver(**cache: object) -> StorageDriver:
        # A memory of another size is another cache: what a new process has.
        return driver_of(converter({"s3": servers.s3.options()}, cache={"max_size": next(sizes), **cache}))

    directory = servers.directory / "disk"
    first = driver(dir=directory)
    claims = await store(first, new_payloads(PAYLOADS, SIZE))
    await retrieve(driver(dir=directory), claims)

    async def read(prepared: StorageDriver) -> list[object]:
        return list(await retrieve(prepared, claims))

    reading = await race(
        {
            "peer": Contestant(read, await _connected(driver, claims)),
            "ours": Contestant(read, partial(driver, dir=directory)),
        },
        config.rounds(9),
    )
    plain, with_disk = driver(), driver(dir=directory)
    for one in (plain, with_disk):
        await store(one, new_payloads(1, SIZE))
    writing = await race(
        {
            "without": Contestant(partial(store, plain), partial(new_payloads, 1, SIZE)),
            "with": Contestant(partial(store, with_disk), partial(new_payloads, 1, SIZE)),
        },
        config.rounds(15),
    )
    lines = [
        faster(f"{PAYLOADS} payloads of 300 KB after a restart: S3 beside storage.cache.dir", reading, 5),
        Line(
            "one new payload of 300 KB to S3: without and with storage.cache.dir",
            duration(writing["without"]),
            duration(writing["with"]),
            writing["without"] / writing["with"],
            "no slower",
            writing["without"] / writing["with"] > 0.9,
        ),
    ]
    return Report(lines=lines)


async def _connected(
    driver: Callable[..., StorageDriver], claims: list[StorageDriverClaim]
) -> Callable[[], StorageDriver]:
    """Make a driver without any cache whose connections are open: only the fetch is to be timed."""
    connected = driver(max_size=0)
    await retrieve(connected, claims)
    return lambda: connected
