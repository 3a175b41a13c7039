"""What was kept of an owner is kept however its files are called later."""

from dataclasses import replace
from datetime import timedelta

import pytest
from temporal_payloads._operate.collection.adopting import adopt
from temporal_payloads._operate.collection.owners import Owner
from temporal_payloads._operate.collection.state import Files

OWNER = Owner("orders", "id", timedelta(days=30), cluster="cluster", address="us:7233")
SHARED = replace(OWNER, shared=True)


@pytest.fixture
def files(directory_state):
    return Files(directory_state)


async def keep(files, owner, name, data):
    await adopt(files, owner, [owner.key])
    await files.store.write(f"kept/{owner.key}/{name}", data)


async def kept(files, owner):
    prefix = f"kept/{owner.key}/"
    names = [name for name in await files.store.names(prefix) if not name.endswith("/owner")]
    return {name.removeprefix(prefix): await files.store.read(name) for name in names}


async def test_what_was_kept_under_another_key_is_there(files):
    await keep(files, OWNER, "runs/00", b"runs")
    await keep(files, OWNER, "schedules", b"schedules")
    await adopt(files, SHARED, [SHARED.key])
    assert await kept(files, SHARED) == {"runs/00": b"runs", "schedules": b"schedules"}


async def test_whoever_is_cut_off_goes_on(files, monkeypatch):
    for name in ("runs/00", "runs/01", "schedules"):
        await keep(files, OWNER, name, name.encode())
    write = files.store.write

    async def cut_off(name, data):
        if name.endswith("schedules"):
            raise KeyboardInterrupt
        await write(name, data)

    monkeypatch.setattr(files.store, "write", cut_off)
    with pytest.raises(KeyboardInterrupt):
        await adopt(files, SHARED, [SHARED.key])
    monkeypatch.undo()
    await adopt(files, SHARED, [SHARED.key])
    assert set(await kept(files, SHARED)) == {"runs/00", "runs/01", "schedules"}


async def test_what_is_kept_already_is_not_replaced(files):
    await keep(files, OWNER, "schedules", b"before")
    await keep(files, SHARED, "schedules", b"now")
    await adopt(files, replace(SHARED, profile="p"), [])
    await adopt(files, SHARED, [SHARED.key])
    assert await kept(files, SHARED) == {"schedules": b"now"}


async def test_the_one_that_was_reached_alike_is_taken(files):
    there = replace(OWNER, address="eu:7233", shared=True)
    await keep(files, there, "schedules", b"eu")
    await files.store.write(f"kept/{SHARED.key}/schedules", b"us")
    await adopt(files, SHARED, [SHARED.key, there.key])
    await adopt(files, OWNER, [OWNER.key])
    assert await kept(files, OWNER) == {"schedules": b"us"}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(OWNER, namespace="bills"), id="another namespace"),
        pytest.param(replace(OWNER, namespace_id="later"), id="one that was made anew"),
    ],
)
async def test_of_others_nothing_is_taken(files, other):
    await keep(files, OWNER, "schedules", b"of the owner")
    await adopt(files, other, [other.key])
    assert await kept(files, other) == {}


async def test_the_files_of_an_owner_that_is_there_stay_its_own(files):
    await keep(files, SHARED, "schedules", b"us")
    there = replace(OWNER, address="eu:7233", shared=True)
    await adopt(files, there, [SHARED.key, there.key])
    assert await kept(files, there) == {}
