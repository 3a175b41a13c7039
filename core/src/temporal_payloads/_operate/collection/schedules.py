"""What schedules hand on to their next runs: the result of one that succeeded, or the failure of one.

The server keeps these where nobody can list them, also when the run that produced them is long deleted. Which
result it has is not told. It need not be that of the run that ended last: a reset's may count or not, and one
scheduler takes in what ran with `ALLOW_ALL`, the other does not. What is told, with each of a schedule's last
actions, is whether the schedule has taken in how it ended. So the references of all runs are kept until a run
that began after they had ended has succeeded, by the schedule's own account. Whether there were others that
nobody has read is told by the list of its last actions, too.

After a success without any result the older of the server's schedulers goes on with the result before; that
is found in its own workflow's history. Of a server that does not tell what its schedules have taken in, all
results are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import DescribeScheduleRequest

from temporal_payloads._operate.collection.kept import (
    as_time,
    references_as_json,
    references_from_json,
)
from temporal_payloads._operate.holders import status_name, time_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from temporalio.client import Client

    from temporal_payloads._operate.collection.kept import KeptRun
    from temporal_payloads._operate.collection.state import Files
    from temporal_payloads._operate.recorded import RecordedReference

SETTLED = timedelta(minutes=10)
"""How long ago a run must have ended to be taken for the last of its chain: a retry may not be listed yet.
Also how long before another one began, at least, for the schedule to have taken its end in before."""
_FINAL = frozenset({"COMPLETED", "FAILED", "CANCELED", "TERMINATED", "TIMED_OUT"})
_HANDED_ON = frozenset({"COMPLETED", "FAILED", "TIMED_OUT"})
"""What goes to the next run is the result, or the failure, of a run that ended so."""
_STARTED_BY_SCHEDULE = re.compile(r"(?P<action>.*)-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.DOTALL)
"""The id of a workflow that a schedule started: that of its action, and when it was due."""


def action_of(workflow_id: str) -> str | None:
    """Return the id of the action by which a schedule has started a workflow; None if none has."""
    match = _STARTED_BY_SCHEDULE.fullmatch(workflow_id)
    return match["action"] if match else None


@dataclass(frozen=True)
class Ended:
    """A run of a schedule that ended with what may go to the next one: a result, or a failure."""

    workflow_id: str
    run_id: str
    closed: datetime
    succeeded: bool
    references: tuple[RecordedReference, ...]
    hashes: tuple[str, ...]


@dataclass(frozen=True)
class ScheduleRecord:
    """What is known of a schedule, from one collection to the next."""

    ended: frozenset[Ended] = frozenset()
    """The runs that were read, and whose results or failures it may hand on."""
    accounted: frozenset[str] = frozenset()
    """Those of its last actions whose workflows were seen to have ended."""
    recent: frozenset[str] = frozenset()
    """The workflows of its last actions, when it was last looked at."""
    missed: Mapping[str, datetime] = field(default_factory=dict)
    """Workflows that were not seen to end, by when they were not listed any more, and so had ended unread."""
    certain: bool = False
    """Whether it was certain that nothing was missed that it may hand on."""
    unbroken: bool = False
    """Whether that was so but for what is in `missed`."""
    actions: frozenset[str] = frozenset()
    """The ids by which its workflows' ids begin."""
    gone: datetime | None = None
    """Since when it is not there any more."""


@dataclass(frozen=True)
class Uncertain:
    """Whose payloads may be the last result of a schedule, for nothing tells which one that is."""

    actions: frozenset[str] = frozenset()
    """Ids of actions of such schedules."""
    all_but: frozenset[str] | None = None
    """Of some such schedule nothing tells what its action was called when it last succeeded: maybe any but
    these, which are those of schedules that are certain."""

    def __bool__(self) -> bool:
        return bool(self.actions) or self.all_but is not None

    def __or__(self, other: Uncertain) -> Uncertain:
        both = [one.all_but for one in (self, other) if one.all_but is not None]
        return Uncertain(self.actions | other.actions, frozenset.intersection(*both) if both else None)

    def may_have_started(self, workflow_id: str) -> bool:
        """Tell whether such a schedule may have started a workflow."""
        action = action_of(workflow_id)
        if action is None:
            return False
        return action in self.actions or (self.all_but is not None and action not in self.all_but)


