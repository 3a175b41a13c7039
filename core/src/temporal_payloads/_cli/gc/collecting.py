"""What the commands of `gc` share: a collector as the settings have it, and a whole collection."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from temporalio.service import RPCError

from temporal_payloads._build.assembly import build
from temporal_payloads._cli.document import document, errors_in_document
from temporal_payloads._cli.exit_status import ExitStatus, UnfinishedError, WrongUseError
from temporal_payloads._cli.gc.report import as_parts, parts_of_nothing, print_report
from temporal_payloads._cli.output import say_json
from temporal_payloads._cli.progress import Step, telling_progress
from temporal_payloads._cli.temporal import TemporalUnreachableError
from temporal_payloads._errors import ConfigurationError, Problem
from temporal_payloads._operate.collection.clusters import ClusterUnreachableError, connect_owners
from temporal_payloads._operate.collection.collector import Collector, NoSuchCollectionError
from temporal_payloads._operate.collection.lease import CollectionRunsError
from temporal_payloads._operate.collection.ledger import CannotResumeError
from temporal_payloads._operate.collection.marked import Marked
from temporal_payloads._operate.collection.state import DamagedStateError
from temporal_payloads._operate.collection.stores import NoStateError, stores_open
from temporal_payloads._operate.collection.sweeping import ListingTooOldError
from temporal_payloads._operate.unreachable import why_unreachable
from temporal_payloads._settings.settings import without_cache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from temporal_payloads._cli.temporal import Connection
    from temporal_payloads._operate.collection.report import Purpose, Report
    from temporal_payloads._operate.collection.sweeping import Swept
    from temporal_payloads._settings.settings import PayloadSettings

Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with the collection that was interrupted, as it was begun."),
]

SHAPE_OF_REPORT = """\
--json prints:
  version, ok, id, purpose, began, ended, complete, incomplete (why not),
    namespaces, stores, refused, error, problems
  namespaces: namespace, listed, read, running, deleted, kept, marks, gaps,
    uncertain (schedules' actions; * for unknown ones), began, ended
  namespaces.gaps: what, count, why, example
  namespaces.gaps.example: kind, id, run_id
  stores: driver, payloads, bytes, others, rules, changes, garbage,
    undeclared, aside, damaged (files that told since when payloads are aside)
  stores.rules: rule, why, payloads, bytes
  stores.changes: action, outcome (done, changed, gone, refused, unknown),
    payloads
  stores.garbage: namespace, payloads, bytes
  stores.undeclared: namespace, payloads, bytes
  stores.aside: collection (by which they were put aside), payloads, bytes
  refused: driver, why
  error: type, message (why it could not be done, or null)
  problems: message, place, origin (of each in the settings)
"""


def collect(
    purpose: Purpose,
    settings: PayloadSettings,
    connection: Callable[[], Connection],
    *,
    as_json: bool,
    resume: bool = False,
    undo_of: str | None = None,
) -> ExitStatus:
    """Do a whole collection, and print what came of it."""
    with errors_in_document(as_json, **parts_of_nothing(purpose)):
        report = asyncio.run(_collect(purpose, settings, connection(), resume=resume, undo_of=undo_of))
    status = status_of(report)
    if as_json:
        say_json(document(ok=status is ExitStatus.FINE, **as_parts(report)))
    else:
        print_report(report)
    return status


def status_of(report: Report) -> ExitStatus:
    """Return with which status the command ends that did this collection."""
    if not report.complete:
        return ExitStatus.UNFINISHED
    garbage = report.purpose == "plan" and any(store["garbage"] for store in report.stores.values())
    kept = any("refused" in outcomes for outcomes in _outcomes(report))
    return ExitStatus.FOUND if garbage or report.refused or kept else ExitStatus.FINE


def _outcomes(report: Report) -> Iterable[Mapping[str, int]]:
    return (outcomes for store in report.stores.values() for outcomes in store["outcomes"].values())


async def _collect(
    purpose: Purpose,
    settings: PayloadSettings,
    connection: Connection,
    *,
    resume: bool,
    undo_of: str | None,
) -> Report:
    step = Step("opening the stores ...")

    def tell(found: Marked | Swept) -> None:
        nonlocal step
        if isinstance(found, Marked):
            text = f"{found.namespace}: listed {found.listed:,}, read {found.read:,} ..."
        else:
            text = f"{found.driver}: listed {found.listed:,} payloads ..."
        step = Step(text)

    with telling_progress(lambda: step):
        async with collector_open(settings, connection, tell=tell, marks=purpose != "undo") as collector:
            return await collector.collect(purpose, resume=resume, undo_of=undo_of)


@asynccontextmanager
async def collector_open(
    settings: PayloadSettings,
    connection: Connection,
    *,
    tell: Callable[[Marked | Swept], None] = lambda _: None,
    marks: bool = True,
    checks: bool = False,
) -> AsyncIterator[Collector]:
    """Open a collector as the settings have it.

    Args:
        settings: They name stores and owners.
        connection: For owners that do not say how to connect.
        tell: Called with what was found, now and then.
        marks: Whether it is to read histories. If not, no server is asked.
        checks: Whether each store is asked now if it is there, which otherwise its first use shows.

    Raises:
        ConfigurationError: The settings are wrong, or declare no owners.
        StorageError: A store cannot be used.
        TemporalUnreachableError: A cluster of the owners cannot be used.
        UnfinishedError: The collection cannot be gone on with.
        WrongUseError: There never was the collection that is to be undone.
    """
    assembly = build(without_cache(settings))
    gc = assembly.settings.gc
    if not gc.owners:
        raise ConfigurationError(
            Problem(
                "is required: every namespace, on every cluster, whose payloads are in the stores. One that "
                "is not declared may refer to any of them, so that nothing can be collected",
                "gc.owners",
            )
        )
    try:
        async with assembly.drivers_open(), stores_open(assembly) as stores:
            if checks:
                await asyncio.gather(*(one.check() for one in assembly.drivers.values() if not one.off))
            namespaces = []
            if marks:
                namespaces = await connect_owners(
                    gc.owners,
                    stores.chain,
                    default=connection.config,
                    default_from=connection.address_from,
                    requests_per_second=gc.requests_per_second,
                )
            yield Collector(stores, namespaces, gc, tell=tell)
    except NoSuchCollectionError as error:
        raise WrongUseError(str(error)) from error
    except NoStateError as error:
        raise ConfigurationError(Problem(str(error), "gc.state")) from error
    except (CannotResumeError, CollectionRunsError, DamagedStateError, ListingTooOldError) as error:
        raise UnfinishedError(str(error)) from error
    except ClusterUnreachableError as error:
        raise TemporalUnreachableError(str(error)) from error
    except RPCError as error:
        raise TemporalUnreachableError(
            f"a Temporal server cannot be used: {why_unreachable(error)}"
        ) from error
