"""Random lives of a schedule, with collections in between: what it hands on is never deleted.

Runs fail, overlap, last long, end late in the schedule's account, and come and go by the dozen between two
collections. Histories are deleted early. The schedule is renamed. Servers list, describe and fail as they
like.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.service import RPCStatusCode

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GRACE = 2 * HOUR


def key_of(reference):
    return dict(reference.claim_data)["key"]


@dataclass
class Action:
    """What the schedule did: a workflow that it started."""

    id: str
    counts: bool
    """Whether the schedule takes in how it ends: the server's older scheduler does not, with `ALLOW_ALL`."""
    ended: str = ""
    result: Any = None
    taken_in_at: datetime | None = None


class Life:
    """A schedule, what it hands on to its next run, and what a server shows of it."""

    def __init__(self, world, seed):
        self.world, self.chance = world, random.Random(seed)
        self.orders = world.orders
        self.actions: list[Action] = []
        self.name = "report"
        self.result = self.failure = None
        self.was_seen = False
        choice = self.chance.choice
        self.overlaps = choice([True, False])
        self.counts_all = choice([True, False])
        self.retention = choice([20 * MINUTE, 5 * HOUR, DAY, 3 * DAY])
        self.fails, self.collects = choice([0.2, 0.6, 0.9]), choice([0.05, 0.2, 0.6])
        world.gc["grace"] = GRACE
        world.shelf.tells_age = choice([True, False])
        self._show()

    def happens(self, probability):
        return self.chance.random() < probability

    async def step(self):
        self.world.clock.advance(self.chance.choice([2 * MINUTE, 11 * MINUTE, HOUR, 3 * HOUR, 9 * HOUR]))
        for action in self.actions:
            if not action.ended and self.happens(0.55):
                await self._end(action)
        self._take_in()
        for _ in range(self.chance.choice([0, 1, 1, 3, 12] if self.overlaps else [0, 1, 1])):
            self._start()
        for (kind, workflow_id, run_id), run in list(self.orders.runs.items()):
            closed = run.holder.close_time
            if closed and self.world.clock() - closed >= self.retention and self.happens(0.9):
                self.orders.delete(workflow_id, run_id, kind)
        if self.was_seen and self.happens(0.05):
            self.name = self.chance.choice(["report", "renamed", "third"])
        self._show()

    def _start(self):
        running = [action for action in self.actions if not action.ended]
        if len(running) > 15 or (running and not self.overlaps):
            return
        now = self.world.clock()
        at = now + timedelta(seconds=len(self.actions))
        action = Action(f"{self.name}-{at:%Y-%m-%dT%H:%M:%SZ}", self.counts_all or not running)
        self.actions.append(action)
        self.orders.run(action.id, scheduled_by="nightly", status="RUNNING")
        self.orders.taken_in[action.id] = ("RUNNING", now)

    async def _end(self, action):
        action.ended = (
            self.chance.choice(["FAILED", "TIMED_OUT", "CANCELED"])
            if self.happens(self.fails)
            else "COMPLETED"
        )
        now = self.world.clock()
        action.result = await self.world.store(f"of {action.id}", workflow_id=action.id)
        self.orders.run(action.id, action.result, scheduled_by="nightly", status=action.ended, closed=now)
        # The server may be down that tells the schedule, for less than a grace.
        action.taken_in_at = now + self.chance.choice([timedelta(0), timedelta(0), GRACE * 0.8])
        self.orders.not_taken_in.add(action.id)

    def _take_in(self):
        for action in self.actions:
            if not action.counts or not action.taken_in_at or action.taken_in_at > self.world.clock():
                continue
            action.taken_in_at = None
            self.orders.not_taken_in.discard(action.id)
            if action.ended == "COMPLETED":
                self.result, self.failure = action.result, None
            elif action.ended != "CANCELED":
                self.failure = action.result

    def _show(self):
        running = [action.id for action in self.actions if not action.ended and action.counts]
        last = [action.id for action in self.actions[-10:]]
        self.orders.schedule("nightly", action=self.name, recent=[*running, *last])

    async def collect(self):
        orders, purpose = (
            self.orders,
            self.chance.choice(["collect"] * 4 + ["put-aside", "delete", "plan"]),
        )
        orders.hidden = {key[1] for key in orders.runs if self.happens(0.3)} if self.happens(0.15) else set()
        orders.describing_fails = RPCStatusCode.UNAVAILABLE if self.happens(0.1) else None
        orders.fail_listing = self.happens(0.05)
        await self.world.collect(purpose)
        self.was_seen |= not orders.describing_fails and "nightly" not in orders.hidden

    def lost(self):
        handed_on = {key_of(each) for each in (self.result, self.failure) if each is not None}
        return handed_on - self.world.shelf.keys()

    async def rest(self):
        """Let nothing happen for as long as it takes to delete what is taken for garbage."""
        for _ in range(3):
            self.world.clock.advance(2 * GRACE)
            self._take_in()
            self._show()
            await self.collect()
            assert not self.lost()


@pytest.mark.parametrize("seed", range(12))
async def test_what_a_schedule_hands_on_is_never_deleted(world, seed):
    life = Life(world, seed)
    for _ in range(8):
        for _ in range(6):
            await life.step()
            if life.happens(life.collects):
                await life.collect()
                assert not life.lost()
        await life.rest()
