"""What the driver writes and reads, whatever else goes on in the directory meanwhile."""

import asyncio
import errno
import gc
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from temporal_payloads.plugin import StorageUnavailableError
from temporal_payloads_filesystem import FilesystemStorageDriver, _files, _folders
from temporal_payloads_filesystem._files import Files

FORKED = Path(__file__).with_name("forked.py")


def files_in(directory):
    return sorted(path for path in (directory / "v0").rglob("*") if path.is_file())


async def test_a_file_holds_the_serialized_payload(directory, open_driver, store_context, make_payloads):
    (payload,) = make_payloads(1)
    async with open_driver(directory) as driver:
        (claim,) = await driver.store(store_context, [payload])
    (file,) = files_in(directory)
    assert file.read_bytes() == payload.SerializeToString(deterministic=True)
    sha256 = claim.claim_data["hash_value"]
    assert file.relative_to(directory) == Path(f"v0/ns=default/wt=order/wi=order-1/ri=run-1/{sha256}")
    assert claim.claim_data == {
        "key": f"v0/ns/default/wt/order/wi/order-1/ri/run-1/d/sha256/{sha256}",
        "hash_algorithm": "sha256",
        "hash_value": sha256,
    }


async def test_equal_payloads_are_written_once(directory, open_driver, store_context, make_payloads):
    async with open_driver(directory) as driver:
        first = await driver.store(store_context, make_payloads(1) * 3)
        (file,) = files_in(directory)
        before = file.stat().st_ino
        assert await driver.store(store_context, make_payloads(1) * 3) == first
    assert files_in(directory) == [file]
    assert file.stat().st_ino == before


async def test_nothing_to_store_or_retrieve_is_no_error(
    directory, open_driver, store_context, retrieve_context
):
    async with open_driver(directory) as driver:
        assert await driver.store(store_context, []) == []
        assert await driver.retrieve(retrieve_context, []) == []


async def test_large_payloads_come_back_as_they_were(
    directory, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(3, size=30_000_000)
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_several_drivers_store_the_same_at_once(
    directory, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(50)

    async def one():
        async with open_driver(directory) as driver:
            claims = await driver.store(store_context, payloads)
            assert await driver.retrieve(retrieve_context, claims) == payloads

    await asyncio.gather(*(one() for _ in range(6)))
    assert len(files_in(directory)) == 50
    assert list((directory / "tmp").iterdir()) == []


def test_several_processes_store_the_same_at_once_with_a_driver_from_before_a_fork(directory):
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(FORKED), str(directory)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert len(files_in(directory)) == 40


# -- on disk


async def test_a_payload_is_on_disk_before_it_has_its_name_and_its_folders_before_it_is_stored(
    directory, open_driver, store_context, make_payloads, monkeypatch
):
    flushed: list[int | str] = []
    link, fsync = os.link, os.fsync

    def note_flush(descriptor):
        flushed.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def note_link(source, *arguments, src_dir_fd, **options):
        assert os.stat(source, dir_fd=src_dir_fd).st_ino in flushed
        link(source, *arguments, src_dir_fd=src_dir_fd, **options)
        flushed.append("linked")

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(os, "link", note_link)
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
        (file,) = files_in(directory)
        folders = [folder.stat().st_ino for folder in file.parents[:6]]
        assert folders[-1] == directory.stat().st_ino
        assert set(flushed[flushed.index("linked") :]) == {"linked", *folders}
        # Folders that are known to be on disk are not flushed again, but for that of a new file.
        flushed.clear()
        await driver.store(store_context, make_payloads(2)[1:])
        assert flushed[flushed.index("linked") + 1 :] == folders[:1]
        # One that was removed and made again is new.
        file.parent.rename(directory / "elsewhere")
        flushed.clear()
        await driver.store(store_context, make_payloads(1))
        assert flushed[-1] == folders[1]
        # What another process has put there a moment ago may not be on disk yet.
        flushed.clear()
        await driver.store(store_context, make_payloads(1))
        assert flushed == [file.parent.stat().st_ino]


# -- beside a collector, which takes away what has not been touched for long


def touched(path):
    return path.stat().st_mtime_ns


async def test_storing_what_is_there_touches_it(directory, open_driver, store_context, make_payloads):
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
        (file,) = files_in(directory)
        os.utime(file, (0, 0))
        await driver.store(store_context, make_payloads(1))
    assert touched(file) > 0


@pytest.mark.parametrize("moment", ["before it is touched", "after it is touched"])
async def test_what_a_collector_takes_away_meanwhile_is_written_again(
    moment, directory, open_driver, store_context, retrieve_context, make_payloads, monkeypatch
):
    touch = os.utime
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, make_payloads(1))
        (file,) = files_in(directory)

        def touch_and_lose(*arguments, **options):
            monkeypatch.setattr(os, "utime", touch)
            if moment == "before it is touched":
                file.rename(directory / "elsewhere")
            touch(*arguments, **options)
            file.rename(directory / "elsewhere")

        monkeypatch.setattr(os, "utime", touch_and_lose)
        assert await driver.store(store_context, make_payloads(1)) == claims
        assert (directory / "elsewhere").exists()
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(1)


async def test_a_folder_that_a_collector_removes_meanwhile_is_made_again(
    directory, open_driver, store_context, retrieve_context, make_payloads, monkeypatch
):
    link = os.link
    lost: list[Path] = []

    def lose_folder(*arguments, **options):
        if len(lost) < 3:
            folder = directory / "v0/ns=default/wt=order/wi=order-1/ri=run-1"
            folder.rmdir()
            lost.append(folder)
        link(*arguments, **options)

    monkeypatch.setattr(os, "link", lose_folder)
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, make_payloads(1))
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(1)
    assert len(lost) == 3


