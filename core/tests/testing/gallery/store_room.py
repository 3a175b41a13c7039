"""A good driver that can be collected: a shelf with a store room behind it."""

import itertools

from temporal_payloads.plugin import CollectableDriver, ListedPage, probe_conditions

from gallery.shelf import ShelfClient, ShelfDriver, shelf


class StoreRoomClient(ShelfClient):
    """Knows of each item its number, and whether it is aside."""

    numbers = itertools.count()

    async def put(self, key, data):
        await self.answer()
        if key not in self.items or self.items[key][2]:
            self.items[key] = (data, next(self.numbers), False)

    async def get(self, key):
        await self.answer()
        return self.items[key][0] if key in self.items else None


class Files:
    def __init__(self, items):
        self.items = items

    def key(self, name):
        return f"files/{name}"

    async def read(self, name):
        return self.items.get(self.key(name))

    async def write(self, name, data):
        self.items[self.key(name)] = data

    async def names(self, prefix):
        return sorted(key.removeprefix("files/") for key in self.items if key.startswith(self.key(prefix)))

    async def remove(self, name):
        self.items.pop(self.key(name), None)


class StoreRoomDriver(ShelfDriver, CollectableDriver):
    def shards(self, namespaces):
        return self.settings.layout.prefixes(namespaces)

    async def list_payloads(self, shard):
        keys = [key for key in self.client.items if key.startswith(shard)]
        yield ListedPage(payloads=[self.look(key) for key in keys])

    def look(self, key):
        data, number, aside = self.client.items[key]
        return self.listed(key, size=len(data), tag=str(number), aside=aside)

    async def probe(self):
        async def look(key):
            return self.look(key) if key in self.client.items else None

        await probe_conditions(self, look)

    def change(self, one, was_aside, make):
        key = self.key_of(one)
        if key not in self.client.items:
            return "gone"
        data, number, aside = self.client.items[key]
        if aside is not was_aside or str(number) != one.tag:
            return "changed"
        make(key, data)
        return "done"

    def keep(self, key, data, aside):
        self.client.items[key] = (data, next(self.client.numbers), aside)

    async def put_aside(self, payloads, *, grace):
        return [self.change(one, False, lambda key, data: self.keep(key, data, True)) for one in payloads]

    async def restore(self, payloads):
        return [self.change(one, True, lambda key, data: self.keep(key, data, False)) for one in payloads]

    async def delete(self, payloads):
        return [self.change(one, True, lambda key, _: self.client.items.pop(key)) for one in payloads]

    def state(self):
        return Files(self.client.items)


def store_room(driver=StoreRoomDriver, client=StoreRoomClient, **changes):
    """Return a plugin with a shelf and a store room of its own."""
    return shelf(driver, client, **changes)
