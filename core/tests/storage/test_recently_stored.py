"""What has just been stored, and for how long that is believed."""

import time

import pytest
from temporal_payloads._storage.recently_stored import REMEMBERED_ENTRIES, REMEMBERED_SECONDS, RecentlyStored
from temporalio.converter import StorageDriverClaim

CLAIM = StorageDriverClaim(claim_data={"key": "k"})
CONTENT = ("store", "ns", "a")
KEY = (None, "a")


class Clocks:
    """Both clocks of the machine, each of which can go wrong."""

    def __init__(self, monkeypatch):
        self.monotonic = time.monotonic()
        self.wall = time.time()
        monkeypatch.setattr(time, "monotonic", lambda: self.monotonic)
        monkeypatch.setattr(time, "time", lambda: self.wall)


@pytest.fixture
def clocks(monkeypatch):
    return Clocks(monkeypatch)


@pytest.fixture
def stored(clocks):
    stored = RecentlyStored()
    stored.add(KEY, CLAIM, CONTENT)
    return stored


def test_a_claim_is_remembered_for_a_minute(stored, clocks):
    clocks.monotonic += REMEMBERED_SECONDS - 1
    clocks.wall += REMEMBERED_SECONDS - 1
    assert stored.among([KEY, (None, "b")]) == {KEY: CLAIM}
    clocks.monotonic += 2
    clocks.wall += 2
    assert stored.among([KEY]) == {}


def test_a_suspended_machine_does_not_stretch_the_minute(stored, clocks):
    clocks.wall += REMEMBERED_SECONDS + 1  # the monotonic clock stood still
    assert stored.among([KEY]) == {}


def test_a_clock_that_is_set_back_does_not_stretch_the_minute(stored, clocks):
    clocks.wall -= 3600
    clocks.monotonic += REMEMBERED_SECONDS + 1
    assert stored.among([KEY]) == {}


def test_an_entry_behind_one_from_before_the_clock_was_set_back_expires_too(stored, clocks):
    clocks.wall -= 3600
    stored.add((None, "b"), CLAIM, CONTENT)
    clocks.wall += REMEMBERED_SECONDS + 1
    assert stored.among([KEY, (None, "b")]) == {KEY: CLAIM}


def test_what_is_forgotten_is_forgotten_for_everybody_who_stored_it(stored):
    stored.add((None, "b"), CLAIM, CONTENT)
    stored.add((None, "c"), CLAIM, ("store", "ns", "c"))
    stored.forget({CONTENT})
    assert stored.among([KEY, (None, "b"), (None, "c")]) == {(None, "c"): CLAIM}


def test_no_more_than_a_bounded_number_is_remembered():
    stored = RecentlyStored()
    for n in range(REMEMBERED_ENTRIES + 1):
        stored.add((None, str(n)), CLAIM, CONTENT)
    assert stored.among([(None, "0"), (None, "1")]) == {(None, "1"): CLAIM}
