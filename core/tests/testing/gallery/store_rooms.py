"""Drivers that can be collected, with one fault each."""

import uuid
from dataclasses import replace
from functools import partial

from temporal_payloads.plugin import ListedPage
from temporal_payloads.testing._driver_collecting import DriverCollecting

from gallery.drivers import exhibit as driver_exhibit
from gallery.store_room import Files, StoreRoomClient, StoreRoomDriver, store_room


def exhibit(name, driver, breaks, says, *also, client=StoreRoomClient):
    """Show a fault to that part of the kit which is about collecting: it is no other than that of a shelf."""
    shown = driver_exhibit(name, partial(store_room, driver, client), breaks, says, *also)
    return replace(shown, kit=DriverCollecting)


class MovingElsewhere(StoreRoomDriver):
    def claim_for(self, namespace, sha256):
        return super().claim_for(None, sha256)


class ListingAllButTheLast(StoreRoomDriver):
    async def list_payloads(self, shard):
        async for page in super().list_payloads(shard):
            activities = [one for one in page.payloads if one.key.kind == "activity"]
            yield ListedPage(payloads=[one for one in page.payloads if one not in activities[-1:]])


class ListingItsOwn(StoreRoomDriver):
    """Knows what it has seen itself."""

    def __init__(self, *args):
        super().__init__(*args)
        self.me = uuid.uuid4()

    def shards(self, namespaces):
        self.seen = self.settings.layout.prefixes(namespaces)
        return [f"{self.me}:{number}" for number in range(len(self.seen))]

    async def list_payloads(self, shard):
        async for page in super().list_payloads(self.seen[int(shard.partition(":")[2])]):
            yield page


class ForgettingWhereItPutThem(StoreRoomDriver):
    async def restore(self, payloads):
        return ["done" for _ in payloads]


class FindingThemThere(StoreRoomClient):
    async def put(self, key, data):
        if key not in self.items:
            await super().put(key, data)


class DeletingWhatIsAsListed(StoreRoomDriver):
    async def delete(self, payloads):
        here = [replace(one, aside=False) for one in payloads]
        return [
            self.change(one, self.client.items.get(self.key_of(one), (0, 0, True))[2], self.remove)
            for one in here
        ]

    def remove(self, key, _):
        self.client.items.pop(key)


class OneAnswerForAll(StoreRoomDriver):
    async def delete(self, payloads):
        changes = await super().delete(payloads)
        return ["changed" if "changed" in changes else changes[0]] * len(changes)


class CountingTheGraceAnew(StoreRoomDriver):
    async def put_aside(self, payloads, *, grace):
        changes = []
        for one in payloads:
            key = self.key_of(one)
            there = key in self.client.items
            if there:
                self.keep(key, self.client.items[key][0], True)
            changes.append("done" if there else "gone")
        return changes


class LeavingItsProbe(StoreRoomDriver):
    async def probe(self):
        await super().probe()
        await self.write({self.key_for(None, "0" * 64): b"probe"})


class Appending(Files):
    async def write(self, name, data):
        await super().write(name, self.items.get(self.key(name), b"") + data)


class KeepingFilesThatGrow(StoreRoomDriver):
    def state(self):
        return Appending(self.client.items)


STORE_ROOMS = [
    driver_exhibit("a good driver that can be collected", store_room),
    exhibit(
        "a moved payload without its namespace",
        MovingElsewhere,
        "where_a_moved_payload_lies_is_known_beforehand",
        "it is {'host': .*}, and not",
    ),
    exhibit("a page that ends early", ListingAllButTheLast, "what_was_stored_is_listed", "not listed: "),
    exhibit(
        "parts that another driver cannot list",
        ListingItsOwn,
        "parts_are_the_same_for_everybody",
        "they differ from one driver to the next",
    ),
    exhibit(
        "nothing brought back",
        ForgettingWhereItPutThem,
        "what_is_put_aside_can_be_brought_back",
        "what is not aside is listed as if it were",
        "storing_again_brings_back_what_was_put_aside",
        "what_is_aside_is_not_put_aside_again",
    ),
    exhibit(
        "a writer that leaves it aside",
        StoreRoomDriver,
        "storing_again_brings_back_what_was_put_aside",
        r"delete came to \['done'\], not \['changed'\]",
        "the_store_passes_its_probe",
        client=FindingThemThere,
    ),
    exhibit(
        "what is not aside deleted",
        DeletingWhatIsAsListed,
        "only_what_is_aside_is_deleted",
        r"delete came to \['done'\], not \['changed'\]",
        "each_payload_is_deleted_or_left_by_itself",
        "the_store_passes_its_probe",
    ),
    exhibit(
        "one answer for a whole batch",
        OneAnswerForAll,
        "each_payload_is_deleted_or_left_by_itself",
        "delete came to ",
    ),
    exhibit(
        "the grace counted anew",
        CountingTheGraceAnew,
        "what_is_aside_is_not_put_aside_again",
        r"its tag was \d+, and is \d+",
    ),
    exhibit("a probe left behind", LeavingItsProbe, "the_store_passes_its_probe", "1 payloads are there"),
    exhibit(
        "files that are only added to",
        KeepingFilesThatGrow,
        "the_files_of_a_collector_are_kept",
        "has other bytes",
    ),
]
