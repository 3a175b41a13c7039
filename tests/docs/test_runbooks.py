"""docs/runbooks: what is told to do is done here, command by command, until it ends as is told."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from local_servers import start_temporal
from support.console import alike, run
from temporal_payloads import PayloadSettings, PayloadsPlugin
from temporalio import activity, workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    ScheduleState,
    WorkflowFailureError,
)
from temporalio.common import RetryPolicy, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator

FOLDER = Path(__file__).parents[2] / "docs/runbooks"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "index")
QUEUE = "orders"
AT_ONCE = timedelta(seconds=1)
"""Of a workflow task: so long the server waits before it tries a failed one again."""
DELETES_AT_ONCE = [
    f"history.{queue}ProcessorEnsureCloseBeforeDelete=false" for queue in ("transfer", "visibility")
]
"""Settings of a server that deletes a history when it is told to, and not half a minute later."""
CUSTOMER = SearchAttributeKey.for_keyword("CustomerId")


HAPPENS: dict[str, Callable[[], object]] = {}
"""What happens, by workflow id, while an activity is at work."""


@activity.defn
async def price(orders: list[str]) -> list[str]:
    """Return something large that is not what was given."""
    HAPPENS.pop(str(activity.info().workflow_id), lambda: None)()
    return [f"{order}: 12.50" for order in orders]


@workflow.defn(name="OrderBatch", sandboxed=False)
class OrderBatch:
    """Prices orders, and waits to be told to go on if it is to."""

    def __init__(self) -> None:
        self._may_end = False

    @workflow.run
    async def run(self, orders: list[str], wait: bool = False) -> list[str]:
        """Return the prices."""
        prices: list[str] = await workflow.execute_activity(
            price,
            orders,
            start_to_close_timeout=timedelta(seconds=10),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
        await workflow.wait_condition(lambda: self._may_end or not wait)
        return prices

    @workflow.signal
    def end(self) -> None:
        """Let it end."""
        self._may_end = True


def orders(number: int) -> list[str]:
    """Return the orders of a batch, larger than what stays in the history."""
    return [f"ORD-{number}-{each}" for each in range(500)]


class Runbook:
    """A page, whose commands are run one after the other, and none is left out."""

    def __init__(self, page: str) -> None:
        text = (FOLDER / f"{page}.md").read_text()
        self._commands = re.findall(r"^```console\n\$ (.*)\n((?:.*\n)*?)```$", text, re.MULTILINE)
        self._next = 0

    async def step(self, begins: str, *, status: int = 0) -> str:
        """Run the next command, which begins like this; hold what it prints to the page.

        Three dots stand for what is not shown; alone they stand for anything.
        """
        command, shown = self._commands[self._next]
        self._next += 1
        assert command.startswith(begins), command
        ended, printed = await asyncio.to_thread(run, command)
        assert ended == status, printed
        end = shown.removeprefix("...\n")
        if end == shown:
            assert masked(printed) == masked(shown), command
        else:
            for line in masked(end):
                assert line in masked(printed), command
        return printed

    def done(self) -> None:
        """See that no command was left out."""
        assert self._next == len(self._commands)


def masked(text: str) -> list[str]:
    """Return output without what differs from run to run."""
    return alike(re.sub(r"ns/[\w-]+/(.*)/[0-9a-f]{64}", r"ns/NAMESPACE/\1/SHA256", text))


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    """A server with a namespace for each page."""
    directory = tmp_path_factory.mktemp("temporal")
    options = [f"--search-attribute={CUSTOMER.name}=Keyword"]
    for value in DELETES_AT_ONCE:
        options += ["--dynamic-config-value", value]
    with start_temporal(directory, namespaces=["billing", *PAGES], options=options) as server:
        yield server.address


@pytest.fixture
def open_book(tmp_path, monkeypatch, server) -> Callable[..., Runbook]:
    """Open a page, in a working directory and a namespace of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEMPORAL_ADDRESS", server)

    def open_(page: str, *, namespace: str | None = None, **settings: str) -> Runbook:
        monkeypatch.setenv("TEMPORAL_NAMESPACE", namespace or page)
        configure(**settings)
        return Runbook(page)

    return open_


