"""A mistake ends nothing: what needs a payload waits, tells why, and goes on once the deployment is right.

Each mistake is made twice with one workflow: on a worker that is to run an activity with a stored argument,
and on a worker that is to replay the workflow. They are made several at a time: most of the time is waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.failures import activity_failure, event_of, pending_activity, task_failure
from support.history import claim_of, event_payloads
from support.stores import RedisStore, Store
from support.values import large
from support.workers import connect, new_id, running_worker
from support.workflows import LONG, EchoElsewhere, Resumes
from temporal_payloads import PayloadSettings, build_data_converter
from temporalio.api.enums.v1 import EventType
from temporalio.exceptions import ApplicationError

if TYPE_CHECKING:
    from local_servers import RedisServer, S3Server, TemporalServer
    from support.stores import S3Store
    from temporalio.client import Client, WorkflowHandle

AT_ONCE = 4
"""Mistakes that are made at the same time."""
STORY_SECONDS = 40
"""Ample for one story. Rarely, the server hands a task to a worker that has just left, and the story has to
be told anew."""
RUN_TIMEOUT = timedelta(seconds=STORY_SECONDS + 20)
"""Longer than the story: what takes too long is the story's to tell."""
TOLD_AT_MOST = 3
VALUE = large("order")
PLAIN: dict[str, Any] = {"cache": {"max_size": 0}, "encode_failures": False}