@dataclass
class ScheduleNow:
    """A schedule, as the server describes it in this collection."""

    actions: frozenset[str]
    recent: frozenset[str]
    """The workflows of its last actions: ten at most."""
    whole: bool
    """Whether these are all that it ever did."""
    described: bool = True
    """Whether the server has told."""
    statuses: Mapping[str, str] = field(default_factory=dict)
    """How these workflows ended, as the schedule has taken it in: `COMPLETED`, ...; else `RUNNING`."""
    began: Mapping[str, datetime] = field(default_factory=dict)
    """When these workflows began."""
    known: ScheduleRecord = ScheduleRecord()
    """What was known of it before."""
    late: timedelta = SETTLED
    """How long after a run has ended the schedule may take that in."""
    seen: dict[str, bool] = field(default_factory=dict)
    """Those of the workflows to look for that were listed, and whether the last run is sure to have ended."""
    running: set[str] = field(default_factory=set)
    """Those of them that run."""
    ended: set[Ended] = field(default_factory=set)
    """The runs that were listed, and whose results or failures may be handed on."""

    @property
    def sought(self) -> frozenset[str]:
        """The workflows to look for: of its last actions, and those that were not seen to end before."""
        return self.recent | self.waited_for

    @property
    def waited_for(self) -> frozenset[str]:
        """The workflows that it does not list any more, and that were not seen to end before."""
        known = self.known
        return (known.recent | known.missed.keys()) - known.accounted - self.recent

    def note(self, run: KeptRun, begun: datetime) -> None:
        """Take in a run that the schedule has started, as it was listed in a collection begun then."""
        if run.id in self.sought:
            settled = run.status in _FINAL and run.closed is not None and run.closed < begun - SETTLED
            # Nothing follows a success in its chain.
            ended = settled or run.status == "COMPLETED"
            self.seen[run.id] = self.seen.get(run.id, False) or ended
            if run.closed is None:
                self.running.add(run.id)
        if run.status in _HANDED_ON and run.closed is not None:
            succeeded = run.status == "COMPLETED"
            ended_run = Ended(run.id, run.run_id, run.closed, succeeded, run.references, run.hashes)
            if self.may_hand_on(ended_run):
                self.ended.add(ended_run)

    def may_hand_on(self, run: Ended) -> bool:
        """Tell whether the schedule may hand on what this run ended with."""
        if self.statuses.get(run.workflow_id) == "RUNNING":
            return True
        # A failure is forgotten with the next one, a result only with the next result.
        return not self.replaced_after(run.closed, frozenset({"COMPLETED"}) if run.succeeded else _HANDED_ON)

    def replaced_after(self, time: datetime, statuses: frozenset[str] = frozenset({"COMPLETED"})) -> bool:
        """Tell whether it has taken in a run that began after a time, and ended in one of these ways."""
        return any(
            self.statuses.get(workflow) in statuses and began - self.late > time
            for workflow, began in self.began.items()
        )


def updated(now: ScheduleNow, time: datetime) -> ScheduleRecord:
    """Return what is known of a schedule after all its runs were listed, at a time."""
    known = now.known
    if not now.described:
        return replace(known, ended=known.ended | now.ended, gone=None)
    # What it has not taken in yet it takes in after all that it has: only what begins later replaces that.
    ended = {
        replace(run, closed=max(run.closed, time)) if now.statuses.get(run.workflow_id) == "RUNNING" else run
        for run in known.ended | now.ended
        if now.may_hand_on(run)
    }
    succeeded = {run.workflow_id for run in ended if run.succeeded}
    has_ended = {workflow for workflow, has_ended in now.seen.items() if has_ended}
    still_listed = (known.accounted & now.recent) - now.running
    accounted = still_listed | (has_ended - now.running)
    missed = {
        workflow: since
        for workflow in now.sought - accounted - now.seen.keys()
        for since in [time if now.statuses.get(workflow) == "RUNNING" else known.missed.get(workflow, time)]
        if not now.replaced_after(since)
    }
    # Nothing is missing between what is known and the list: in that is a result which the schedule has taken
    # in, or it goes on from what is known, or is all there is. It goes on only from what had ended then: what
    # runs stays in the list, however much has come and gone meanwhile.
    taken_in = {workflow for workflow, status in now.statuses.items() if status == "COMPLETED"}
    unbroken = now.whole or bool(taken_in & succeeded) or (known.certain and bool(still_listed))
    return ScheduleRecord(
        ended=frozenset(ended),
        accounted=frozenset(accounted),
        recent=now.recent | (now.waited_for & now.seen.keys()),
        missed=missed,
        certain=unbroken and not missed,
        unbroken=unbroken,
        actions=now.actions | known.actions,
    )