def configure(*, codecs: str = '["gzip"]', more: str = "") -> None:
    """Write the settings of the working directory."""
    Path("temporal-payloads.toml").write_text(f"""
        codecs = {codecs}
        [storage]
        driver = "filesystem"
        threshold = "1KiB"
        cache.max_size = 0
        [storage.drivers.filesystem]
        path = "payloads"
        [gc]
        grace = "1h"
        owners = [{{ namespaces = ["{os.environ["TEMPORAL_NAMESPACE"]}"] }}]
        {more}
    """)


async def connect() -> Client:
    """Connect with the settings of the working directory."""
    return await Client.connect(
        os.environ["TEMPORAL_ADDRESS"],
        namespace=os.environ["TEMPORAL_NAMESPACE"],
        plugins=[PayloadsPlugin(PayloadSettings.load())],
    )


@asynccontextmanager
async def working(client: Client) -> AsyncIterator[None]:
    """Run a worker."""
    async with Worker(client, task_queue=QUEUE, workflows=[OrderBatch], activities=[price]):
        yield


async def start(client: Client, id_: str, number: int = 1, *, wait: bool = False, **options: Any) -> Any:
    """Start a workflow."""
    return await client.start_workflow(
        OrderBatch.run, args=[orders(number), wait], id=id_, task_queue=QUEUE, task_timeout=AT_ONCE, **options
    )


