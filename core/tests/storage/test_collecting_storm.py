"""The storm that stores are tried in finds what it is there to find: tried on a model of a store."""

from dataclasses import dataclass, field
from random import Random

import pytest
from support.collecting_storm import CollectingStorm
from support.lossy_proxy import Queue
from temporal_payloads.plugin import (
    CollectableDriver,
    ContentAddressedDriver,
    KeyLayout,
    ListedPage,
    ListedPayload,
    StorageUnavailableError,
)


@dataclass
class Shelf:
    """A store in which each request may be overtaken by others, and lose its answer."""

    queue: Queue
    lost: float = 0.02
    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    """Under each key its bytes and its state: `plain` or `aside`."""

    async def request(self, do):
        await self.queue.pass_through()
        done = do()
        await self.queue.pass_through()
        if self.queue.random.random() < self.lost:
            raise StorageUnavailableError("the answer is lost")
        return done

    async def change(self, key, tag, changed):
        """Change what is under a key if it is in this state."""

        def do():
            if key not in self.objects:
                return "gone"
            data, state = self.objects[key]
            if tag not in {state, None}:
                return "changed"
            if changed is None:
                del self.objects[key]
            else:
                self.objects[key] = (data, changed)
            return "done"

        return await self.request(do)


class ShelfDriver(ContentAddressedDriver, CollectableDriver):
    """Does all that it must; the drivers below leave one thing out each."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(driver_name="shelf")
        self.shelf = shelf

    def type(self):
        return "shelf"

    async def write(self, items):
        for key, data in items.items():
            await self.write_one(key, data)

    async def write_one(self, key, data):
        objects = self.shelf.objects
        state = await self.shelf.request(lambda: objects.setdefault(key, (data, "plain"))[1])
        if state == "aside":
            await self.shelf.request(lambda: objects.update({key: (data, "plain")}))

    async def read(self, keys):
        return [
            await self.shelf.request(lambda key=key: self.shelf.objects.get(key, (None,))[0]) for key in keys
        ]

    def claim_for(self, namespace, sha256):
        raise NotImplementedError

    def shards(self, namespaces):
        return ["all"]

    async def list_payloads(self, shard):
        layout = KeyLayout()
        payloads = [
            ListedPayload(
                claim=layout.claim(key, parsed.sha256),
                key=parsed,
                size=len(data),
                tag=state,
                aside=state == "aside",
            )
            for key, (data, state) in self.shelf.objects.items()
            if (parsed := layout.read(key))
        ]
        yield ListedPage(payloads=payloads)

    async def probe(self):
        pass

    async def change_all(self, payloads, changed, *, condition=True):
        changes = []
        for one in payloads:
            key, tag = one.claim.claim_data["key"], one.tag if condition else None
            try:
                changes.append(await self.shelf.change(key, tag, changed))
            except StorageUnavailableError:
                changes.append("unknown")
        return changes

    async def put_aside(self, payloads, *, grace):
        return await self.change_all(payloads, "aside")

    async def restore(self, payloads):
        return await self.change_all(payloads, "plain")

    async def delete(self, payloads):
        return await self.change_all(payloads, None)

    def state(self):
        raise NotImplementedError


class NoTouch(ShelfDriver):
    """Takes what is there for stored, aside or not."""

    async def write_one(self, key, data):
        await self.shelf.request(lambda: self.shelf.objects.setdefault(key, (data, "plain")))


class AsksFirst(ShelfDriver):
    """Asks whether a payload is there, and leaves it at that if it was put aside after that."""

    async def write_one(self, key, data):
        if await self.shelf.request(lambda: key in self.shelf.objects):
            await self.shelf.change(key, "aside", "plain")
        else:
            await super().write_one(key, data)


class DeletesAnything(ShelfDriver):
    """Deletes without a condition."""

    async def delete(self, payloads):
        return await self.change_all(payloads, None, condition=False)


class SecondThoughts(ShelfDriver):
    """Deletes what is aside, whatever it is by now, once more where the answer was lost."""

    async def delete(self, payloads):
        changes = await super().delete(payloads)
        again = [one for one, change in zip(payloads, changes, strict=True) if change == "unknown"]
        await self.change_all(again, None, condition=False)
        return changes


def storm_on(driver, seed=0):
    random = Random(seed)
    shelf, calm = Shelf(Queue(random)), Shelf(Queue(random, held=0), lost=0)
    calm.objects = shelf.objects
    return CollectingStorm(
        writers=[driver(shelf), driver(shelf)], collector=driver(shelf), calm=ShelfDriver(calm), random=random
    )


async def test_a_store_that_does_all_that_it_must_loses_nothing():
    outcomes = await storm_on(ShelfDriver).run(1000)
    for change in ("done", "changed", "gone", "unknown"):
        assert outcomes[f"delete: {change}"], outcomes
    assert outcomes["restore: changed"]
    assert outcomes["delete: calmly done"]


@pytest.mark.parametrize("driver", [NoTouch, AsksFirst, DeletesAnything, SecondThoughts])
async def test_a_store_that_leaves_one_thing_out_loses_a_payload(driver):
    with pytest.raises(AssertionError, match="is lost"):
        await storm_on(driver).run(3000)


async def test_a_payload_that_cannot_be_deleted_is_told():
    class KeepsAll(ShelfDriver):
        async def delete(self, payloads):
            return ["unknown"] * len(payloads)

    storm = storm_on(ShelfDriver)
    storm.calm = KeepsAll(storm.calm.shelf)
    with pytest.raises(AssertionError, match="unknown"):
        await storm.run(10)
