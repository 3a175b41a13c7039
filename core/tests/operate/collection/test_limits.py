"""How fast servers and stores are asked, and how long a client may go on with an update."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest
from temporal_payloads import PayloadSettings
from temporal_payloads._operate.collection.update_limit import UpdateLimit
from temporal_payloads._operate.throttle import Throttle, ThrottledService
from temporal_payloads._sdk_plugin import PayloadsPlugin
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeNamespaceResponse
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import ConnectConfig, ServiceClient

GRACE = timedelta(days=7)


async def test_requests_are_spread_over_the_time(leaping_clock):
    throttle = Throttle(10)
    began = leaping_clock.monotonic()
    await asyncio.gather(*(throttle.wait() for _ in range(31)))
    assert leaping_clock.monotonic() - began == pytest.approx(3)
    await asyncio.sleep(100)
    began = leaping_clock.monotonic()
    await throttle.wait(20)  # what was not used is not saved up, and the next one waits for all of it
    await throttle.wait()
    assert leaping_clock.monotonic() - began == pytest.approx(2)


async def test_without_a_limit_nobody_waits(leaping_clock):
    began = leaping_clock.monotonic()
    await Throttle(None).wait(1_000_000)
    assert leaping_clock.monotonic() == began


class Service(ServiceClient):
    """A connection that answers at once."""

    def __init__(self):
        super().__init__(ConnectConfig(target_host="nowhere:1"))
        self.told = []

    @property
    def worker_service_client(self):
        return self

    def update_rpc_metadata(self, metadata):
        self.told.append(metadata)

    def update_api_key(self, api_key):
        self.told.append(api_key)

    async def _rpc_call(self, rpc, req, resp_type, *, service, retry, metadata, timeout):  # noqa: ASYNC109  # the SDK's
        self.told.append((rpc, retry))
        return DescribeNamespaceResponse()


async def test_every_request_to_a_cluster_counts(leaping_clock):
    inner = Service()
    service = ThrottledService(inner, Throttle(2))
    began = leaping_clock.monotonic()
    for _ in range(5):
        await service.workflow_service.describe_namespace(DescribeNamespaceRequest(), retry=True)
    assert leaping_clock.monotonic() - began == pytest.approx(2)
    service.update_api_key("key")
    service.update_rpc_metadata({})
    assert inner.told == [("describe_namespace", True)] * 5 + ["key", {}]
    assert service.worker_service_client is inner


async def test_a_store_is_asked_no_faster_than_the_settings_say(world, leaping_clock):
    for number in range(20):
        await world.store(f"garbage {number}")
    world.clock.advance(2 * GRACE)
    world.gc["store_requests_per_second"] = 4
    began = leaping_clock.monotonic()
    await world.collect("put-aside")
    # Some 20 pages, and 20 changes.
    assert leaping_clock.monotonic() - began >= 9


# -- updates


@pytest.mark.parametrize("method", ["start_workflow_update", "start_update_with_start_workflow"])
async def test_an_update_that_no_worker_accepts_ends_before_it_is_taken_for_garbage(leaping_clock, method):
    class Server:
        async def start_workflow_update(self, _):
            await asyncio.Event().wait()

        start_update_with_start_workflow = start_workflow_update

    began = leaping_clock.monotonic()
    limited = UpdateLimit(timedelta(hours=12)).intercept_client(Server())  # type: ignore[arg-type]  # the part that is called
    with pytest.raises(WorkflowUpdateRPCTimeoutOrCancelledError):
        await getattr(limited, method)(SimpleNamespace())
    assert leaping_clock.monotonic() - began == pytest.approx(12 * 3600)


async def test_an_error_of_the_server_s_own_is_left_as_it_is():
    class Server:
        async def start_workflow_update(self, _):
            raise TimeoutError("of its own")

    limited = UpdateLimit(timedelta(hours=12)).intercept_client(Server())  # type: ignore[arg-type]  # the part that is called
    with pytest.raises(TimeoutError, match="of its own"):
        await limited.start_workflow_update(SimpleNamespace())  # type: ignore[arg-type]  # likewise


def test_the_plugin_s_clients_give_up_an_update_after_half_of_the_grace():
    config = PayloadsPlugin(PayloadSettings(gc={"grace": "3d"})).configure_client({})  # type: ignore[typeddict-item]  # what it looks at
    [limit] = config["interceptors"]
    assert isinstance(limit, UpdateLimit)
    assert limit._limit == timedelta(days=1.5)
