"""Reading a whole namespace: what is counted, and what becomes of everything that goes wrong on the way."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from temporal_payloads._operate import embedded, keys_in_use
from temporal_payloads._operate.holders import IN_A_DIVISION
from temporal_payloads._operate.keys_in_use import KeyScan, KeysInUse
from temporal_payloads._operate.payload_keys import FoundKeys
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.schedule.v1 import Schedule
from temporalio.api.workflowservice.v1 import (
    DescribeScheduleResponse,
    DescribeWorkflowExecutionResponse,
    ListWorkflowExecutionsResponse,
)
from temporalio.service import RPCError, RPCStatusCode


class Server:
    """Stands for a client whose calls fail as told: a real server cannot be made to fail at these places."""

    namespace = "orders"

    def __init__(self):
        self.histories = {}
        self.running = set()
        self.schedules = {}
        self.pending = DescribeWorkflowExecutionResponse()
        self.fail = {}
        self.at_once = self.most_at_once = 0
        self.workflow_service = self
        self.queries = []
        self.divided = []
        self.unknown = False

    def _maybe_fail(self, *place):
        if place in self.fail:
            raise RPCError("told to fail", self.fail[place], b"")

    async def list_workflow_executions(self, request, *, retry):
        self.queries.append(request.query)
        listed = ListWorkflowExecutionsResponse()
        if request.query == IN_A_DIVISION:
            self._maybe_fail("list", "activities")
            for each in self.divided:
                info = listed.executions.add()
                info.execution.workflow_id, info.type.name = each, "temporal-sys-batch"
                info.search_attributes.indexed_fields["TemporalNamespaceDivision"].data = b'"TemporalBatcher"'
            if self.unknown:
                info = listed.executions.add()
                info.execution.workflow_id = "new"
                info.search_attributes.indexed_fields["TemporalNamespaceDivision"].data = b'"4711"'
            return listed
        second = bool(request.next_page_token)
        if second:
            self._maybe_fail("list", "workflows")
        listed.next_page_token = b"" if second else b"more"
        for each in sorted(self.histories)[second::2]:
            info = listed.executions.add()
            info.execution.workflow_id, info.execution.run_id = each, f"run-{each}"
            info.type.name = "Order"
            if each not in self.running:
                info.close_time.FromSeconds(1)
        return listed

    async def list_schedules(self):
        async def listed():
            self._maybe_fail("list", "schedules")
            for each in self.schedules:
                yield SimpleNamespace(id=each)

        return listed()

    def get_workflow_handle(self, workflow_id, *, run_id):
        async def events(*, skip_archival):
            assert skip_archival
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                if workflow_id in self.divided:
                    event = HistoryEvent()
                    payload = event.workflow_execution_started_event_attributes.input.payloads.add()
                    payload.metadata["encoding"] = b"binary/protobuf"
                    payload.data = Payloads(
                        payloads=[Payload(metadata={"encoding": b"x"}, data=b"inner")]
                    ).SerializeToString()
                    yield event
                for second, key in enumerate(self.histories.get(workflow_id, []), 1):
                    await asyncio.sleep(0)
                    event = HistoryEvent()
                    event.event_time.FromSeconds(second)
                    event.workflow_execution_started_event_attributes.input.payloads.add().data = key.encode()
                    yield event
                self._maybe_fail("read", workflow_id)
            finally:
                self.at_once -= 1

        return SimpleNamespace(fetch_history_events=events)

    async def describe_workflow_execution(self, request, *, retry):
        self._maybe_fail("describe", request.execution.workflow_id)
        return self.pending

    async def describe_schedule(self, request, *, retry):
        self._maybe_fail("read", request.schedule_id)
        schedule = Schedule()
        for key in self.schedules[request.schedule_id]:
            schedule.action.start_workflow.input.payloads.add().data = key.encode()
        return DescribeScheduleResponse(schedule=schedule)


class Reader:
    """A payload's data is its key; `?` is one that cannot be read."""

    def reader(self, namespace, workflow_id):
        return self

    async def keys_of(self, payload):
        await asyncio.sleep(0)
        key = payload.data.decode() if payload.metadata["encoding"] != b"binary/protobuf" else "a"
        if key == "?":
            return FoundKeys((), ValueError("no way in"))
        return FoundKeys((key,) if key else ())


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def scan(server):
    async def scan(query=None, **options):
        found = KeysInUse()
        options = {"concurrency": 4, "examples": 10} | options
        payload_keys: Any = Reader()
        await KeyScan(payload_keys, found, **options).read(server, query)
        found.ended = True
        return found

    return scan


async def test_payloads_workflows_and_schedules_are_counted_by_key(server, scan):
    server.histories = {"w-1": ["a", "a", "b", ""], "w-2": ["a"], "w-3": []}
    server.schedules = {"s-1": ["b", "b"]}
    found = await scan()
    assert found.complete
    assert (found.read["workflow"], found.read["schedule"], found.payloads) == (3, 1, 7)
    a, b = found.keys["a"], found.keys["b"]
    assert (a.payloads, a.holders["workflow"], a.holders["schedule"]) == (3, 2, 0)
    assert (b.payloads, b.holders["workflow"], b.holders["schedule"]) == (3, 1, 1)
    assert (a.newest.second, b.newest.second) == (2, 3)
    assert [holder.id for holder in b.examples] == ["w-1", "s-1"]


