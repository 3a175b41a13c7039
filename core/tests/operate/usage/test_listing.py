"""Counting what stores list: each payload once, in memory of a fixed size."""

import hashlib
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import build
from temporal_payloads._operate.usage.counts import StoreCounts, Tally
from temporal_payloads._operate.usage.listing import count_store, count_stores
from temporal_payloads.plugin import ListedPage, ListedPayload, ParsedKey
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverClaim,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)


class Shelf:
    """Stands for a driver: its parts, and what each lists."""

    def __init__(self, parts, **pages):
        self.parts = parts
        self.pages = pages

    def shards(self, namespaces):
        return [shard for namespace in namespaces for shard in self.parts[namespace]]

    async def list_payloads(self, shard):
        for payloads in self.pages.get(shard, []):
            yield ListedPage(payloads=payloads, others=1)


async def counted(shelf: Any, *namespaces):
    counts = StoreCounts("shelf")
    await count_store(shelf, namespaces, counts)
    assert counts.ended
    return counts


async def test_parts_of_namespaces_are_counted_each(listed):
    shelf = Shelf(
        {"orders": ["a", "b"], "billing": ["c"], None: ["d"]},
        a=[[listed(1)], [listed(2)]],
        b=[[listed(3)]],
        c=[[listed(4, namespace="billing")]],
        d=[[listed(5, namespace=None)]],
    )
    counts = await counted(shelf, "orders", "billing")
    assert counts.by_namespace() == {"orders": Tally(3, 300), "billing": Tally(1, 100), None: Tally(1, 100)}
    assert counts.others == 5


async def test_a_store_that_is_one_part_is_counted_once(listed):
    everything = [listed(1), listed(2, namespace="billing"), listed(3, namespace=None)]
    shelf = Shelf({"orders": ["all"], "billing": ["all"], None: ["all"]}, all=[everything])
    assert (await counted(shelf, "orders", "billing")).total.payloads == 3


async def test_a_part_that_holds_the_others_too_counts_nothing_twice(listed):
    everything = [listed(1), listed(2, namespace=None)]
    shelf = Shelf(
        {"orders": ["v0/orders"], None: ["v0/"]}, **{"v0/orders": [[listed(1)]], "v0/": [everything]}
    )
    counts = await counted(shelf, "orders")
    assert (counts.total.payloads, counts.others) == (2, 1)


async def test_payloads_of_namespaces_that_nobody_asked_for_are_counted_where_they_show(listed):
    shelf = Shelf({"orders": ["all"], None: ["all"]}, all=[[listed(1, namespace="stranger"), listed(2)]])
    assert (await counted(shelf, "orders")).by_namespace() == {
        "stranger": Tally(1, 100),
        "orders": Tally(1, 100),
    }


async def test_a_listing_is_closed_where_counting_fails():
    class Endless(Shelf):
        closed = False

        async def list_payloads(self, shard):
            try:
                while True:
                    yield ListedPage(payloads=[None])  # type: ignore[list-item]  # what cannot be counted
            finally:
                self.closed = True

    shelf = Endless({None: ["all"]})
    with pytest.raises(AttributeError):
        await counted(shelf)
    assert shelf.closed


@pytest.fixture
def stored(tmp_path):
    """Store payloads of several namespaces in real stores, and return the drivers."""

    async def store(**tables):
        settings = PayloadSettings(storage={"driver": "inline", "drivers": tables})
        assembly = build(settings)
        for driver in assembly.drivers.values():
            for namespace, count in (("orders", 3), ("billing", 2), ("other", 1)):
                target = StorageDriverWorkflowInfo(namespace=namespace, type="Order", id="o-1")
                payloads = [Payload(data=f"{namespace} {number}".encode()) for number in range(count)]
                await driver.store(StorageDriverStoreContext(target=target), payloads)
                # The same once more, for another workflow.
                again = StorageDriverWorkflowInfo(namespace=namespace, type="Order", id="o-2")
                await driver.store(StorageDriverStoreContext(target=again), payloads[:1])
        return assembly.drivers

    return store


async def test_real_stores_are_counted(stored, tmp_path):
    drivers = await stored(
        memory={"store": "usage"}, filesystem={"path": str(tmp_path / "files"), "create": True}
    )
    counts = {key: StoreCounts(key) for key in drivers}
    await count_stores(drivers, ["orders", "billing", "other"], counts)
    for one in counts.values():
        assert one.error is None
        assert {name: tally.payloads for name, tally in one.by_namespace().items()} == {
            "orders": 4,
            "billing": 3,
            "other": 2,
        }
        assert one.duplicates.counted().payloads == 3
        assert one.by_age().keys() == {"under a day"}


async def test_a_store_that_cannot_be_listed_does_not_keep_others_from_being_counted(
    stored, registry, memory, tmp_path
):
    good = await stored(filesystem={"path": str(tmp_path / "files"), "create": True})
    plain = build(PayloadSettings(storage={"drivers": {"memory": {}}}), registry=registry).drivers["memory"]
    broken = build(
        PayloadSettings(storage={"drivers": {"filesystem": {"path": str(tmp_path / "nowhere")}}})
    ).drivers["filesystem"]
    drivers = {"plain": plain, "broken": broken, **good}
    counts = {key: StoreCounts(key) for key in drivers}
    await count_stores(drivers, ["orders"], counts)
    assert counts["plain"].error == {
        "type": "NotListableError",
        "message": "its driver cannot list what it has stored",
    }
    assert counts["broken"].error is not None
    assert counts["broken"].error["type"] == "StorageUnavailableError"
    assert "nowhere" in counts["broken"].error["message"]
    assert counts["filesystem"].ended


async def test_a_hundred_thousand_payloads_take_no_more_memory_than_twenty_thousand():
    sizes = []
    for number in (20_000, 100_000):
        shelf: Any = SimpleNamespace(shards=lambda _: ["all"], list_payloads=lambda _, n=number: many(n))
        counts = StoreCounts("shelf")
        counts.duplicates._kept = 4096
        await count_store(shelf, ["orders"], counts)
        assert counts.total.payloads == number
        assert counts.duplicates.counted().payloads == pytest.approx(number / 2, rel=0.1)
        sizes.append(len(pickle.dumps(counts)))
    assert sizes[1] < sizes[0] * 1.2  # of all that is kept
    assert Page.alive == 0
    assert Page.most_alive <= 2  # the one that is counted, and the one that is made


class Page(ListedPage):
    """A page that is counted as long as somebody holds it."""

    alive = most_alive = 0

    def __init__(self, payloads):
        super().__init__(payloads=payloads)
        Page.alive += 1
        Page.most_alive = max(Page.most_alive, Page.alive)

    def __del__(self):
        Page.alive -= 1


async def many(number):
    """Yield pages of payloads of which each is there twice, in a thousand types."""
    claim = StorageDriverClaim(claim_data={})
    for start in range(0, number, 1000):
        yield Page(
            [
                ListedPayload(
                    claim=claim,
                    key=ParsedKey(
                        namespace="orders",
                        sha256=hashlib.sha256(str((start + index) // 2).encode()).hexdigest(),
                        kind="workflow",
                        id="o",
                        run_id="r",
                        type=f"Type{index}",
                    ),
                    size=1000,
                    tag="1",
                )
                for index in range(1000)
            ]
        )