async def test_a_temporary_file_that_was_taken_for_a_left_over_is_written_again(
    directory, open_driver, store_context, retrieve_context, make_payloads, monkeypatch
):
    link = os.link

    def lose_temporary(source, *arguments, src_dir_fd, **options):
        monkeypatch.setattr(os, "link", link)
        os.unlink(source, dir_fd=src_dir_fd)
        link(source, *arguments, src_dir_fd=src_dir_fd, **options)

    monkeypatch.setattr(os, "link", lose_temporary)
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, make_payloads(1))
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(1)


async def test_a_file_that_is_taken_away_each_time_is_told(
    directory, open_driver, store_context, make_payloads, monkeypatch
):
    link = os.link

    def lose_temporary(source, *arguments, src_dir_fd, **options):
        os.unlink(source, dir_fd=src_dir_fd)
        link(source, *arguments, src_dir_fd=src_dir_fd, **options)

    monkeypatch.setattr(os, "link", lose_temporary)
    async with open_driver(directory) as driver:
        with pytest.raises(StorageUnavailableError, match="see what removes files there"):
            await driver.store(store_context, make_payloads(1))


# -- file systems that lack something


@pytest.mark.parametrize("said", [errno.EPERM, errno.EOPNOTSUPP])
async def test_where_there_are_no_links_files_are_renamed(
    said, directory, open_driver, store_context, retrieve_context, make_payloads, monkeypatch
):
    def no_link(*_, **__):
        raise OSError(said, os.strerror(said))

    monkeypatch.setattr(os, "link", no_link)
    async with open_driver(directory) as driver:
        await driver.check()
        claims = await driver.store(store_context, make_payloads(3))
        assert await driver.store(store_context, make_payloads(3)) == claims
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(3)
    assert list((directory / "tmp").iterdir()) == []


async def test_where_folders_cannot_be_flushed_files_are(
    directory, open_driver, store_context, make_payloads, monkeypatch
):
    fsync = os.fsync
    flushed = []

    def flush(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        flushed.append(descriptor)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flush)
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
    assert flushed


async def test_a_disk_that_fails_while_it_is_flushed_stores_nothing(
    directory, open_driver, store_context, make_payloads, monkeypatch
):
    async with open_driver(directory) as driver:
        await driver.check()

        def fail(_):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(StorageUnavailableError, match=r"disk fails.*EIO"):
            await driver.store(store_context, make_payloads(1))
    assert files_in(directory) == []
    assert list((directory / "tmp").iterdir()) == []


