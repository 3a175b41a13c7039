"""What a storage driver must do that offers its store to be listed, cleaned up and moved."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.converter import (
    StorageDriver,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from temporal_payloads._plugins.contract import DriverPlugin
from temporal_payloads._storage.collecting import CollectableDriver, ListedPayload
from temporal_payloads._storage.errors import PayloadNotFoundError
from temporal_payloads.testing._promises import broken_by
from temporal_payloads.testing._running import RETRIEVE, TARGETS, driver_context, run_loop
from temporal_payloads.testing._samples import a_payload, require_same, sha256_of, some_payloads

GRACE = timedelta(days=7)
NAMESPACE = "collected/ü"
"""A namespace of which no other promise stores payloads."""


class Collected(CollectableDriver, StorageDriver):
    """What a story is told of: both in one."""


Story = Callable[[Collected], Awaitable[None]]


class DriverCollecting:
    """The part of the kit for drivers that are a `CollectableDriver`; for others it is left out.

    Where `why_not_collected` says why not, those are left out that put aside, restore and delete.
    """

    @broken_by("a key that `claim_for` makes in another way than `store`, or a namespace that it leaves out.")
    def test_where_a_moved_payload_lies_is_known_beforehand(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """`claim_for` is the claim of a payload stored for a workflow that is known by its namespace only."""

        async def story(driver: Collected) -> None:
            for namespace in (NAMESPACE, "default", None):
                target = StorageDriverWorkflowInfo(namespace=namespace) if namespace else None
                (claim,) = await driver.store(StorageDriverStoreContext(target=target), [a_payload(60)])
                computed = driver.claim_for(namespace, sha256_of(a_payload(60)))
                expected = plugin.confine(settings, claim).claim
                assert computed == expected, f"it is {computed.claim_data}, and not {expected.claim_data}"

        _run(plugin, settings, story)

    @broken_by(
        "names that are listed as they are escaped, `confine` passed over, a page without its last entry, or "
        "payloads without namespace forgotten in `shards`."
    )
    def test_what_was_stored_is_listed(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """The parts of a namespace hold each of its payloads, with claim, key and size; None stands for none.

        The claim is the one that `confine` returns. Nothing new is aside.
        """

        async def story(driver: Collected) -> None:
            for target in (*TARGETS, _NO_NAMESPACE):
                payloads = some_payloads(61, count=5, size=1000)
                claims = await driver.store(StorageDriverStoreContext(target=target), payloads)
                listed = await _listed(driver, (target and target.namespace) or None)
                for claim, payload in zip(claims, payloads, strict=True):
                    confined = plugin.confine(settings, claim)
                    found = [one for one in listed if one.claim == confined.claim]
                    assert found, f"not listed: {confined.claim.claim_data}"
                    for one in found:
                        said = (one.key.namespace, one.key.sha256, one.size, one.aside)
                        expected = (confined.namespace, confined.sha256, payload.ByteSize(), False)
                        assert said == expected, f"namespace, hash, size and aside are {said}, not {expected}"

        _run(plugin, settings, story)

    @broken_by("a cursor, or the address of a node, in a part's text.")
    def test_parts_are_the_same_for_everybody(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """`shards` asks nobody, and a driver that is opened anew lists the parts that another one named."""
        named: list[Sequence[str]] = []

        async def name(driver: Collected) -> None:
            await driver.store(_FOR, [a_payload(62)])
            named.append(driver.shards([NAMESPACE]))

        async def story(driver: Collected) -> None:
            assert named == [driver.shards([NAMESPACE])], "they differ from one driver to the next"
            listed = [one async for one in _entries(driver, named[0])]
            assert any(one.key.sha256 == sha256_of(a_payload(62)) for one in listed), "nothing is listed"

        _run(plugin, settings, name)
        _run(plugin, settings, story)

    @broken_by("a copy of the payload under another key, or a reader that does not look where it was put.")
    def test_what_is_put_aside_can_be_brought_back(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """It is listed as aside, is read as ever (or looks missing), and `restore` makes it as it was."""

        async def story(driver: Collected) -> None:
            (claim,) = await driver.store(_FOR, [a_payload(63)])
            await _outcome(driver.put_aside([await _one(driver, 63)], grace=GRACE), "put_aside", "done")
            aside = await _one(driver, 63, aside=True)
            with suppress(PayloadNotFoundError):
                require_same(await driver.retrieve(RETRIEVE, [claim]), [a_payload(63)])
            await _outcome(driver.restore([aside]), "restore", "done")
            require_same(await driver.retrieve(RETRIEVE, [claim]), [a_payload(63)])
            await _one(driver, 63)

        _run(plugin, settings, story, changes=True)

    @broken_by("a writer that finds the payload there, and returns its claim without looking at its state.")
    def test_storing_again_brings_back_what_was_put_aside(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """After that, nothing deletes it that has seen it aside, and `restore` has nothing to do."""

        async def story(driver: Collected) -> None:
            payloads = some_payloads(64, count=2)
            claims = await driver.store(_FOR, payloads)
            hashes = [sha256_of(payload) for payload in payloads]
            stored = [await _of(driver, sha256) for sha256 in hashes]
            await _outcome(driver.put_aside(stored, grace=GRACE), "put_aside", "done", "done")
            aside = [await _of(driver, sha256, aside=True) for sha256 in hashes]
            assert await driver.store(_FOR, payloads) == claims, "it has another claim now"
            await _outcome(driver.delete(aside[:1]), "delete", "changed")
            await _outcome(driver.restore(aside[1:]), "restore", "changed")
            require_same(await driver.retrieve(RETRIEVE, claims), payloads)
            listed = [one for one in await _listed(driver, NAMESPACE) if one.key.sha256 in hashes]
            assert len(listed) == len(hashes), f"2 payloads are listed {len(listed)} times"
            assert not any(one.aside for one in listed), "what was stored again is listed as aside"

        _run(plugin, settings, story, changes=True)

    @broken_by(
        "a condition that what was never put aside meets too, such as an ETag that two uploads of the same "
        "bytes have."
    )
    def test_only_what_is_aside_is_deleted(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """Whoever takes it for aside by mistake deletes nothing."""

        async def story(driver: Collected) -> None:
            (claim,) = await driver.store(_FOR, [a_payload(65)])
            stored = await _one(driver, 65)
            await _outcome(driver.delete([replace(stored, aside=True)]), "delete", "changed")
            require_same(await driver.retrieve(RETRIEVE, [claim]), [a_payload(65)])

        _run(plugin, settings, story, changes=True)

    @broken_by("results in the order in which requests end, or one answer for a whole batch.")
    def test_each_payload_is_deleted_or_left_by_itself(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """Of those given, each has its own outcome, in its place; all others stay as they are."""

        async def story(driver: Collected) -> None:
            payloads = some_payloads(66, count=30)
            claims = await driver.store(_FOR, payloads)
            there = {one.key.sha256: one for one in await _listed(driver, NAMESPACE)}
            all_of_them = [there[sha256_of(payload)] for payload in payloads]
            puts = await driver.put_aside(all_of_them[:20], grace=GRACE)
            assert puts == ["done"] * 20, f"put_aside made of 20: {puts}"
            asides = {one.key.sha256: one for one in await _listed(driver, NAMESPACE) if one.aside}
            given = [asides.get(one.key.sha256, replace(one, aside=True)) for one in all_of_them[5:25]]
            await _outcome(driver.delete(given), "delete", *["done"] * 15, *["changed"] * 5)
            await _outcome(driver.delete(given[:1]), "delete", "gone")
            left = claims[:5] + claims[20:]
            require_same(await driver.retrieve(RETRIEVE, left), payloads[:5] + payloads[20:])
            for claim in claims[5:20]:
                with pytest.raises(PayloadNotFoundError):
                    await driver.retrieve(RETRIEVE, [claim])
            hashes = {one.key.sha256 for one in await _listed(driver, NAMESPACE)}
            assert not hashes & {sha256_of(payload) for payload in payloads[5:20]}, "what is gone is listed"

        _run(plugin, settings, story, changes=True)

    @broken_by("a `put_aside` without condition, which then counts its grace anew.")
    def test_what_is_aside_is_not_put_aside_again(
        self, plugin: DriverPlugin[Any], settings: BaseModel
    ) -> None:
        """Whoever has an earlier listing leaves it in the state in which it is; and what is gone is told."""

        async def story(driver: Collected) -> None:
            await driver.store(_FOR, [a_payload(67)])
            stored = await _one(driver, 67)
            await _outcome(driver.put_aside([stored], grace=GRACE), "put_aside", "done")
            aside = await _one(driver, 67, aside=True)
            await driver.put_aside([stored], grace=2 * GRACE)
            tag = (await _one(driver, 67, aside=True)).tag
            assert tag == aside.tag, f"its tag was {aside.tag}, and is {tag}"
            await _outcome(driver.delete([aside]), "delete", "done")
            await _outcome(driver.put_aside([stored], grace=GRACE), "put_aside", "gone")
            await _outcome(driver.restore([aside]), "restore", "gone")

        _run(plugin, settings, story, changes=True)

    @broken_by("an object of the probe's that is left behind.")
    def test_the_store_passes_its_probe(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """`probe` finds nothing wrong with this store, and leaves it as it was."""

        async def story(driver: Collected) -> None:
            before = await _listed(driver, None)
            await driver.probe()
            new = [one.key.sha256 for one in await _listed(driver, None) if one not in before]
            assert not new, f"{len(new)} payloads are there that were not"

        _run(plugin, settings, story, changes=True)

    @broken_by("files under keys that payloads have too, names that are cut, or a `write` that only adds.")
    def test_the_files_of_a_collector_are_kept(self, plugin: DriverPlugin[Any], settings: BaseModel) -> None:
        """`state` keeps bytes under names, the last that were written, and none of them is a payload."""

        async def story(driver: Collected) -> None:
            before = await _listed(driver, None)
            state = driver.state()
            files = {"kit/a": b"", "kit/b/b.c": bytes(range(256)), "kit/b_-1": bytes(3_000_000), "kid": b"x"}
            for name, data in files.items():
                await state.write(name, b"before")
                await state.write(name, data)
            assert await state.names("kit/") == ["kit/a", "kit/b/b.c", "kit/b_-1"], "names differ"
            for name, data in files.items():
                assert await state.read(name) == data, f"{name} has other bytes than were written"
            assert await _listed(driver, None) == before, "files are listed as payloads"
            for name in files:
                await state.remove(name)
                await state.remove(name)
                assert await state.read(name) is None, f"{name} is there after it was removed"
            assert await state.names("ki") == [], "names are left"

        _run(plugin, settings, story, changes=True)


_NO_NAMESPACE = StorageDriverWorkflowInfo(namespace="", id="order-1")
"""As the SDK has it of who has none; some keys leave it out then, and in others it reads `null`."""
_FOR = StorageDriverStoreContext(
    target=StorageDriverWorkflowInfo(namespace=NAMESPACE, id="order-1", run_id="run-1", type="Order")
)


def _run(plugin: DriverPlugin[Any], settings: BaseModel, story: Story, *, changes: bool = False) -> None:
    async def tell() -> None:
        async with plugin.open(settings, driver_context(plugin)) as driver:
            if not isinstance(driver, CollectableDriver):
                pytest.skip(f"{type(driver).__name__} is no CollectableDriver")
            if changes and (why := driver.why_not_collected()):
                pytest.skip(f"nothing of this store is collected: {why}")
            await story(driver)  # type: ignore[arg-type]  # it is both

    run_loop(tell)


async def _entries(driver: CollectableDriver, shards: Sequence[str]) -> AsyncIterator[ListedPayload]:
    for shard in shards:
        async for page in driver.list_payloads(shard):
            for one in page.payloads:
                yield one


async def _listed(driver: CollectableDriver, namespace: str | None) -> list[ListedPayload]:
    return [one async for one in _entries(driver, driver.shards([namespace]))]


async def _one(driver: CollectableDriver, number: int, *, aside: bool = False) -> ListedPayload:
    return await _of(driver, sha256_of(a_payload(number)), aside=aside)


async def _of(driver: CollectableDriver, sha256: str, *, aside: bool = False) -> ListedPayload:
    """Return what is listed of a payload in the namespace."""
    found = [one for one in await _listed(driver, NAMESPACE) if one.key.sha256 == sha256]
    assert found, "it is not listed"
    if aside:
        assert all(one.aside for one in found), "what is aside is listed as if it were not"
    # What was stored again may be listed as aside too, until somebody tries to delete or restore that.
    there = [one for one in found if one.aside is aside]
    assert there, "what is not aside is listed as if it were"
    return there[0]


async def _outcome(changes: Awaitable[list[Any]], said: str, *expected: str) -> None:
    outcome = await changes
    assert outcome == list(expected), f"{said} came to {outcome}, not {list(expected)}"