async def test_activities_that_wait_count_while_their_workflow_runs(server, scan):
    server.histories = {"w-1": [], "w-2": []}
    server.running = {"w-1"}
    server.pending.pending_activities.add().heartbeat_details.payloads.append(Payload(data=b"beat"))
    found = await scan()
    assert (found.keys["beat"].payloads, found.running) == (1, 1)
    assert [holder.id for holder in found.keys["beat"].examples] == ["w-1"]


async def test_as_many_are_named_as_were_asked_for(server, scan):
    server.histories = {f"w-{number}": ["a"] for number in range(30)}
    found = await scan(examples=3)
    assert (len(found.keys["a"].examples), found.keys["a"].holders.total()) == (3, 30)


async def test_as_many_workflows_are_read_at_once_as_may_be(server, scan):
    server.histories = {f"w-{number}": ["a"] * 5 for number in range(30)}
    await scan(concurrency=3)
    assert server.most_at_once == 3


async def test_long_histories_are_counted_to_their_end(server, scan, monkeypatch):
    monkeypatch.setattr(keys_in_use, "BATCH", 7)
    server.histories = {"w-1": ["a"] * 100}
    assert (await scan()).keys["a"].payloads == 100
    monkeypatch.setattr(keys_in_use, "BATCH_SIZE", 3)
    assert (await scan()).keys["a"].payloads == 100


async def test_a_payload_that_cannot_be_read_is_a_gap(server, scan):
    server.histories = {"w-1": ["a", "?", "?"]}
    found = await scan()
    assert not found.complete
    [(what, gap)] = found.gaps.items()
    assert what == "payloads that could not be read (ValueError)"
    assert (gap.count, gap.why, gap.holder.id) == (2, "no way in", "w-1")


@pytest.mark.parametrize("what", ["workflows", "schedules", "activities"])
async def test_what_is_not_listed_is_a_gap_and_the_rest_is_read_to_its_end(server, scan, what):
    server.histories = {"w-1": ["a"] * 50, "w-2": [], "w-3": ["a"] * 50}
    server.schedules = {"s-1": ["b"]}
    server.fail["list", what] = RPCStatusCode.PERMISSION_DENIED
    found = await scan()
    assert not found.complete
    [gap] = [text for text in found.gaps if text.startswith(what)]
    assert "of 'orders' that the server did not list" in gap
    assert found.keys["a"].payloads == 100
    assert ("b" in found.keys) == (what != "schedules")


async def test_what_the_server_keeps_in_divisions_is_read_as_well(server, scan):
    server.divided = ["a"]
    found = await scan()
    assert (found.keys["a"].payloads, found.keys["inner"].payloads) == (1, 1)
    assert found.complete


async def test_what_is_made_to_be_looked_at_for_ever_is_a_gap(server, scan, monkeypatch):
    monkeypatch.setattr(embedded, "EFFORT", 0)
    server.divided = ["a"]
    found = await scan()
    [(what, gap)] = found.gaps.items()
    assert what == "payloads that could not be looked into (TooIntricateError)"
    assert gap.holder.id == "a"


async def test_an_execution_of_an_unknown_kind_is_a_gap(server, scan):
    server.unknown = True
    found = await scan()
    [(what, gap)] = found.gaps.items()
    assert (what, gap.holder.id, gap.holder.division) == ("executions of an unknown kind", "new", "4711")
    assert "Use a release that knows this version of the server" in gap.why


@pytest.mark.parametrize("place", [("read", "w-1"), ("describe", "w-1"), ("read", "s-1")])
async def test_what_cannot_be_read_is_a_gap_unless_it_was_deleted_meanwhile(server, scan, place):
    server.histories = {"w-1": ["a"], "w-2": ["b"]}
    server.running = {"w-1"}
    server.schedules = {"s-1": ["b"]}
    server.fail[place] = RPCStatusCode.UNAVAILABLE
    found = await scan()
    assert [gap.holder.id for gap in found.gaps.values()] == [place[1]]
    assert "b" in found.keys

    server.fail[place] = RPCStatusCode.NOT_FOUND
    found = await scan()
    assert (found.complete, found.deleted) == (True, 1)


async def test_a_query_leaves_a_gap(server, scan):
    found = await scan("WorkflowType = 'Order'")
    assert server.queries == ["WorkflowType = 'Order'"] * 2 + [IN_A_DIVISION]
    assert not found.complete


async def test_what_did_not_come_to_its_end_is_not_complete():
    assert not KeysInUse().complete


async def test_ids_without_end_do_not_fill_the_memory(server, scan, monkeypatch):
    monkeypatch.setattr(keys_in_use, "MOST_IDS", 5)
    server.histories = {"w-1": [f"key-{number}" for number in range(20)] + ["key-1"]}
    found = await scan()
    assert len(found.keys) == 5
    assert found.keys["key-1"].payloads == 2
    assert [gap.count for gap in found.gaps.values()] == [15]


async def test_a_mistake_in_our_own_code_ends_it(server, scan):
    server.describe_workflow_execution = None
    server.histories = {"w-1": []}
    server.running = {"w-1"}
    with pytest.raises(ExceptionGroup):
        await scan()


async def test_cancelled_it_leaves_nothing_running(server, scan):
    server.histories = {f"w-{number}": ["a"] * 1000 for number in range(50)}
    reading = asyncio.create_task(scan())
    await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    # The stub's own generators are closed by the event loop, in its next turns.
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1
    assert server.at_once == 0