# -- threads


async def test_a_call_that_is_cancelled_does_not_wait_for_a_lost_mount_but_closing_does(
    directory, open_driver, store_context, retrieve_context, make_payloads, monkeypatch
):
    begun, answer = threading.Event(), threading.Event()

    def hang(*_):
        begun.set()
        assert answer.wait(60)
        return [None]

    async with open_driver(directory) as driver:
        (claim,) = await driver.store(store_context, make_payloads(1))
        monkeypatch.setattr(Files, "read", hang)
        call = asyncio.create_task(driver.retrieve(retrieve_context, [claim]))
        await asyncio.to_thread(begun.wait, 60)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        closing = asyncio.create_task(driver.aclose())
        await asyncio.sleep(0)
        assert not closing.done()
        answer.set()
        await closing
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("filesystem")]


async def test_no_more_threads_wait_for_the_disk_than_storage_concurrency_allows(
    directory, store_context, make_payloads, monkeypatch
):
    at_once, most = 0, 0
    write = Files.write

    def count(self, items):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        write(self, items)
        at_once -= 1

    monkeypatch.setattr(Files, "write", count)
    driver = FilesystemStorageDriver(directory, create=True, threads=3)
    await asyncio.gather(*(driver.store(store_context, make_payloads(20, size)) for size in range(20, 30)))
    await driver.aclose()
    assert 1 < most <= 3


@pytest.mark.parametrize("arguments", [{"threads": 0}, {"max_payload_size": 0}])
def test_arguments_that_make_no_sense_are_refused(arguments, directory):
    with pytest.raises(ValueError, match="greater than"):
        FilesystemStorageDriver(directory, **arguments)


@pytest.mark.parametrize("size", [20, 3_000_000])
async def test_a_file_that_was_damaged_is_mended_when_its_payload_is_stored_again(
    directory, open_driver, store_context, retrieve_context, make_payloads, size
):
    payloads = make_payloads(1, size=size)
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, payloads)
        (file,) = files_in(directory)
        file.write_bytes(file.read_bytes()[:-1] + b"!")
        await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_folders_that_another_writer_has_made_anew_are_flushed_anew(
    directory, monkeypatch, open_driver, store_context, make_payloads
):
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
        (file,) = files_in(directory)
        old = file.parents[1]
        old.rename(directory / "old")  # so that no inode is used twice
        file.parent.mkdir(parents=True)
        flushed = set()
        flush = _folders.flush

        def recorded(descriptor):
            flushed.add(os.fstat(descriptor).st_ino)
            flush(descriptor)

        monkeypatch.setattr(_folders, "flush", recorded)
        await driver.store(store_context, make_payloads(1))
    assert {folder.stat().st_ino for folder in (file.parent, old, old.parent)} <= flushed


async def test_payloads_of_a_call_that_was_given_up_are_not_kept_while_the_disk_does_not_answer(
    directory, monkeypatch
):
    answers = threading.Event()
    flush = _folders.flush
    monkeypatch.setattr(_files, "flush", lambda file: answers.wait() and flush(file))
    driver = FilesystemStorageDriver(directory, create=True, threads=1)
    held = []

    class Data(bytearray):
        pass

    async def store(number):
        data: Any = Data(b"x")
        held.append(ref(data))
        async with asyncio.timeout(0.05):
            await driver.write({f"v0/d/sha256/{number:064x}": data})

    try:
        for number in range(12):
            with pytest.raises(TimeoutError):
                await store(number)
        gc.collect()
        assert sum(data() is not None for data in held) <= 3  # the thread's own, the last call's
    finally:
        answers.set()
        await driver.aclose()


async def test_a_folder_among_the_temporary_files_is_left_alone(
    directory, open_driver, store_context, make_payloads
):
    async with open_driver(directory) as driver:
        await driver.check()
    (directory / "tmp" / "theirs").mkdir()
    os.utime(directory / "tmp" / "theirs", (1, 1))
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
    assert (directory / "tmp" / "theirs").is_dir()
