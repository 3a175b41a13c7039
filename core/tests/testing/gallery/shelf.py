"""A good driver: payloads on a shelf in this process, by a client of one event loop, that is to be closed."""

import asyncio
import warnings
from contextlib import asynccontextmanager

from pydantic import Field, SecretStr
from temporal_payloads.plugin import (
    ContentAddressedDriver,
    ContentAddressedSettings,
    DriverPlugin,
    Duration,
    KeyLayout,
    StorageUnavailableError,
    hookimpl,
)

NOBODY = "nobody"
"""The host of a shelf that nobody keeps."""


class ShelfSettings(ContentAddressedSettings):
    host: str = Field("localhost", description="Where the shelf is.")
    password: SecretStr | None = Field(None, description="What the shelf asks for.")
    ttl: Duration | None = Field(None, description="After how long payloads expire.")

    @property
    def layout(self):
        return KeyLayout("payloads/", fields={"host": self.host})


class ShelfDownError(Exception):
    """What the client library raises."""


class ShelfClient:
    """A client library's client."""

    def __init__(self, items, host):
        self.items = items
        self.host = host
        self.loop = asyncio.get_running_loop()
        self.closed = False

    async def put(self, key, data):
        await self.answer()
        self.items.setdefault(key, data)

    async def get(self, key):
        await self.answer()
        return self.items.get(key)

    async def answer(self):
        if asyncio.get_running_loop() is not self.loop:
            raise RuntimeError("the client is used in another event loop than it was made in")
        if self.host == NOBODY:
            raise ShelfDownError("nobody answers")
        await asyncio.sleep(0)

    def close(self):
        self.closed = True

    def __del__(self):
        if not self.closed:
            warnings.warn("unclosed shelf client", ResourceWarning, source=self, stacklevel=2)


class ShelfDriver(ContentAddressedDriver):
    def __init__(self, client, settings, name):
        super().__init__(driver_name=name, layout=settings.layout, max_payload_size=settings.max_payload_size)
        self.client = client
        self.settings = settings

    def type(self):
        return "shelf"

    async def write(self, items):
        try:
            for key, data in items.items():
                await self.client.put(key, data)
        except ShelfDownError as error:
            raise StorageUnavailableError(f"The shelf at {self.settings.host} is down") from error

    async def read(self, keys):
        return [await self.client.get(key) for key in keys]


def shelf(driver=ShelfDriver, client=ShelfClient, **changes):
    """Return a plugin with a shelf of its own."""
    items = {}

    @asynccontextmanager
    async def open_driver(settings, context):
        opened = client(items, settings.host)
        try:
            yield driver(opened, settings, context.name)
        finally:
            opened.close()

    given = {
        "api_version": 1,
        "settings": ShelfSettings,
        "driver_type": "shelf",
        "driver_name": "shelf",
        "open": open_driver,
        "confine": lambda settings, claim: settings.layout.confine(claim),
        "expiry": lambda settings: settings.ttl,
    }
    return DriverPlugin(**given | changes)


@hookimpl
def temporal_payloads_driver():
    return shelf()
