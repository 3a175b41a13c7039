"""What schedules hand on: the result of a schedule's latest run that succeeded goes to its next run.

The server keeps that result where nobody can list it, also when the run that produced it is long deleted. So
the references of that run are kept until a later success is read. Whether there was a later one that nobody
has read is told by the schedule's own list of what it did last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from temporalio.api.workflowservice.v1 import DescribeScheduleRequest

from temporal_payloads._operate.collection.kept import (
    as_time,
    references_as_json,
    references_from_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from temporalio.client import Client

    from temporal_payloads._operate.collection.kept import KeptRun
    from temporal_payloads._operate.collection.state import Files
    from temporal_payloads._operate.recorded import RecordedReference

SETTLED = timedelta(minutes=10)
"""How long ago a run must have ended to be taken for the last of its chain: a retry may not be listed yet."""
_FINAL = frozenset({"COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT"})
_STARTED_BY_SCHEDULE = re.compile(r"(?P<action>.*)-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.DOTALL)
"""The id of a workflow that a schedule started: that of its action, and when it was due."""


def action_of(workflow_id: str) -> str | None:
    """Return the id of the action by which a schedule has started a workflow; None if none has."""
    match = _STARTED_BY_SCHEDULE.fullmatch(workflow_id)
    return match["action"] if match else None


@dataclass(frozen=True)
class Success:
    """A run of a schedule that completed."""

    workflow_id: str
    run_id: str
    closed: datetime
    references: tuple[RecordedReference, ...]
    hashes: tuple[str, ...]


@dataclass(frozen=True)
class ScheduleRecord:
    """What is known of a schedule, from one collection to the next."""

    success: Success | None = None
    """The latest that was read."""
    accounted: frozenset[str] = frozenset()
    """Those of its last actions whose workflows were seen to have ended, and are no later success."""
    recent: frozenset[str] = frozenset()
    """The workflows of its last actions, when it was last looked at."""
    certain: bool = False
    """Whether it was certain that no later success was missed."""
    actions: frozenset[str] = frozenset()
    """The ids by which its workflows' ids begin."""
    gone: datetime | None = None
    """Since when it is not listed any more."""


@dataclass
class ScheduleNow:
    """A schedule, as the server describes it in this collection."""

    actions: frozenset[str]
    recent: frozenset[str]
    """The workflows of its last actions: ten at most."""
    whole: bool
    """Whether these are all that it ever did."""
    seen: dict[str, bool] = field(default_factory=dict)
    """Those of them that were listed, and whether their last run is known to have ended."""
    running: set[str] = field(default_factory=set)
    """Those of them that run."""
    success: Success | None = None
    """The latest that was listed."""

    def note(self, run: KeptRun, begun: datetime) -> None:
        """Take in a run that the schedule has started, as it was listed in a collection begun then."""
        if run.id in self.recent:
            ended = run.status in _FINAL and run.closed is not None and run.closed < begun - SETTLED
            self.seen[run.id] = self.seen.get(run.id, False) or ended
            if run.closed is None:
                self.running.add(run.id)
        if run.status == "COMPLETED" and run.closed is not None:
            success = Success(run.id, run.run_id, run.closed, run.references, run.hashes)
            self.success = _later(self.success, success)


def updated(known: ScheduleRecord, now: ScheduleNow) -> ScheduleRecord:
    """Return what is known of a schedule after all its runs were listed."""
    success = _later(known.success, now.success)
    accounted = (known.accounted & now.recent) | {
        workflow for workflow, ended in now.seen.items() if ended and workflow not in now.running
    }
    latest = {success.workflow_id} if success else set()
    # Nothing happened between what is known and the list: it begins with what is known, or is all there is.
    unbroken = now.whole or bool(latest & now.recent) or (known.certain and bool(known.recent & now.recent))
    certain = unbroken and now.recent <= (accounted | now.seen.keys() | latest)
    return ScheduleRecord(
        success=success,
        accounted=frozenset(accounted),
        recent=now.recent,
        certain=certain,
        actions=now.actions | known.actions,
    )


def _later(one: Success | None, other: Success | None) -> Success | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda success: success.closed)


async def describe(client: Client, schedule_id: str) -> ScheduleNow:
    """Ask the server what a schedule did last.

    Raises:
        RPCError: It does not tell; `NOT_FOUND` if the schedule was deleted meanwhile.
    """
    described = await client.workflow_service.describe_schedule(
        DescribeScheduleRequest(namespace=client.namespace, schedule_id=schedule_id), retry=True
    )
    started = [one.start_workflow_result.workflow_id for one in described.info.recent_actions]
    started += [one.workflow_id for one in described.info.running_workflows]
    actions = {action for one in started if (action := action_of(one)) is not None}
    if described.schedule.action.HasField("start_workflow"):
        actions.add(described.schedule.action.start_workflow.workflow_id)
    whole = described.info.action_count <= len(described.info.recent_actions)
    return ScheduleNow(frozenset(actions), frozenset(started), whole)


class ScheduleRecords:
    """The records of a namespace's schedules, in one file.

    Args:
        files: Where it is.
        owner: What tells the namespace from others of the same name: see `Owner.key`.
    """

    def __init__(self, files: Files, owner: str) -> None:
        self._files = files
        self._name = f"kept/{owner}/schedules"

    async def load(self) -> dict[str, ScheduleRecord]:
        """Return the records by the schedules' ids.

        Raises:
            DamagedStateError: The file is damaged.
        """
        document = await self._files.read_json(self._name) or {}
        return {id_: _from_json(values) for id_, values in document.items()}

    async def save(self, records: Mapping[str, ScheduleRecord]) -> None:
        """Keep these."""
        await self._files.write_json(self._name, {id_: _as_json(one) for id_, one in records.items()})


def left(
    records: Mapping[str, ScheduleRecord], listed: Iterable[str], now: datetime, grace: timedelta
) -> dict[str, ScheduleRecord]:
    """Return the records of schedules that are not listed any more, for as long as the grace."""
    gone = {id_: record for id_, record in records.items() if id_ not in set(listed)}
    noted = {id_: record if record.gone else replace(record, gone=now) for id_, record in gone.items()}
    return {id_: one for id_, one in noted.items() if one.gone and now - one.gone < grace}


def _as_json(record: ScheduleRecord) -> dict[str, Any]:
    success = record.success
    return {
        "success": success
        and [
            success.workflow_id,
            success.run_id,
            success.closed.isoformat(),
            references_as_json(success.references),
            success.hashes,
        ],
        "accounted": sorted(record.accounted),
        "recent": sorted(record.recent),
        "certain": record.certain,
        "actions": sorted(record.actions),
        "gone": record.gone.isoformat() if record.gone else None,
    }


def _from_json(values: dict[str, Any]) -> ScheduleRecord:
    success = values["success"]
    return ScheduleRecord(
        success=success
        and Success(
            workflow_id=success[0],
            run_id=success[1],
            closed=datetime.fromisoformat(success[2]).astimezone(UTC),
            references=references_from_json(success[3]),
            hashes=tuple(success[4]),
        ),
        accounted=frozenset(values["accounted"]),
        recent=frozenset(values["recent"]),
        certain=values["certain"],
        actions=frozenset(values["actions"]),
        gone=as_time(values["gone"]),
    )
