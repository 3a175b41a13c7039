"""What the server holds: on whichever way payloads were passed, their references are found, and no others."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from local_servers import start_temporal
from support.every_way import ALL, ORPHAN, UNSEEN, WORKFLOWS, Case, every_way
from support.every_way.definitions import GivesHeaders
from support.every_way.reading import read_back, replayable
from support.holders import everything
from support.keys import encryption
from support.values import THRESHOLD
from support.workers import connect, new_id
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import Assembly, build
from temporal_payloads._operate.collection.namespace import Namespace
from temporal_payloads._operate.holders import Holder
from temporal_payloads._operate.needs import Needs, needs_of
from temporal_payloads._operate.recorded import ConfinedReferences
from temporal_payloads._storage import memory_driver
from temporal_payloads._storage.memory_store import Kept
from temporalio.api.common.v1 import Payload
from temporalio.converter import _extstore
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from local_servers import TemporalServer
    from temporal_payloads._codecs.chain import CodecChain
    from temporalio.client import Client

NEW_SCHEDULER = (
    "history.enableCHASMSchedulerCreation=true",
    "history.chasmSchedulerCreationRolloutPercent=100",
)


_BATCHES = [("batch-", "TemporalBatcher", 1), ("-ended-job", "TemporalBatcher", 1)]
INSIDE = {
    "old": [*_BATCHES, ("schedule", "TemporalScheduler", 3)],
    "new": [*_BATCHES, ("schedule", "TemporalSchedulerSentinel", 0)],
}
"""What is in ids of the server's own workflows, their divisions, and how many values are inside of them: the
input, the memo and the last result of a schedule."""


@pytest.fixture(params=["old", "new"])
def scheduler(request) -> str:
    """Which of the server's schedulers keeps schedules."""
    return str(request.param)


@pytest.fixture
def server(tmp_path, scheduler) -> Iterator[TemporalServer]:
    """A server of its own: what other tests have in theirs was stored elsewhere."""
    options = [each for value in NEW_SCHEDULER for each in ("--dynamic-config-value", value)]
    with start_temporal(tmp_path, options=options if scheduler == "new" else ()) as server:
        yield server


class Bench:
    """A client whose payloads are stored in memory, and what it takes to look at them."""

    def __init__(self, client: Client, assembly: Assembly, store: str) -> None:
        self.client = client
        self._assembly = assembly
        self._store = store

    @property
    def chain(self) -> CodecChain:
        """The codecs of the settings."""
        return self._assembly.codecs.chain

    @property
    def stored(self) -> dict[str, Kept]:
        """What is in the store, by key."""
        return memory_driver._stores[self._store]._payloads

    async def texts(self) -> dict[str, str]:
        """Return what the stored payloads say, by key."""
        payloads = [Payload.FromString(kept.data) for kept in self.stored.values()]
        decoded = await self._assembly.codecs.chain.decode(payloads)
        return {key: payload.data.decode() for key, payload in zip(self.stored, decoded, strict=True)}

    async def needs(self) -> dict[Holder, Needs]:
        """Return what everything in the namespace needs."""
        holders = [holder async for holder in everything(self.client)]
        return dict(
            zip(
                holders,
                await asyncio.gather(*(needs_of(self.client, each, self.chain) for each in holders)),
                strict=True,
            )
        )

    def keys(self, needs: Needs) -> set[str]:
        """Return the keys of the references."""
        external = self._assembly.converter.external_storage
        assert external is not None
        confined = ConfinedReferences(external.drivers)
        found = [confined.of(reference) for reference in needs.references]
        return {each[1].claim.claim_data["key"] for each in found if each is not None}


@asynccontextmanager
async def opened(server: TemporalServer, **settings: Any) -> AsyncIterator[Bench]:
    store = new_id("store")
    table = {"threshold": THRESHOLD, "drivers": {"memory": {"store": store}}, "cache": {"max_size": 0}}
    read = PayloadSettings.model_validate({"encode_failures": True, "storage": table, **settings})
    assembly = build(read)
    async with assembly.drivers_open():
        yield Bench(await connect(server, assembly.converter), assembly, store)


@pytest.mark.server
async def test_everything_is_needed_that_is_read_and_nothing_else(
    server, scheduler, monkeypatch, keys_in_environment
):
    settings: dict[str, Any] = {"codecs": ["gzip"]}
    if scheduler == "new":  # and so is how references are written
        monkeypatch.setattr(_extstore, "_ENCODE_STORAGE_REFERENCES", True)
        settings = {"codecs": ["gzip", "encryption"], "codec": {"encryption": encryption("key-1")}}
    async with opened(server, **settings) as bench, every_way(bench.client) as cases:
        assert len(cases) == len(ALL)
        needs = await until_listed(bench, cases)
        assert not [each.gaps for each in needs.values() if each.gaps]
        texts = await bench.texts()
        found = set[str]().union(*map(bench.keys, needs.values()))
        unseen = {key for key, text in texts.items() if UNSEEN in text}
        assert unseen
        wanted = {key for key, text in texts.items() if ORPHAN not in text} - unseen
        assert {texts[key][:60] for key in wanted - found} == set()
        assert {texts.get(key, key)[:60] for key in found - wanted} == set()

        # Also where the server's own workflows hand them on.
        said = {holder: {texts[key] for key in bench.keys(each)} for holder, each in needs.items()}
        for tag, division, count in INSIDE[scheduler]:
            found_there = [
                len(values)
                for holder, values in said.items()
                if tag in holder.id and division == holder.division
            ]
            assert found_there == [count] * len(found_there)
            assert found_there
        # What is there is found, also if it were not listed.
        namespace = Namespace(bench.client, bench.chain)
        for holder in needs:
            found_again = await namespace.look_up(holder)
            assert (found_again.id, found_again.run_id) == (holder.id, holder.run_id)
            with pytest.raises(RPCError) as refused:
                await namespace.look_up(replace(holder, id=f"{holder.id}-gone"))
            assert refused.value.status is RPCStatusCode.NOT_FOUND
        scheduled = [holder for holder in needs if holder.scheduled_by]
        assert {(holder.scheduled_by, holder.succeeded) for holder in scheduled} == {
            (case.tag, True) for case in cases if case.name == "schedules"
        }

        # Whatever else is in the store goes.
        for key in set(bench.stored) - found - unseen:
            del bench.stored[key]
        histories = await read_back(bench.client, needs)
        replayer = Replayer(
            workflows=WORKFLOWS,
            data_converter=bench.client.data_converter,
            interceptors=[GivesHeaders()],
            workflow_runner=UnsandboxedWorkflowRunner(),
            namespace=bench.client.namespace,
        )
        await replayer.replay_workflows(replayable(histories))
        await asyncio.gather(*(case.finish() for case in cases))


async def until_listed(bench: Bench, cases: list[Case]) -> dict[Holder, Needs]:
    """Wait until visibility has whatever the cases are held by; return what all that needs."""
    wanted = {held for case in cases for held in case.holders}
    async with asyncio.timeout(60):
        while True:
            needs = await bench.needs()
            if wanted <= {(holder.kind, holder.id) for holder in needs}:
                return needs
            await asyncio.sleep(0.2)
