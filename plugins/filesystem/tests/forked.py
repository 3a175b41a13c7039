"""Stores the same payloads from several processes at once, with a driver from before they parted."""

import asyncio
import os
import sys

from temporal_payloads_filesystem import FilesystemStorageDriver
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

CONTEXT = StorageDriverStoreContext(
    target=StorageDriverWorkflowInfo(namespace="default", id="order-1", run_id="run-1", type="order")
)


async def there_and_back(driver: FilesystemStorageDriver) -> None:
    payloads = [Payload(data=str(number).encode() * 1000) for number in range(40)]
    claims = await driver.store(CONTEXT, payloads)
    assert await driver.retrieve(StorageDriverRetrieveContext(), claims) == payloads


def main() -> int:
    driver = FilesystemStorageDriver(sys.argv[1], create=True)
    asyncio.run(driver.check())
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            try:
                asyncio.run(there_and_back(driver))
            except BaseException:  # noqa: BLE001  # a child must never go on as the parent does
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        children.append(child)
    asyncio.run(there_and_back(driver))
    asyncio.run(driver.aclose())
    return max(os.waitpid(child, 0)[1] for child in children)


if __name__ == "__main__":
    sys.exit(main() != 0)