@dataclass(frozen=True)
class Around:
    """What a deployment could be configured for, rightly or wrongly."""

    server: TemporalServer
    store: Store
    other_store: Store
    other_endpoint: S3Server
    """An S3 that has a bucket of the same name."""

    def settings(self, **changes: Any) -> PayloadSettings:
        """Return the right settings, with changes as of `Store.settings`."""
        return self.store.settings(**{**PLAIN, **changes})

    async def client(self, settings: PayloadSettings) -> Client:
        """Connect with these settings."""
        return await connect(self.server, build_data_converter(settings))


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a deployment, and what it says."""

    settings: Callable[[Around], PayloadSettings]
    type: str
    told: tuple[str, ...]
    """What stands in the message."""


IN_BOTH = {
    "no codec": Mistake(
        lambda here: here.settings(codecs=[]),
        "PayloadNotDecodedError",
        ("'binary/gzip', which no configured codec decodes (codecs: none)", "Add 'gzip' to codecs"),
    ),
    "a codec's limit that is too low": Mistake(
        lambda here: here.settings(codec={"gzip": {"max_decoded_size": 1000}}),
        "PayloadTooLargeError",
        ("expands to more than 1000 bytes", "Raise codec.gzip.max_decoded_size"),
    ),
    "another driver": Mistake(
        lambda here: here.other_store.settings(**PLAIN),
        "UnknownDriverError",
        ("which is not configured here", "add a [storage.drivers.KEY] table", "retrieve_only = true"),
    ),
    "no storage": Mistake(
        lambda _: PayloadSettings(codecs=("gzip",)),
        "UnknownDriverError",
        ("no storage driver is configured here", "Give this process the [storage] settings"),
    ),
    "a renamed driver": Mistake(
        lambda here: here.settings(driver={"driver_name": "renamed"}),
        "UnknownDriverError",
        ("(configured: 'renamed')", "to read_aliases"),
    ),
}
MISTAKES = {
    "s3": IN_BOTH
    | {
        "another bucket": Mistake(
            lambda here: here.settings(driver={"bucket": "archive"}),
            "ClaimRejectedError",
            ("'payloads'", "this driver is for 'archive'"),
        ),
        "a bucket for each namespace": Mistake(
            lambda here: here.settings(driver={"bucket": "payloads-{namespace}"}),
            "ClaimRejectedError",
            ("'payloads'", "this driver is for 'payloads-default'"),
        ),
        "another endpoint": Mistake(
            lambda here: here.settings(driver={"endpoint_url": here.other_endpoint.endpoint_url}),
            "PayloadNotFoundError",
            ("Temporal tries again", "another endpoint", "storage.drivers.s3.missing_payload"),
        ),
        "refused credentials": Mistake(
            lambda here: here.settings(driver={"secret_access_key": "wrong"}),
            "StoragePermissionError",
            ("storage.drivers.s3",),
        ),
    },
    "redis": IN_BOTH
    | {
        "another key prefix": Mistake(
            lambda here: here.settings(driver={"key_prefix": "tenant-7"}),
            "ClaimRejectedError",
            ("'tenant-7:'",),
        ),
        "another database": Mistake(
            lambda here: here.settings(driver={"url": f"redis://{':'.join(map(str, here.store.address))}/1"}),
            "PayloadNotFoundError",
            ("Temporal tries again", "database", "storage.drivers.redis.missing_payload"),
        ),
        "refused credentials": Mistake(
            lambda here: here.settings(driver={"username": "nobody", "password": "wrong"}),
            "StoragePermissionError",
            ("storage.drivers.redis",),
        ),
    },
}
HARM = {
    "a deleted object": ("PayloadNotFoundError", "Temporal tries again"),
    "a corrupted object": ("PayloadIntegrityError", "object was changed after it was stored"),
}
"""What happens to a store under a right deployment: type and message."""

CASES = [(store, what) for store, mistakes in MISTAKES.items() for what in (*mistakes, *HARM)]


@dataclass(frozen=True)
class Outcome:
    """How one workflow fared."""

    waiting_activity: BaseException
    waiting_workflow: BaseException
    result: str


async def start(
    client: Client, workflow: Any, *args: Any, task_queue: str, run_timeout: timedelta = RUN_TIMEOUT
) -> WorkflowHandle[Any, Any]:
    """Start a workflow whose tasks are tried again soon after they failed."""
    handle: WorkflowHandle[Any, Any] = await client.start_workflow(
        workflow,
        args=args,
        id=new_id("wf"),
        task_queue=task_queue,
        run_timeout=run_timeout,
        # The SDK reports a task's first failure only; the server tries again when the task times out.
        task_timeout=timedelta(seconds=1),
    )
    return handle


async def suffer(here: Around, settings: PayloadSettings, harm: str | None) -> Outcome:
    """Run a workflow with an activity; the first worker of each has these settings, or a harmed store."""
    right, wrong = await here.client(here.settings()), await here.client(settings)
    queue, activity_queue = new_id("workflows"), new_id("activities")
    handle = await start(right, EchoElsewhere.run, VALUE, activity_queue, task_queue=queue)
    # A task that first waits for the worker that has it cached shows no failure in the history.
    async with running_worker(right, queue, activities=[], max_cached_workflows=0):
        await event_of(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)

    mend = await harmed(here.store, handle, "activity_task_scheduled.input", harm)
    async with running_worker(wrong, activity_queue, workflows=[]):
        waiting_activity = await activity_failure(handle)
    await mend()
    async with running_worker(right, activity_queue, workflows=[]):
        await event_of(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED)

    # Not the activity's argument or result: replaying the workflow stores the argument again.
    mend = await harmed(here.store, handle, "workflow_execution_started.input", harm)
    async with running_worker(wrong, queue, activities=[], max_cached_workflows=0):
        waiting_workflow = await task_failure(handle)
    await mend()
    async with running_worker(right, queue, activities=[]):
        return Outcome(waiting_activity, waiting_workflow, await handle.result())


async def harmed(
    store: Store, handle: WorkflowHandle[Any, Any], place: str, harm: str | None
) -> Callable[[], Awaitable[None]]:
    """Harm the object of the reference at a place in the history; return how to put it right."""
    reference = event_payloads(await handle.fetch_history())[place][0]
    claim = claim_of(reference)
    original = await asyncio.to_thread(store.read, claim)
    if harm == "a deleted object":
        await asyncio.to_thread(store.delete, claim)
    elif harm == "a corrupted object":
        await asyncio.to_thread(store.overwrite, claim, original + b"!")

    async def mend() -> None:
        if harm is not None:
            await asyncio.to_thread(store.overwrite, claim, original)

    return mend


@pytest.fixture(scope="module")
def outcomes(
    temporal_server: TemporalServer, s3_store: S3Store, redis_server: RedisServer, moto_server: S3Server
) -> dict[tuple[str, str], Outcome | BaseException]:
    """How each case went."""
    redis_store = RedisStore(redis_server)
    moto_server.create_bucket(s3_store.bucket)
    arounds = {
        "s3": Around(temporal_server, s3_store, redis_store, moto_server),
        "redis": Around(temporal_server, redis_store, s3_store, moto_server),
    }
    free = asyncio.Semaphore(AT_ONCE)

    async def one(store: str, what: str) -> Outcome:
        here = arounds[store]
        harm = what if what in HARM else None
        settings = here.settings() if harm else MISTAKES[store][what].settings(here)
        async with free:
            for _ in range(TOLD_AT_MOST - 1):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(STORY_SECONDS):
                        return await suffer(here, settings, harm)
            async with asyncio.timeout(STORY_SECONDS):
                return await suffer(here, settings, harm)

    async def all_of_them() -> list[Outcome | BaseException]:
        return await asyncio.gather(*(one(*case) for case in CASES), return_exceptions=True)

    return dict(zip(CASES, asyncio.run(all_of_them()), strict=True))


@pytest.mark.parametrize(("store", "what"), CASES, ids=[f"{store}: {what}" for store, what in CASES])
def test_everybody_waits_tells_why_and_goes_on_when_it_is_right(
    outcomes: dict[tuple[str, str], Outcome | BaseException], store: str, what: str
) -> None:
    outcome = outcomes[store, what]
    if isinstance(outcome, BaseException):
        raise outcome
    if what in HARM:
        error_type, *told = HARM[what]
    else:
        error_type, told = MISTAKES[store][what].type, list(MISTAKES[store][what].told)
    for failure in (outcome.waiting_activity, outcome.waiting_workflow):
        assert isinstance(failure, ApplicationError)
        assert failure.type == error_type
        assert not failure.non_retryable
        for part in told:
            assert part in failure.message
    assert outcome.result == VALUE


@pytest.mark.parametrize("what", ["a renamed driver", "no storage"])
async def test_a_heartbeat_that_cannot_be_read_does_not_end_its_activity(
    temporal_server: TemporalServer,
    redis_server: RedisServer,
    s3_store: S3Store,
    moto_server: S3Server,
    what: str,
) -> None:
    """The SDK's own word on it is final."""
    here = Around(temporal_server, RedisStore(redis_server), s3_store, moto_server)
    mistake = MISTAKES["redis"][what]
    right, wrong = await here.client(here.settings()), await here.client(mistake.settings(here))
    queue, activity_queue = new_id("workflows"), new_id("activities")
    handle = await start(right, Resumes.run, "beat", activity_queue, task_queue=queue, run_timeout=LONG)
    async with running_worker(right, queue, activities=[]):
        async with running_worker(right, activity_queue, workflows=[]):
            await pending_activity(handle, lambda activity: activity.HasField("heartbeat_details"))
        async with running_worker(wrong, activity_queue, workflows=[]):
            pending = await pending_activity(
                handle, lambda activity: activity.last_failure.application_failure_info.type == mistake.type
            )
            assert mistake.told[0] in pending.last_failure.message
        async with running_worker(right, activity_queue, workflows=[]):
            assert await handle.result() == large("beat")
