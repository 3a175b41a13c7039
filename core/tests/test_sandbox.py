"""`PayloadsPlugin` lets a payload converter's modules through the workflow sandbox of workers and replays."""

import dataclasses
import uuid
from datetime import timedelta

import pytest
from temporal_payloads import PayloadSettings, PayloadsPlugin
from temporalio.client import Client
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxMatcher, SandboxRestrictions

OWN_RESTRICTIONS = dataclasses.replace(
    SandboxRestrictions.default.with_passthrough_modules("application_types"),
    invalid_module_members=SandboxRestrictions.invalid_module_members_default
    | SandboxMatcher(children={"textwrap": SandboxMatcher(use={"dedent"}, only_runtime=True)}),
)


@pytest.fixture
def modules(install):
    """The modules of an application and of the payload converter's plugin, outside any sandbox."""
    install("tidy", "application")
    names = ("tidy_converter", "application_types", "application_workflow")
    return {name: __import__(name) for name in names}


@pytest.fixture
def workflow(modules):
    return modules["application_workflow"].Looking


@pytest.fixture
def visited(modules):
    """Tell which modules a workflow has reached through its sandbox."""
    return lambda: {name for name, module in modules.items() if hasattr(module, "visited")}


@pytest.fixture
def plugin(modules):
    return PayloadsPlugin(PayloadSettings(payload_converter="tidy"))


@pytest.fixture
def make_worker(temporal_server, workflow):
    """Make a worker of a client with these plugins."""

    async def make(*plugins, **options):
        client = await Client.connect(temporal_server.address, plugins=plugins)
        return Worker(client, task_queue=str(uuid.uuid4()), workflows=[workflow], **options)

    return make


async def run(worker):
    """Run the workflow; return its handle and its result."""
    async with worker:
        handle = await worker.client.start_workflow(
            "Looking", id=str(uuid.uuid4()), task_queue=worker.task_queue, run_timeout=timedelta(minutes=1)
        )
        return handle, await handle.result()


async def test_the_converters_modules_are_passed_through_the_sandbox(make_worker, plugin, visited):
    _, result = await run(await make_worker(plugin))
    assert result == "free"
    assert visited() == {"tidy_converter"}


async def test_without_the_plugin_they_are_not(make_worker, visited):
    _, result = await run(await make_worker())
    assert result == "free"
    assert visited() == set()


async def test_a_workers_own_restrictions_are_kept(make_worker, plugin, visited):
    worker = await make_worker(plugin, workflow_runner=SandboxedWorkflowRunner(OWN_RESTRICTIONS))
    _, result = await run(worker)
    assert result == "restricted"
    assert visited() == {"tidy_converter", "application_types"}


async def test_a_replay_passes_them_through_as_well(make_worker, plugin, visited, workflow, modules):
    handle, _ = await run(await make_worker(plugin))
    del modules["tidy_converter"].visited
    own = SandboxRestrictions.default.with_passthrough_modules("application_types")
    runner = SandboxedWorkflowRunner(own)
    replayer = Replayer(workflows=[workflow], plugins=[plugin], workflow_runner=runner)
    result = await replayer.replay_workflow(await handle.fetch_history())
    assert result.replay_failure is None
    assert visited() == {"tidy_converter", "application_types"}


class OwnRunner(SandboxedWorkflowRunner):
    """A runner with more to it than the SDK's, made in another way."""

    label: str

    def __init__(self, label):
        super().__init__(OWN_RESTRICTIONS)
        object.__setattr__(self, "label", label)


async def test_a_runner_of_the_applications_own_class_is_kept(make_worker, plugin, visited):
    given = OwnRunner("ours")
    worker = await make_worker(plugin, workflow_runner=given)
    runner = worker.config(active_config=True)["workflow_runner"]
    assert isinstance(runner, OwnRunner)
    assert runner.label == "ours"
    _, result = await run(worker)
    assert result == "restricted"
    assert visited() == {"tidy_converter", "application_types"}
    # The application may give the same object to another worker.
    assert given.restrictions is OWN_RESTRICTIONS


class AnotherRunner(WorkflowRunner):
    """A runner that is no sandbox of the SDK's."""

    def __init__(self):
        self.inner = UnsandboxedWorkflowRunner()

    def prepare_workflow(self, defn):
        self.inner.prepare_workflow(defn)

    def create_instance(self, det):
        return self.inner.create_instance(det)


@pytest.mark.parametrize("runner", [UnsandboxedWorkflowRunner(), AnotherRunner()], ids=type)
async def test_runners_without_the_sdks_sandbox_are_left_alone(make_worker, modules, runner):
    settings = PayloadSettings(payload_converter="tidy", observability={"spans": False})
    plugin = PayloadsPlugin(settings)
    worker = await make_worker(plugin, workflow_runner=runner)
    assert worker.config(active_config=True)["workflow_runner"] is runner
    _, result = await run(worker)
    assert result == "free"


async def test_without_modules_to_pass_through_the_runner_is_left_alone(make_worker):
    given = SandboxedWorkflowRunner(OWN_RESTRICTIONS)
    settings = PayloadSettings(observability={"spans": False})
    worker = await make_worker(PayloadsPlugin(settings), workflow_runner=given)
    assert worker.config(active_config=True)["workflow_runner"] is given


@pytest.mark.parametrize(
    "runner",
    [SandboxedWorkflowRunner(OWN_RESTRICTIONS), OwnRunner("ours"), AnotherRunner()],
    ids=type,
)
async def test_for_spans_a_runner_is_told_apart_by_nothing_else(make_worker, runner):
    worker = await make_worker(PayloadsPlugin(PayloadSettings()), workflow_runner=runner)
    its_own = worker.config(active_config=True)["workflow_runner"]
    assert isinstance(its_own, type(runner))
    assert vars(its_own) == vars(runner)
    assert type(its_own).__qualname__ == type(runner).__qualname__
    if type(runner) is SandboxedWorkflowRunner:
        # The SDK's own OpenTelemetry plugin does it.
        assert type(dataclasses.replace(its_own)) is type(its_own)
    _, result = await run(worker)
    assert result in ("free", "restricted")
