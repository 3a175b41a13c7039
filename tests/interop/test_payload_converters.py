"""Workers with the msgspec converter and workers without share task queues and histories."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.differential.describe import describe
from support.queries import answer_of
from support.shipping import Parcel, Pricing, Quote, Ship, parcel
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from temporal_payloads import PayloadSettings, PayloadsPlugin, build_data_converter
from temporalio.client import Client, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Replayer

if TYPE_CHECKING:
    from local_servers import TemporalServer

SETTINGS = PayloadSettings.model_validate({"payload_converter": "msgspec"})
VECTORS = Path(__file__).parents[1] / "vectors"
TASKS = ("workflow_task_completed_event_attributes", "activity_task_completed_event_attributes")
PARCELS = [parcel(number) for number in range(12)]


async def sides_of(server: TemporalServer) -> dict[str, Client]:
    """Return a client on the plain SDK and one with the converter, which name themselves to the server."""
    return {
        "plain": await connect(server, DataConverter.default, identity="plain"),
        "msgspec": await connect(
            server, DataConverter.default, identity="msgspec", plugins=[PayloadsPlugin(SETTINGS)]
        ),
    }


async def shipped(client: Client, task_queue: str) -> WorkflowHistory:
    """Run the workflow, check what it returns, and return its history."""
    handle = await client.start_workflow(
        Ship.run, PARCELS, id=new_id("ship"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
    )
    quotes = await handle.result()
    assert {type(quote) for quote in quotes.values()} == {Quote}
    assert describe([quote.parcel for quote in quotes.values()]) == describe(sorted_by_id(await expected()))
    return await handle.fetch_history()


async def expected() -> list[Parcel]:
    """Return the parcels as the plain SDK reads what it wrote itself."""
    payloads = await DataConverter.default.encode([PARCELS])
    [parcels] = await DataConverter.default.decode(payloads, [list[Parcel]])
    return list(parcels)


def sorted_by_id(parcels: list[Parcel]) -> list[Parcel]:
    """Return them in the order of an object's keys in JSON."""
    return sorted(parcels, key=lambda each: str(each.id))


def identities(history: WorkflowHistory, *events: str) -> set[str]:
    """Return who did what these events tell of."""
    return {
        attributes.identity
        for event in history.events
        for field, attributes in event.ListFields()
        if field.name in events
    }


@pytest.mark.parametrize("starter", ["plain", "msgspec"])
async def test_both_share_a_task_queue_and_go_on_with_each_others_workflows(
    temporal_server: TemporalServer, starter: str
) -> None:
    clients = await sides_of(temporal_server)
    task_queue = new_id("queue")
    async with AsyncExitStack() as stack:
        for name, client in clients.items():
            # Nothing is cached, so each workflow task replays the history, on whichever worker takes it.
            options: dict[str, Any] = {
                "workflows": [Ship],
                "activities": Pricing(name).all(),
                "max_cached_workflows": 0,
            }
            await stack.enter_async_context(running_worker(client, task_queue, **options))
        shared = False
        # The server gives a task to whoever asks first: by chance that may be the same worker all along.
        for _ in range(10):
            history = await shipped(clients[starter], task_queue)
            shared = all(identities(history, kind) == set(clients) for kind in TASKS)
            if shared:
                break
    assert shared


@pytest.mark.parametrize(("writer", "reader"), [("plain", "msgspec"), ("msgspec", "plain")])
async def test_histories_of_one_replay_on_the_other(
    temporal_server: TemporalServer, writer: str, reader: str
) -> None:
    clients = await sides_of(temporal_server)
    async with running_worker(
        clients[writer], workflows=[Ship], activities=Pricing(writer).all()
    ) as task_queue:
        history = await shipped(clients[writer], task_queue)
    plugins = [PayloadsPlugin(SETTINGS)] if reader == "msgspec" else []
    result = await Replayer(workflows=[Ship], plugins=plugins).replay_workflow(history)
    assert result.replay_failure is None


async def test_old_histories_of_the_plain_sdk_replay() -> None:
    """The vector was recorded on the plain SDK 1.35, with the workflow `Ship` and the first six parcels."""
    history = WorkflowHistory.from_json(
        "ship-1", (VECTORS / "shipping_history.json").read_text(encoding="utf-8")
    )
    result = await Replayer(workflows=[Ship], plugins=[PayloadsPlugin(SETTINGS)]).replay_workflow(history)
    assert result.replay_failure is None


@pytest.mark.parametrize("starter", ["plain", "msgspec"])
async def test_queries_of_one_are_answered_by_the_other(
    temporal_server: TemporalServer, starter: str
) -> None:
    clients = await sides_of(temporal_server)
    [worker] = set(clients) - {starter}
    async with running_worker(
        clients[worker], workflows=[Ship], activities=Pricing(worker).all()
    ) as task_queue:
        client = clients[starter]
        handle = await client.start_workflow(
            Ship.run, PARCELS, id=new_id("ship"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )
        await handle.result()
        quotes = await answer_of(handle, Ship.quotes, 2)
    assert {type(quote) for quote in quotes} == {Quote}
    assert [quote.price for quote in quotes] == [len(each.items) for each in PARCELS if len(each.items) >= 2]


async def test_a_built_converter_reads_and_writes_what_the_plain_sdk_does() -> None:
    ours, plain = build_data_converter(SETTINGS), DataConverter.default
    for values, hints in (
        ([PARCELS], [list[Parcel]]),
        ([PARCELS[3], None, b"raw", 1.0], [Parcel, int, bytes, int]),
    ):
        written = [await each.encode(values) for each in (ours, plain)]
        read = [await each.decode(payloads, hints) for each in (ours, plain) for payloads in written]  # type: ignore[arg-type]  # a generic is no type to mypy
        assert all(describe(each) == describe(read[0]) for each in read)
