"""`temporal-payloads gc worker`."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from temporal_payloads._cli.document import document, errors_in_document
from temporal_payloads._cli.exit_status import ExitStatus
from temporal_payloads._cli.gc.collecting import collector_open
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for
from temporal_payloads._cli.output import hint, say_json, warn
from temporal_payloads._cli.temporal import (
    Address,
    Connection,
    TemporalConfig,
    TemporalProfile,
    connect,
    connection_asked_for,
    namespaces_asked_for,
)
from temporal_payloads._operate.collection.activities import tell
from temporal_payloads._operate.collection.worker import collection_worker
from temporal_payloads._operate.collection.workflow import TASK_QUEUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from temporal_payloads._settings.settings import PayloadSettings

Namespace = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The namespace that collections run in; else TEMPORAL_NAMESPACE or temporal.toml says, or it is "
        "'default'.",
        rich_help_panel="Temporal",
    ),
]
TaskQueue = Annotated[
    str, typer.Option(metavar="NAME", help="Where collections are started.", rich_help_panel="Temporal")
]

EPILOG = """\
Exit status:
  0 it was told to end, 2 the settings are wrong, 3 Temporal or a store cannot
  be reached when it begins. Later it waits for them

--json prints, when it takes collections:
  version, ok, namespace, task_queue, error, problems
  error: type, message (why it could not be done, or null)
  problems: message, place, origin (of each in the settings)

Several workers share the work. Each has the same settings, and all must find
the collector's files: in a store, or in a directory that gc.state names and
that is the same for all.

Examples:
  temporal-payloads gc worker --namespace operations
  temporal-payloads gc schedule --every 7d --namespace operations
"""


def run(
    *,
    at_once: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many steps it takes at the same time.")
    ] = 4,
    task_queue: TaskQueue = TASK_QUEUE,
    as_json: Json = False,
    config: Config = None,
    profile: Profile = None,
    address: Address = None,
    namespace: Namespace = None,
    temporal_config: TemporalConfig = None,
    temporal_profile: TemporalProfile = None,
) -> ExitStatus:
    """Run a Temporal worker for collections.

    A collection is a workflow then: one activity for each namespace that is read, and for each part of a
    store that is swept. A worker that dies is no harm: another one goes on. It runs until it is interrupted.
    """
    settings = settings_asked_for(config, profile)
    with errors_in_document(as_json, namespace=namespace, task_queue=task_queue):
        connection = connection_asked_for(address, temporal_config, temporal_profile)
        [name] = namespaces_asked_for([namespace] if namespace else None, connection)
        if settings.gc.state is not None:
            warn(f"gc.state: every worker must find the same files in {settings.gc.state}")

        def tell_ready() -> None:
            if as_json:
                say_json(document(ok=True, namespace=name, task_queue=task_queue))
            else:
                hint(f"Collections are taken from task queue {task_queue!r} of namespace {name!r}.")

        serving = _serve(
            settings, connection, name, task_queue=task_queue, at_once=at_once, when_ready=tell_ready
        )
        asyncio.run(serving)
    return ExitStatus.FINE


async def _serve(
    settings: PayloadSettings,
    connection: Connection,
    namespace: str,
    *,
    task_queue: str,
    at_once: int,
    when_ready: Callable[[], None],
) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    [client] = await connect(connection, [namespace])
    async with (
        collector_open(settings, connection, tell=tell, checks=True) as collector,
        collection_worker(client, collector, task_queue=task_queue, at_once=at_once),
    ):
        when_ready()
        await ended.wait()
