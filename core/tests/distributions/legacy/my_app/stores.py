"""Storage drivers as somebody wrote them for the plain SDK, and other things that can be named by mistake."""

import hashlib
from contextlib import asynccontextmanager
from datetime import timedelta

from pydantic import BaseModel
from temporal_payloads.plugin import (
    ClaimRejectedError,
    ConfinedClaim,
    ContentAddressedDriver,
    DriverPlugin,
    KeyLayout,
    hookimpl,
)
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriver, StorageDriverClaim

SHELF = {}
"""The store."""
OPEN = []
"""The drivers that are open now."""


class PlainDriver(StorageDriver):
    """As the SDK's documentation shows one: it has keys of its own, and confines nothing."""

    def name(self):
        return "plain"

    def type(self):
        return "my_app.plain"

    async def store(self, context, payloads):
        claims = []
        for payload in payloads:
            data = payload.SerializeToString(deterministic=True)
            namespace = context.target.namespace if context.target else "none"
            key = f"{namespace}-{hashlib.sha256(data).hexdigest()}"
            SHELF[key] = data
            claims.append(StorageDriverClaim(claim_data={"key": key}))
        return claims

    async def retrieve(self, context, claims):
        return [Payload.FromString(SHELF[claim.claim_data["key"]]) for claim in claims]


class ConfinedDriver(PlainDriver):
    """One that tells which claims are its own."""

    def confine(self, claim):
        namespace, _, sha256 = claim.claim_data.get("key", "").rpartition("-")
        if not namespace or len(sha256) != 64:
            raise ClaimRejectedError("The claim is none of the driver's")
        return ConfinedClaim(claim=claim, sha256=sha256, namespace=namespace)


class ShelfDriver(ContentAddressedDriver):
    """One on the base class of this project, which confines claims by the layout of its keys."""

    def __init__(self, prefix="shelf/"):
        super().__init__(driver_name="shelf", layout=KeyLayout(prefix))

    def type(self):
        return "my_app.shelf"

    async def write(self, items):
        for key, data in items.items():
            SHELF.setdefault(key, data)

    async def read(self, keys):
        return [SHELF.get(key) for key in keys]


class Expiring(ShelfDriver):
    expiry = timedelta(days=30)


class WrongExpiry(ShelfDriver):
    expiry = 30


class WrongConfine(PlainDriver):
    def confine(self, claim):
        return claim


class WithPrefix(ShelfDriver):
    def __init__(self, prefix):
        super().__init__(prefix)


class Large(PlainDriver):
    max_payload_size = 2 * 1024**3


class WrongSize(ShelfDriver):
    max_payload_size = "50MiB"


class LargeShelf(ShelfDriver):
    def __init__(self):
        ContentAddressedDriver.__init__(self, driver_name="large", max_payload_size=3 * 1024**3)


class Failing(ShelfDriver):
    def __init__(self):
        raise RuntimeError("no bucket")


@asynccontextmanager
async def opened():
    driver = ShelfDriver("opened/")
    OPEN.append(driver)
    try:
        yield driver
    finally:
        OPEN.remove(driver)


opened.confine = KeyLayout("opened/").confine


@asynccontextmanager
async def opens_no_driver():
    yield "a driver"


opens_no_driver.confine = opened.confine


async def opens_nothing():
    return ShelfDriver()


opens_nothing.confine = opened.confine


class Settings(BaseModel):
    model_config = {"extra": "forbid", "frozen": True}

    prefix: str


@asynccontextmanager
async def open_described(settings, context):
    yield ShelfDriver(settings.prefix)


made = ShelfDriver("made/")
PASSWORD = "hunter2"
described = DriverPlugin(
    api_version=1,
    settings=Settings,
    driver_type="my_app.described",
    driver_name="described-by-convention",
    open=open_described,
    confine=lambda settings, claim: KeyLayout(settings.prefix).confine(claim),
)


@hookimpl
def temporal_payloads_driver():
    return described


class Box(ShelfDriver):
    """Of each one that is made, the store is another, as with clients of two accounts."""

    def __init__(self):
        super().__init__()
        self.items = {}

    async def write(self, items):
        self.items |= items

    async def read(self, keys):
        return [self.items.get(key) for key in keys]


class NumberedBox(PlainDriver):
    """The same, but what a claim leads to nothing but the driver knows."""

    def __init__(self):
        self.payloads = []

    async def store(self, context, payloads):
        self.payloads += payloads
        numbers = range(len(self.payloads) - len(payloads), len(self.payloads))
        return [StorageDriverClaim(claim_data={"number": str(number)}) for number in numbers]

    async def retrieve(self, context, claims):
        return [self.payloads[int(claim.claim_data["number"])] for claim in claims]


box_eu, box_us = Box(), Box()
numbered_eu, numbered_us = NumberedBox(), NumberedBox()


def opener(box):
    """Make a function that opens a driver; all of them have one name."""

    @asynccontextmanager
    async def open_box():
        yield box

    open_box.confine = box.confine
    return open_box


open_eu, open_us = opener(box_eu), opener(box_us)
