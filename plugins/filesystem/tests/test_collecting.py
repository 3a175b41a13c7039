"""How files are listed, put aside, brought back and deleted."""

import asyncio
import errno
import fcntl
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporal_payloads.plugin import ClaimRejectedError, StorageMisconfiguredError
from temporalio.converter import StorageDriverClaim, StorageDriverStoreContext

GRACE = timedelta(days=7)
RUN = "v0/ns=default/wt=order/wi=order-1/ri=run-1"


async def listed(driver, *namespaces):
    return [
        one
        for shard in driver.shards(namespaces or ["default"])
        async for page in driver.list_payloads(shard)
        for one in page.payloads
    ]


async def put_aside(driver):
    assert set(await driver.put_aside(await listed(driver), grace=GRACE)) == {"done"}
    return await listed(driver)


def files_in(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_what_is_put_aside_lies_in_the_trash_as_it_did_outside(
    directory, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, make_payloads(1))
        sha256 = claims[0].claim_data["hash_value"]
        before = datetime.now(UTC) - timedelta(seconds=1)
        (aside,) = await put_aside(driver)
        assert before < aside.stored < datetime.now(UTC) + timedelta(seconds=1)
        assert (directory / "trash" / RUN / sha256).exists()
        assert not (directory / "v0/ns=default").exists()
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(1)


async def test_a_writer_moves_back_what_is_put_aside(directory, open_driver, store_context, make_payloads):
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
        (file,) = (directory / RUN).iterdir()
        inode = file.stat().st_ino
        await put_aside(driver)
        await driver.store(store_context, make_payloads(1))
        assert file.stat().st_ino == inode
        assert not [name for name in files_in(directory) if name.startswith("trash/v0")]


@pytest.mark.parametrize("moment", ["before it is touched", "after it is touched"])
async def test_what_is_put_aside_while_it_is_stored_again_is_brought_back(
    moment, directory, open_driver, store_context, make_payloads, monkeypatch
):
    touch = os.utime
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
        (file,) = (directory / RUN).iterdir()
        trash = directory / "trash" / RUN
        trash.mkdir(parents=True)

        def touch_and_lose(*arguments, **options):
            monkeypatch.setattr(os, "utime", touch)
            if moment == "before it is touched":
                file.rename(trash / file.name)
            touch(*arguments, **options)
            file.rename(trash / file.name)

        monkeypatch.setattr(os, "utime", touch_and_lose)
        await driver.store(store_context, make_payloads(1))
        assert [one.aside for one in await listed(driver)] == [False]


async def test_what_is_put_aside_again_and_again_is_brought_back_or_written_anew(
    directory, open_driver, store_context, make_payloads, monkeypatch
):
    rename = os.rename
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
        (file,) = (directory / RUN).iterdir()
        await put_aside(driver)

        def rename_and_lose(*arguments, **options):
            rename(*arguments, **options)
            rename(file, directory / "trash" / RUN / file.name)

        monkeypatch.setattr(os, "rename", rename_and_lose)
        await driver.store(store_context, make_payloads(1))
        monkeypatch.setattr(os, "rename", rename)
        assert [one.aside for one in await listed(driver)] == [False]


async def test_what_a_writer_brings_back_just_before_it_would_be_deleted_stays(
    directory, open_driver, store_context, retrieve_context, make_payloads, monkeypatch
):
    unlink = os.unlink
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, make_payloads(1))
        (file,) = (directory / RUN).iterdir()
        aside = await put_aside(driver)

        def bring_back_and_unlink(name, *, dir_fd):
            file.parent.mkdir(parents=True)
            (directory / "trash" / RUN / name).rename(file)
            unlink(name, dir_fd=dir_fd)

        monkeypatch.setattr(os, "unlink", bring_back_and_unlink)
        assert await driver.delete(aside) == ["changed"]
        monkeypatch.setattr(os, "unlink", unlink)
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(1)


async def test_what_is_brought_back_while_a_reader_looks_in_the_trash_is_found(
    directory, open_driver, store_context, retrieve_context, make_payloads, monkeypatch
):
    enter = os.open
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, make_payloads(1))
        aside = await put_aside(driver)
        trash = directory / "trash" / RUN / aside[0].key.sha256

        def bring_back_and_open(path, *arguments, **options):
            if path == "trash" and trash.exists():
                (directory / RUN).mkdir(parents=True)
                trash.rename(directory / RUN / trash.name)
            return enter(path, *arguments, **options)

        monkeypatch.setattr(os, "open", bring_back_and_open)
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(1)
        assert not trash.exists()