async def eventually(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so; servers and their visibility take their time."""
    async with asyncio.timeout(60):
        while not await is_so():  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.1)


async def until_listed(client: Client, count: int, query: str = "") -> None:
    """Wait until visibility lists so many workflows."""

    async def is_so() -> bool:
        return (await client.count_workflows(query)).count == count

    await eventually(is_so)


async def until_task_failed(handle: Any) -> None:
    """Wait until a workflow task of it has failed."""

    await eventually(lambda: has(handle, "workflow_task_failed_event_attributes"))


@pytest.fixture
def let_pass(monkeypatch) -> Callable[[timedelta], None]:
    """Let time pass for the collector."""
    passed = timedelta()

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + passed

    monkeypatch.setattr("temporal_payloads._operate.collection.collector.datetime", Clock)

    def let(time: timedelta) -> None:
        nonlocal passed
        passed += time

    return let


def stored(pattern: str = "") -> list[Path]:
    """Return the files of payloads, of those whose path has this in it."""
    return [
        path
        for path in Path("payloads").rglob("*")
        if re.fullmatch("[0-9a-f]{64}", path.name) and pattern in str(path)
    ]


def texts_in(folder: str) -> list[str]:
    """Return what is in the files of a folder."""
    return [path.read_text() for path in Path(folder).iterdir()]


def test_every_page_has_a_test_and_stands_in_the_index():
    index = (FOLDER / "index.md").read_text()
    assert set(re.findall(r"\]\(([\w-]+)\.md\)", index)) == set(PAGES)
    source = Path(__file__).read_text()
    assert all(f'open_book("{page}"' in source for page in PAGES)


async def test_a_missing_payload_is_brought_back_and_the_workflow_goes_on(open_book):
    book = open_book("payload-missing")
    client = await connect()
    handle = await start(client, "batch-17")
    shutil.copytree("payloads", "backup")
    [payload] = stored()
    payload.unlink()
    async with working(client):
        await until_task_failed(handle)
        await book.step("temporal workflow show")
        assert "missing" in await book.step("temporal-payloads inspect", status=1)
        await until_listed(client, 1)
        await book.step("temporal-payloads keys", status=1)
        await book.step("temporal-payloads check")
        await book.step("temporal-payloads gc status")
        await book.step("cp")
        assert len(await handle.result()) == 500
        await book.step("temporal-payloads keys")
    lost = await start(client, "batch-18", 2)
    await book.step("temporal workflow terminate")
    with pytest.raises(WorkflowFailureError):
        await lost.result()
    book.done()


async def test_after_the_store_was_down_what_ended_meanwhile_is_done_again(open_book):
    more = '[storage.drivers.fallback]\ntype = "filesystem"\npath = "elsewhere"'
    book = open_book("store-was-down", more=more)
    await asyncio.to_thread(run, "temporal-payloads check")  # both stores are made
    client = await connect()
    HAPPENS["order-4711"] = lambda: Path("payloads").rename("unmounted")
    async with working(client):
        failed = await start(client, "order-4711")
        with pytest.raises(WorkflowFailureError):
            await failed.result()
        await asyncio.to_thread(Path("unmounted").rename, "payloads")
        await book.step("temporal-payloads check")
        await until_listed(client, 1, "ExecutionStatus = 'Failed'")
        await book.step("temporal workflow list")
        await book.step("temporal workflow reset")
        assert len(await client.get_workflow_handle("order-4711").result()) == 500
    await book.step("temporal-payloads usage")
    await book.step("temporal-payloads keys")
    book.done()


async def has(handle: Any, attributes: str) -> bool:
    """Tell whether an event of this kind is in a history."""
    return any(event.HasField(attributes) for event in (await handle.fetch_history()).events)


async def test_what_nothing_needs_is_seen_and_collected(open_book, let_pass):
    book = open_book("bucket-grows")
    client = await connect()
    async with working(client):
        for number in range(3):
            await (await start(client, f"order-{number}", number)).result()
    await delete(client, "order-0")
    await until_listed(client, 2)
    there = stored()
    let_pass(timedelta(hours=2))
    await book.step("temporal-payloads usage")
    printed = await book.step("temporal-payloads usage --json")
    assert printed.split()[1] == "OrderBatch"
    await book.step("temporal operator namespace describe")
    await book.step("temporal-payloads gc plan", status=1)
    await book.step("temporal-payloads gc put-aside")
    let_pass(timedelta(hours=2))
    await book.step("temporal-payloads gc delete")
    assert len(stored()) == len(there) * 2 / 3
    assert int(await book.step("temporal-payloads usage --json")) == len(stored())
    for number in (1, 2):
        assert len(await client.get_workflow_handle(f"order-{number}").result()) == 500
    book.done()


async def delete(client: Client, id_: str) -> None:
    """Delete a workflow's history."""
    status, printed = await asyncio.to_thread(run, f"temporal workflow delete --workflow-id {id_} --yes")
    assert status == 0, printed


async def test_a_key_that_leaked_is_replaced_and_what_it_encrypted_goes(open_book, monkeypatch, let_pass):
    monkeypatch.setenv("ORDERS_KEY_2026_05", base64.b64encode(os.urandom(32)).decode())
    ring = dedent("""
        [codec.encryption]
        active = "2026-05"
        [codec.encryption.keys]
        2026-05 = { env = "ORDERS_KEY_2026_05" }
    """)
    book = open_book("key-leaked", codecs='["gzip", "encryption"]', more=ring)
    client = await connect()
    async with working(client):
        await (await start(client, "order-1")).result()
    old = stored()
    await book.step("(umask 077; temporal-payloads keygen")
    both = (
        ring.replace('active = "2026-05"', 'active = "2026-11"')
        + '2026-11 = { file = "orders-2026-11.key" }\n'
    )
    configure(codecs='["gzip", "encryption"]', more=both)
    await book.step("temporal-payloads keys")
    await until_listed(client, 1)
    await book.step("temporal-payloads keys --key", status=1)
    await book.step("temporal workflow delete")
    await until_listed(client, 0)
    client = await connect()
    async with working(client):
        await (await start(client, "order-2", 2)).result()
    await until_listed(client, 1)
    await book.step("temporal-payloads keys --key")
    let_pass(timedelta(hours=2))
    await book.step("temporal-payloads gc put-aside")
    assert not set(old) & set(stored("v0/"))
    book.done()


async def test_a_namespace_goes_after_its_payloads_and_those_after_its_histories(open_book, let_pass):
    book = open_book("namespace-deleted", namespace="billing")
    client = await connect()
    async with working(client):
        await (await start(client, "invoice-1")).result()
        running = await start(client, "invoice-2", 2, wait=True)
        await eventually(lambda: has(running, "activity_task_completed_event_attributes"))
        action = ScheduleActionStartWorkflow(
            OrderBatch.run, args=[orders(3), False], id="nightly", task_queue=QUEUE
        )
        await client.create_schedule(
            "nightly", Schedule(action, spec=ScheduleSpec(), state=ScheduleState(paused=True))
        )
    assert len(stored("billing")) >= 5
    await eventually(lambda: is_scheduled(client))
    await until_listed(client, 2)
    await book.step("temporal schedule list")
    await book.step("temporal schedule delete")
    await book.step("temporal workflow delete")
    await until_listed(client, 0)
    await book.step("temporal workflow delete")
    await until_listed(client, 0, 'TemporalNamespaceDivision = "TemporalScheduler"')
    await book.step("temporal workflow count")
    let_pass(timedelta(hours=2))
    await book.step("temporal-payloads gc put-aside")
    let_pass(timedelta(hours=2))
    await book.step("temporal-payloads gc delete")
    await book.step("temporal-payloads usage")
    assert not stored()
    await book.step("temporal operator namespace delete")
    book.done()


async def is_scheduled(client: Client) -> bool:
    """Tell whether visibility lists a schedule."""
    return bool([one async for one in await client.list_schedules()])


async def test_one_persons_data_is_found_copied_and_deleted_where_collections_run(open_book, let_pass):
    book = open_book("one-persons-data")
    client = await connect()
    of_customer = TypedSearchAttributes([SearchAttributePair(CUSTOMER, "c-4711")])
    async with working(client):
        await (await start(client, "order-4711", search_attributes=of_customer)).result()
        await (await start(client, "order-4712", 2)).result()
    await until_listed(client, 2)
    assert (await book.step("temporal workflow list")).startswith("order-4711 ")
    await book.step("temporal operator namespace update")
    await book.step("temporal workflow show")
    await book.step("temporal-payloads inspect")
    assert any("ORD-1-499: 12.50" in text for text in texts_in("order-4711"))
    theirs = stored("order-4711")
    assert theirs
    let_pass(timedelta(hours=2))
    ended, _ = await asyncio.to_thread(run, "temporal-payloads gc put-aside")
    assert ended == 0  # and so collections have run before
    await book.step("temporal workflow delete")
    await until_listed(client, 1)
    printed = await book.step("temporal-payloads gc put-aside")
    assert "1 run that is gone still counts" in printed
    assert stored("order-4711") == theirs
    let_pass(timedelta(hours=2))
    printed = await book.step("temporal-payloads gc put-aside")
    assert "still count" not in printed
    let_pass(timedelta(hours=2))
    await book.step("temporal-payloads gc delete")
    await book.step("find")
    assert len(await client.get_workflow_handle("order-4712").result()) == 500
    book.done()


async def test_a_restored_store_is_looked_at_before_anything_is_collected(open_book):
    book = open_book("restored-store")
    client = await connect()
    await start(client, "order-9", wait=True)
    shutil.copytree("payloads", "backup")
    handle = client.get_workflow_handle("order-9")
    async with working(client):
        await eventually(lambda: has(handle, "activity_task_completed_event_attributes"))
        await (await start(client, "order-8", 8)).result()
    await delete(client, "order-8")
    for path in stored():
        path.unlink()
    await until_listed(client, 1)
    await book.step("cp")
    await book.step("temporal-payloads check")
    await book.step("temporal-payloads keys", status=1)
    async with working(client):
        await book.step("temporal workflow reset")
        handle = client.get_workflow_handle("order-9")
        await eventually(lambda: has(handle, "activity_task_completed_event_attributes"))
        await until_listed(client, 1, "ExecutionStatus = 'Terminated'")
        await book.step("temporal workflow delete")
        await until_listed(client, 1)
        await handle.signal(OrderBatch.end)
        assert len(await handle.result()) == 500
    await book.step("temporal-payloads keys")
    await book.step("temporal-payloads gc plan")
    book.done()