async def describe(client: Client, schedule_id: str) -> ScheduleNow:
    """Ask the server what a schedule did last.

    Raises:
        RPCError: It does not tell; `NOT_FOUND` if the schedule was deleted meanwhile.
    """
    described = await client.workflow_service.describe_schedule(
        DescribeScheduleRequest(namespace=client.namespace, schedule_id=schedule_id), retry=True
    )
    last = [(one.start_workflow_result.workflow_id, one) for one in described.info.recent_actions]
    started = [workflow_id for workflow_id, _ in last]
    started += [one.workflow_id for one in described.info.running_workflows]
    actions = {action for one in started if (action := action_of(one)) is not None}
    if described.schedule.action.HasField("start_workflow"):
        actions.add(described.schedule.action.start_workflow.workflow_id)
    return ScheduleNow(
        frozenset(actions),
        frozenset(started),
        whole=described.info.action_count <= len(described.info.recent_actions),
        statuses={one.workflow_id: "RUNNING" for one in described.info.running_workflows}
        | {workflow_id: _status(one.start_workflow_status) for workflow_id, one in last},
        began={workflow_id: began for workflow_id, one in last if (began := time_of(one.actual_time))},
    )


def _status(number: WorkflowExecutionStatus.ValueType) -> str:
    """Return how a workflow ended, in a schedule's list of what it did last."""
    name = status_name(number)
    # What it does not tell of (as earlier servers do), or does not know, it may yet take in.
    return name if name in _FINAL else "RUNNING"


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


def uncertain_of(records: Iterable[ScheduleRecord], undescribed: Iterable[ScheduleRecord]) -> Uncertain:
    """Return whose payloads may be the last result of one of a namespace's schedules.

    Args:
        records: Of those that were described.
        undescribed: Of those that were not.
    """
    doubtful = list(undescribed)
    certain: set[str] = set()
    for record in records:
        if record.certain:
            certain |= record.actions
        else:
            doubtful.append(record)
    actions = frozenset(action for record in doubtful for action in record.actions)
    broken = any(not record.unbroken for record in doubtful)
    return Uncertain(actions, frozenset(certain) - actions if broken else None)


def left(
    records: Mapping[str, ScheduleRecord], listed: Iterable[str], now: datetime, grace: timedelta
) -> dict[str, ScheduleRecord]:
    """Return the records of schedules that are not there any more, for as long as the grace."""
    still_there = set(listed)
    gone = {id_: record for id_, record in records.items() if id_ not in still_there}
    noted = {id_: record if record.gone else replace(record, gone=now) for id_, record in gone.items()}
    return {id_: one for id_, one in noted.items() if one.gone and now - one.gone < grace}


def _as_json(record: ScheduleRecord) -> dict[str, Any]:
    ended = sorted(record.ended, key=lambda run: (run.closed, run.run_id))
    return {
        "ended": [
            [
                run.workflow_id,
                run.run_id,
                run.closed.isoformat(),
                run.succeeded,
                references_as_json(run.references),
                run.hashes,
            ]
            for run in ended
        ],
        "accounted": sorted(record.accounted),
        "recent": sorted(record.recent),
        "missed": {workflow: time.isoformat() for workflow, time in sorted(record.missed.items())},
        "certain": record.certain,
        "unbroken": record.unbroken,
        "actions": sorted(record.actions),
        "gone": record.gone.isoformat() if record.gone else None,
    }


def _from_json(values: dict[str, Any]) -> ScheduleRecord:
    return ScheduleRecord(
        ended=frozenset(
            Ended(
                workflow_id=workflow_id,
                run_id=run_id,
                closed=datetime.fromisoformat(closed).astimezone(UTC),
                succeeded=succeeded,
                references=references_from_json(references),
                hashes=tuple(hashes),
            )
            for workflow_id, run_id, closed, succeeded, references, hashes in values["ended"]
        ),
        accounted=frozenset(values["accounted"]),
        recent=frozenset(values["recent"]),
        missed={
            workflow: datetime.fromisoformat(time).astimezone(UTC)
            for workflow, time in values["missed"].items()
        },
        certain=values["certain"],
        unbroken=values["unbroken"],
        actions=frozenset(values["actions"]),
        gone=as_time(values["gone"]),
    )