async def test_a_file_that_a_writer_of_an_earlier_release_wrote_anew_is_not_aside(
    directory, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, make_payloads(1))
        (aside,) = await put_aside(driver)
        trash = directory / "trash" / RUN / aside.key.sha256
        (directory / RUN).mkdir(parents=True)
        (directory / RUN / trash.name).write_bytes(trash.read_bytes())
        assert [one.aside for one in await listed(driver)] == [False]
        assert await driver.delete([aside]) == ["changed"]
        assert await driver.restore([aside]) == ["changed"]
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(1)
        # Once it is put aside itself, there is one of them again.
        assert await driver.delete(await put_aside(driver)) == ["done"]
        assert not [name for name in files_in(directory) if "v0" in name]


async def test_a_damaged_file_in_the_trash_is_not_brought_back(
    directory, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, make_payloads(1))
        (aside,) = await put_aside(driver)
        (directory / "trash" / RUN / aside.key.sha256).write_bytes(b"something else")
        await driver.store(store_context, make_payloads(1))
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(1)


async def test_folders_that_are_empty_are_removed_and_made_again(
    directory, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(2))
        one, other = await put_aside(driver)
        await driver.delete([one])
        assert [path.name for path in (directory / "trash" / RUN).iterdir()] == [other.key.sha256]
        await driver.delete([other])
        assert not list((directory / "v0").iterdir())
        assert [path.name for path in (directory / "trash").iterdir()] == ["lock"]
        claims = await driver.store(store_context, make_payloads(2))
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(2)


async def test_collectors_take_turns(directory, open_driver, store_context, make_payloads):
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
        aside = await put_aside(driver)
        with (directory / "trash/lock").open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            deleting = asyncio.create_task(driver.delete(aside))
            assert not (await asyncio.wait([deleting], timeout=0.2))[0]
            assert await driver.store(store_context, make_payloads(1))  # writers wait for nobody
        assert await deleting == ["changed"]


async def test_a_file_system_without_locks_is_not_collected(
    directory, open_driver, store_context, make_payloads, monkeypatch
):
    def no_lock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_lock)
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
        with pytest.raises(StorageMisconfiguredError, match="locks"):
            await driver.probe()
        assert [one.aside for one in await listed(driver)] == [False]


async def test_what_no_driver_wrote_is_counted_and_left_alone(
    directory, open_driver, store_context, make_payloads
):
    async with open_driver(directory) as driver:
        (claim,) = await driver.store(store_context, make_payloads(1))
        sha256 = claim.claim_data["hash_value"]
        run = directory / RUN
        (run / "notes.txt").write_text("mine")
        (run / "a folder").mkdir()
        (run / "a folder" / sha256).write_text("mine")
        (directory / "v0/ns=default" / sha256.upper()).symlink_to(run / sha256)
        (directory / "v0/ns=default/WT=order").symlink_to(run)
        (page,) = [page async for page in driver.list_payloads(*driver.shards(["default"])) if page.payloads]
        assert [one.claim for one in page.payloads] == [claim]
        assert page.others == 4


async def test_more_files_than_a_page_has_are_listed(directory, open_driver, store_context, make_payloads):
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, make_payloads(1))
        (run,) = (directory / RUN).iterdir()
        for number in range(2500):
            os.link(run, run.with_name(f"{number:064x}"))
        pages = [page async for page in driver.list_payloads(*driver.shards(["default"]))]
        found = {one.key.sha256 for page in pages for one in page.payloads}
        assert found == {f"{number:064x}" for number in range(2500)} | {claims[0].claim_data["hash_value"]}
        assert max(len(page.payloads) for page in pages) == 1000


async def test_a_listing_that_is_given_up_leaves_no_folder_open(
    directory, open_driver, store_context, make_payloads
):
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
        (run,) = (directory / RUN).iterdir()
        for number in range(1500):
            os.link(run, run.with_name(f"{number:064x}"))
        before = open_files()
        pages = driver.list_payloads(*driver.shards(["default"]))
        assert len((await anext(pages)).payloads) == 1000
        assert open_files() > before
        await pages.aclose()
        assert open_files() == before


async def test_a_namespace_s_part_has_nothing_of_another(
    directory, open_driver, store_context, make_payloads
):
    names = ["a", "A", "a%", "ns=a", "null", "x" * 200, "x" * 201, None]
    async with open_driver(directory) as driver:
        for namespace in names:
            target = namespace and replace(store_context.target, namespace=namespace)
            await driver.store(StorageDriverStoreContext(target=target or None), make_payloads(3))
        for namespace in names:
            found = await listed(driver, namespace)
            assert [one.key.namespace for one in found] == [namespace] * 3
        assert len(await listed(driver, *names, *names)) == 3 * len(names)


async def test_a_forged_listing_leads_nowhere(directory, open_driver, store_context, make_payloads):
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
        (aside,) = await put_aside(driver)
        claim = StorageDriverClaim(
            claim_data={**aside.claim.claim_data, "key": f"v0/../../d/sha256/{aside.key.sha256}"}
        )
        for change in (driver.delete, driver.restore):
            with pytest.raises(ClaimRejectedError):
                await change([replace(aside, claim=claim)])


