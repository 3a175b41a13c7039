"""Writers, readers and a collector on the same payloads at once, by the rules of a collection.

The collector's rules, as far as a store must rely on them: it deletes only what it listed as aside right
after it was put aside, and only if a second mark, begun a full grace later, sees no reference. Every store
that was under way when a payload was put aside has ended by then, and its reference is visible. Of what is
stored after that mark began, the collector does not know: there the store alone keeps the payload.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from temporal_payloads.plugin import PayloadNotFoundError, StorageError
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from random import Random

    from temporal_payloads.plugin import Change, ListedPayload
    from temporalio.converter import StorageDriverClaim

GRACE = timedelta(hours=1)
"""Passed on to the stores; no time passes in a storm."""
_KEYS = 50
"""Payloads that are listed together."""
_TOGETHER = 5
"""Of these, what is put aside, restored or deleted with one call at most."""
_GROUPS = 10
"""Such calls at once."""
_PATIENCE = 30
"""Times that something is tried again which a lost message keeps from happening."""


def rounds(default: int) -> int:
    """Return how many payloads go through a collection: `COLLECTING_ROUNDS`, or what a test takes."""
    return int(os.environ.get("COLLECTING_ROUNDS", default))


@dataclass(eq=False)
class Held:
    """One payload, and who needs it."""

    context: StorageDriverStoreContext
    payload: Payload
    size: int
    claim: StorageDriverClaim | None = None
    references: int = 0
    """How many runs need it: stores that returned its claim, less those of which all is deleted."""
    stored_after_mark: bool = False
    """Whether one of them came to be after the second mark began."""
    story: list[str] = field(default_factory=list)


@dataclass(eq=False, kw_only=True)
class CollectingStorm:
    """A storm on one store.

    Args:
        writers: Drivers (`StorageDriver`, `CollectableDriver`) that store and read, with lost messages.
        collector: The driver that collects, with lost messages.
        calm: A driver from which nothing is lost, to prepare and to look.
        random: Decides everything that the store and the operating system don't.
        looks_missing: Whether what is aside can't be read, as in stores with versions.
        settle: Waits until no message is under way any more.
        sizes: Bytes of the payloads' data; one of them is taken for each payload.
    """

    writers: Sequence[Any]
    collector: Any
    calm: Any
    random: Random
    looks_missing: bool = False
    settle: Callable[[], Awaitable[None]] | None = None
    sizes: Sequence[int] = (0, 1, 50, 500)
    outcomes: Counter[str] = field(default_factory=Counter)
    """How often each change came out how: `delete: changed`."""

    async def run(self, rounds: int, cycles: int = 2) -> Counter[str]:
        """Let so many payloads through a collection, and return what came of it.

        Raises:
            AssertionError: A payload that was needed is gone, or one that nobody needs can't be deleted.
        """
        for wave in range(-(-rounds // (_KEYS * cycles))):
            namespace = f"storm-{self.random.getrandbits(32):08x}-{wave}"
            held = [self._new(namespace, number) for number in range(_KEYS)]
            for _ in range(cycles):
                await self._cycle(namespace, held)
            await self._collect_calmly(namespace)
        return self.outcomes

    def _new(self, namespace: str, number: int) -> Held:
        target = StorageDriverWorkflowInfo(namespace=namespace, id=f"w{number}", run_id="r", type="Storm")
        size = self.random.choice(self.sizes)
        payload = Payload(data=self.random.randbytes(size)) if size else Payload()
        return Held(StorageDriverStoreContext(target=target), payload, size)

    async def _cycle(self, namespace: str, held: list[Held]) -> None:
        """One collection: list, put aside, list, wait a grace, mark, restore or delete."""
        for one in held:
            if self.random.random() < 0.9:  # the others are new when the writers come, or were deleted
                (one.claim,) = await self.calm.store(one.context, [one.payload])
                one.story.append("stored calmly")
            one.references = 0
        listed = await self._listed(self.collector, namespace)
        await self._race(held, [one for one in listed if not one.aside], self._put_aside)
        await self._settle()
        if not self.looks_missing:
            await self._all_there([one for one in held if one.references])
        aside = [one for one in await self._listed(self.collector, namespace) if one.aside]
        # All that was under way has ended: a grace has passed. The second mark:
        for one in held:
            one.stored_after_mark = False
            if self.random.random() < 0.7:
                one.references = 0
        marked = {_key(one.claim) for one in held if one.references and one.claim}
        await self._race(held, aside, lambda batch: self._sweep(batch, marked))
        await self._settle()
        await self._all_there([one for one in held if one.stored_after_mark])
        still_aside = [one for one in await self._listed(self.calm, namespace) if one.aside]
        needed = {_key(one.claim) for one in held if one.references and one.claim}
        changes = await self.calm.restore([one for one in still_aside if _key(one.claim) in needed])
        assert set(changes) <= {"done"}, f"what is aside is restored, and that is {changes}"
        await self._all_there([one for one in held if one.references])

    async def _race(
        self,
        held: list[Held],
        listed: list[ListedPayload],
        change: Callable[[list[ListedPayload]], Awaitable[None]],
    ) -> None:
        """Change what is listed, while writers store and read the same payloads."""
        by_key: dict[str, list[ListedPayload]] = {}
        for entry in listed:
            by_key.setdefault(_key(entry.claim), []).append(entry)
        todo = held.copy()
        self.random.shuffle(todo)
        groups = []
        while todo:
            size = self.random.randint(1, _TOGETHER)
            groups.append(todo[:size])
            del todo[:size]
        room = asyncio.Semaphore(_GROUPS)

        async def race(group: list[Held]) -> None:
            async with room, asyncio.TaskGroup() as tasks:
                batch = [entry for one in group if one.claim for entry in by_key.get(_key(one.claim), [])]
                for one in group:
                    for _ in range(self.random.choice([0, 0, 1, 1, 2])):
                        tasks.create_task(self._store(one))
                    if self.random.random() < 0.2:
                        tasks.create_task(self._read(one))
                if batch:
                    tasks.create_task(_result(change, batch))

        try:
            async with asyncio.TaskGroup() as races:
                for group in groups:
                    races.create_task(race(group))
        except BaseExceptionGroup as failed:
            raise _first_of(failed) from failed

    async def _store(self, one: Held) -> None:
        writer = self.random.choice(self.writers)
        for _ in range(_PATIENCE):
            one.story.append("store")
            try:
                (claim,) = await writer.store(one.context, [one.payload])
            except StorageError as error:
                self.outcomes[f"store: {type(error).__name__}"] += 1
                one.story.append("store failed")
                if self.random.random() < 0.3:  # its worker died
                    return
            else:
                one.story.append("stored")
                self.outcomes["store: done"] += 1
                one.claim = claim
                one.references += 1
                one.stored_after_mark = True
                return
        raise AssertionError("a payload could not be stored for all the messages that were lost")

    async def _read(self, one: Held) -> None:
        for _ in range(_PATIENCE):
            if not one.references or not one.claim:
                return
            try:
                found = await self.random.choice(self.writers).retrieve(
                    StorageDriverRetrieveContext(), [one.claim]
                )
            except PayloadNotFoundError:
                assert self.looks_missing, self._lost(one)
                return
            except StorageError:
                continue
            assert found == [one.payload]
            self.outcomes["read: done"] += 1
            return

    async def _put_aside(self, batch: list[ListedPayload]) -> None:
        await self._change("put_aside", batch, partial(self.collector.put_aside, grace=GRACE))

    async def _sweep(self, batch: list[ListedPayload], marked: set[str]) -> None:
        needed = [one for one in batch if _key(one.claim) in marked]
        if needed:
            await self._change("restore", needed, self.collector.restore)
        if rest := [one for one in batch if _key(one.claim) not in marked]:
            # Now and then a collector was started twice, and both have listed the same.
            twice = 2 if self.random.random() < 0.2 else 1
            await asyncio.gather(*(self._change("delete", rest, self.collector.delete) for _ in range(twice)))

    async def _change(
        self,
        name: str,
        batch: list[ListedPayload],
        change: Callable[[list[ListedPayload]], Awaitable[Sequence[Change]]],
    ) -> None:
        try:
            done = list(await change(batch))
        except StorageError:
            done = ["unknown"] * len(batch)
        assert len(done) == len(batch)
        self.outcomes.update(f"{name}: {change}" for change in done)

    async def _all_there(self, held: list[Held]) -> None:
        """Read payloads that must be there."""
        try:
            found = await self.calm.retrieve(
                StorageDriverRetrieveContext(), [one.claim for one in held if one.claim]
            )
        except StorageError:
            for one in held:
                try:
                    await self.calm.retrieve(StorageDriverRetrieveContext(), [one.claim])
                except StorageError as error:
                    raise AssertionError(self._lost(one)) from error
            raise
        assert found == [one.payload for one in held if one.claim]

    async def _collect_calmly(self, namespace: str) -> None:
        """Delete everything: nobody needs it any more."""
        # What came of a change whose answer was lost may be listed as either.
        plain = [one for one in await self._listed(self.calm, namespace) if not one.aside]
        changes = set(await self.calm.put_aside(plain, grace=GRACE))
        assert changes <= {"done"}, f"what nobody needs is put aside, and that is {changes}"
        aside = await self._listed(self.calm, namespace)
        assert all(one.aside for one in aside)
        changes = set(await self.calm.delete(aside))
        assert changes <= {"done"}, f"what is aside is deleted, and that is {changes}"
        self.outcomes["delete: calmly done"] += len(aside)
        assert not await self._listed(self.calm, namespace)

    async def _listed(self, driver: Any, namespace: str) -> list[ListedPayload]:
        for _ in range(_PATIENCE):
            listed: dict[tuple[str, str], ListedPayload] = {}
            try:
                for shard in driver.shards([namespace]):
                    async for page in driver.list_payloads(shard):
                        listed |= {
                            (_key(one.claim), one.tag): one
                            for one in page.payloads
                            if one.key.namespace == namespace
                        }
            except StorageError:
                continue
            return list(listed.values())
        raise AssertionError("the store could not be listed for all the messages that were lost")

    async def _settle(self) -> None:
        if self.settle:
            await self.settle()

    def _lost(self, one: Held) -> str:
        return f"{one.claim} is lost, {one.references} need it: {', '.join(one.story)}"


def _key(claim: StorageDriverClaim | None) -> str:
    assert claim is not None
    return claim.claim_data["key"]


async def _result(
    change: Callable[[list[ListedPayload]], Awaitable[None]], batch: list[ListedPayload]
) -> None:
    await change(batch)


def _first_of(failed: BaseExceptionGroup) -> BaseException:
    """Return what one of several tasks that failed has raised."""
    first: BaseException = failed
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
