"""A directory that is there, and one that only looks like it: what becomes a store, and what does not."""

import asyncio
import os

import pytest
from temporal_payloads.plugin import DriverContext, StorageMisconfiguredError, StorageUnavailableError
from temporal_payloads_filesystem import FilesystemStorageDriver, _root
from temporal_payloads_filesystem._root import MARK
from temporal_payloads_filesystem._settings import FilesystemSettings

PLACE = "storage.drivers.filesystem"


def test_a_directory_that_is_not_there_is_no_empty_store(
    tmp_path, open_driver, store_context, retrieve_context, make_payloads
):
    async def story():
        async with open_driver(tmp_path / "a") as driver:
            claims = await driver.store(store_context, make_payloads(1))
        async with open_driver(tmp_path / "b", create=False) as driver:
            for action in (
                driver.check(),
                driver.store(store_context, make_payloads(1)),
                driver.retrieve(retrieve_context, claims),
            ):
                with pytest.raises(StorageUnavailableError, match=r"not mounted") as caught:
                    await action
                assert f"{str(tmp_path / 'b')!r} ({PLACE}.path) does not exist" in str(caught.value)
                assert f"{PLACE}.create = true" in str(caught.value)
        assert not (tmp_path / "b").exists()

    asyncio.run(story())


@pytest.mark.parametrize("found", ["no directory", "an empty directory"])
async def test_whoever_finds_no_store_while_another_thread_makes_it_uses_that(
    *, tmp_path, monkeypatch, open_driver, store_context, retrieve_context, make_payloads, found
):
    path = tmp_path / "payloads"
    looks = {"no directory": (os, "open"), "an empty directory": (_root, "_has_mark")}
    if found == "an empty directory":
        path.mkdir()
    where, name = looks[found]
    look = getattr(where, name)

    def look_and_be_overtaken(*args, **options):
        monkeypatch.setattr(where, name, look)
        try:
            return look(*args, **options)
        finally:
            asyncio.run(store_another())

    async def store_another():
        async with open_driver(path) as driver:
            await driver.store(store_context, make_payloads(2))

    async with open_driver(path) as driver:
        monkeypatch.setattr(where, name, look_and_be_overtaken)
        claims = await driver.store(store_context, make_payloads(1))
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(1)


async def test_an_empty_mount_point_is_no_empty_store(
    directory, mount, unmount, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(2)
    mount(directory)
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, payloads)
    async with open_driver(directory, create=False) as driver:
        assert await driver.retrieve(retrieve_context, claims) == payloads
        unmount(directory)
        for action in (driver.store(store_context, payloads), driver.retrieve(retrieve_context, claims)):
            with pytest.raises(StorageUnavailableError, match=f"no file '{MARK}'.*not mounted"):
                await action
        assert list(directory.iterdir()) == []


async def test_a_store_is_not_made_a_second_time_by_a_driver_that_has_seen_it(
    directory, mount, unmount, open_driver, store_context, make_payloads
):
    mount(directory)
    async with open_driver(directory, create=True) as driver:
        await driver.check()
        # Nothing that the driver holds open keeps the volume from being unmounted.
        unmount(directory)
        with pytest.raises(StorageUnavailableError, match="not mounted"):
            await driver.store(store_context, make_payloads(1))
    assert list(directory.iterdir()) == []


async def test_a_process_that_has_seen_its_store_never_makes_another_one(tmp_path, directory, open_driver):
    async with open_driver(directory, create=True) as driver:
        await driver.check()
    directory.rename(tmp_path / "away")
    for remains in (False, True):  # nothing, or an empty mount point
        if remains:
            directory.mkdir()
        async with open_driver(directory, create=True) as driver:
            with pytest.raises(StorageUnavailableError, match="not mounted"):
                await driver.check()
    assert list(directory.iterdir()) == []


async def test_a_volume_that_is_mounted_again_is_used_again(
    tmp_path, directory, open_driver, store_context, retrieve_context, make_payloads
):
    """As a directory that was moved away and back: nothing of what it was is remembered."""
    payloads = make_payloads(2)
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, payloads)
        directory.rename(tmp_path / "away")
        with pytest.raises(StorageUnavailableError):
            await driver.retrieve(retrieve_context, claims)
        (tmp_path / "away").rename(directory)
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_a_relative_path_is_a_first_try_and_needs_nothing_more(
    tmp_path, monkeypatch, plugin, store_context, retrieve_context, make_payloads
):
    monkeypatch.chdir(tmp_path)
    driver = FilesystemStorageDriver("payloads")
    claims = await driver.store(store_context, make_payloads(2))
    assert await driver.retrieve(retrieve_context, claims) == make_payloads(2)
    assert (tmp_path / "payloads" / MARK).is_file()
    await driver.aclose()


async def test_a_mark_made_by_hand_makes_a_store(directory, open_driver, store_context, make_payloads):
    (directory / MARK).touch()
    async with open_driver(directory, create=False) as driver:
        await driver.check()
        await driver.store(store_context, make_payloads(1))


async def test_the_root_of_an_empty_volume_becomes_a_store(directory, open_driver):
    (directory / "lost+found").mkdir()
    async with open_driver(directory) as driver:
        await driver.check()
    assert (directory / MARK).is_file()


async def test_a_directory_of_something_else_does_not(directory, open_driver):
    (directory / "thesis.txt").touch()
    async with open_driver(directory) as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"'thesis.txt' is one.*an empty directory"):
            await driver.check()
    assert [path.name for path in directory.iterdir()] == ["thesis.txt"]


async def test_a_store_that_lost_its_mark_is_not_taken_for_something_else(
    directory, monkeypatch, open_driver, store_context, make_payloads
):
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
    (directory / MARK).unlink()
    monkeypatch.setattr(_root, "_SEEN", set())  # as in another process
    async with open_driver(directory) as driver:
        with pytest.raises(StorageMisconfiguredError, match=f"If these are payloads, make the file '{MARK}'"):
            await driver.check()


async def test_the_directory_above_must_be_there(tmp_path, open_driver):
    async with open_driver(tmp_path / "no" / "payloads") as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"there is no '.*/no' to make it in"):
            await driver.check()


async def test_a_file_is_no_directory(tmp_path, open_driver):
    (tmp_path / "file").touch()
    async with open_driver(tmp_path / "file") as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"is no directory"):
            await driver.check()


async def test_many_may_make_the_store_at_once(tmp_path, open_driver, store_context, make_payloads):
    async def one():
        async with open_driver(tmp_path / "payloads") as driver:
            return await driver.store(store_context, make_payloads(3))

    first, *others = await asyncio.gather(*(one() for _ in range(20)))
    assert others == [first] * 19


async def test_where_nothing_is_stored_the_check_writes_nothing_and_no_store_is_made(
    tmp_path, directory, plugin
):
    context = DriverContext(name="filesystem", place=PLACE, concurrency=8, retrieve_only=True)
    (directory / MARK).touch()
    async with plugin.open(FilesystemSettings(path=directory), context) as driver:
        await driver.check()
    assert [path.name for path in directory.iterdir()] == [MARK]
    async with plugin.open(FilesystemSettings(path=tmp_path / "new", create=True), context) as driver:
        with pytest.raises(StorageUnavailableError, match="does not exist"):
            await driver.check()