async def test_a_link_in_the_trash_is_not_followed(
    directory, tmp_path, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, make_payloads(1))
        elsewhere = tmp_path / "elsewhere"
        (directory / "v0").rename(elsewhere)
        (directory / "trash").mkdir()
        (directory / "trash/v0").symlink_to(elsewhere)
        with pytest.raises(StorageMisconfiguredError, match="holds a link"):
            await driver.retrieve(retrieve_context, claims)


async def test_a_store_that_is_mounted_read_only_can_be_listed(
    directory, mount, open_driver, store_context, make_payloads
):
    mount(directory)
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(2))
        mount(directory, "remount", "ro")
        assert len(await listed(driver)) == 2


async def test_files_of_a_collector_have_names_that_any_file_system_takes(directory, open_driver):
    async with open_driver(directory) as driver:
        state = driver.state()
        names = ["A/b", "a/b", "a", "..", ".", "marks/orders/3f"]
        for name in names:
            await state.write(name, name.encode())
        assert await state.names("") == sorted(names)
        for name in names:
            assert await state.read(name) == name.encode()
        kept = [path.name for path in (directory / "state").iterdir()]
        assert len({name.lower() for name in kept}) == len(names)
        assert await listed(driver) == []


@pytest.fixture
def a_users_store(public, as_nobody):
    """A store that belongs to a user without rights; root is not that user."""
    with as_nobody():
        pass  # skips where the tests do not run as root
    directory = public / "payloads"
    directory.mkdir(0o700)
    os.chown(directory, 65534, 65534)
    return directory


async def test_what_root_puts_aside_stays_open_to_the_user_who_stored_it(
    a_users_store, as_nobody, open_driver, store_context, retrieve_context, make_payloads
):
    with as_nobody():
        async with open_driver(a_users_store) as worker:
            claims = await worker.store(store_context, make_payloads(3))
    async with open_driver(a_users_store) as collector:
        await collector.probe()
        aside = await put_aside(collector)
        assert await collector.restore(aside[:1]) == ["done"]
    assert {path.stat().st_uid for path in a_users_store.rglob("*")} == {65534}
    with as_nobody():
        async with open_driver(a_users_store) as worker:
            assert await worker.retrieve(retrieve_context, claims) == make_payloads(3)
            await worker.store(store_context, make_payloads(4))
            assert not any(one.aside for one in await listed(worker))


async def test_a_writer_to_whom_the_trash_is_closed_writes_anew(
    a_users_store, as_nobody, open_driver, store_context, retrieve_context, make_payloads
):
    with as_nobody():
        async with open_driver(a_users_store) as worker:
            await worker.store(store_context, make_payloads(2))
    async with open_driver(a_users_store) as collector:
        aside = await put_aside(collector)
        os.chown(a_users_store / "trash", 0, 0)
        with as_nobody():
            async with open_driver(a_users_store) as worker:
                claims = await worker.store(store_context, make_payloads(3))
        assert await collector.delete(aside) == ["changed", "changed"]
        assert await collector.retrieve(retrieve_context, claims) == make_payloads(3)


@pytest.mark.parametrize("collector_is", ["another user", "a root that may give nothing away"])
async def test_who_would_close_the_trash_to_the_users_of_the_store_collects_nothing(
    collector_is, a_users_store, as_nobody, open_driver, store_context, make_payloads, monkeypatch
):
    with as_nobody():
        async with open_driver(a_users_store) as worker:
            await worker.store(store_context, make_payloads(1))

    def may_not(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    if collector_is == "another user":  # with the right to enter, which only root can give
        monkeypatch.setattr(os, "geteuid", lambda: 65533)
    else:
        monkeypatch.setattr(os, "fchown", may_not)
    before = sorted(a_users_store.rglob("*"))
    async with open_driver(a_users_store) as collector:
        found = await listed(collector)
        for collecting in (collector.probe(), collector.put_aside(found, grace=GRACE)):
            with pytest.raises(StorageMisconfiguredError, match="collect as user 65534"):
                await collecting
    assert sorted(a_users_store.rglob("*")) == before


async def test_a_file_that_may_not_be_removed_is_refused_and_the_others_are_deleted(
    a_users_store, as_nobody, open_driver, store_context, make_payloads
):
    another = StorageDriverStoreContext(target=replace(store_context.target, id="order-2"))
    with as_nobody():
        async with open_driver(a_users_store) as driver:
            await driver.store(store_context, make_payloads(3))
            await driver.store(another, make_payloads(1))
            aside = await put_aside(driver)
    closed = a_users_store / "trash" / RUN.replace("order-1", "order-2")
    os.chown(closed, 0, 0)
    closed.chmod(0o755)
    with as_nobody():
        async with open_driver(a_users_store) as driver:
            for expected in (["done"] * 3 + ["refused"], ["refused"]):
                assert sorted(await driver.delete(aside)) == expected
                aside = await listed(driver)
                assert [(one.key.id, one.aside) for one in aside] == [("order-2", True)]
