"""What is told when a disk is full, closed, read-only, or lost."""

import errno
import os
import resource
import shutil
from pathlib import Path

import pytest
from temporal_payloads.plugin import (
    PayloadIntegrityError,
    PayloadNotFoundError,
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)
from temporal_payloads_filesystem._errors import OTHERWISE, RULES, Origin, explain

PLACE = "storage.drivers.filesystem"


async def test_a_full_disk_is_told_and_what_is_stored_can_be_read(
    directory, mount, open_driver, store_context, retrieve_context, make_payloads
):
    small, large = make_payloads(2), make_payloads(1, size=3_000_000)
    mount(directory)
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, small)
        with pytest.raises(StorageUnavailableError, match=r"is full.*ENOSPC") as caught:
            await driver.store(store_context, large)
        assert f"{str(directory)!r} ({PLACE}.path)" in str(caught.value)
        assert await driver.retrieve(retrieve_context, claims) == small
        # What could not be written whole takes no room.
        assert list((directory / "tmp").iterdir()) == []
        await driver.store(store_context, make_payloads(3))
        mount(directory, "remount", "size=8m")
        claims = await driver.store(store_context, large)
        assert await driver.retrieve(retrieve_context, claims) == large


async def test_a_disk_without_room_for_more_files_is_told(
    directory, mount, open_driver, store_context, make_payloads
):
    mount(directory, "nr_inodes=12")
    async with open_driver(directory) as driver:
        with pytest.raises(StorageUnavailableError, match=r"df -i.*ENOSPC"):
            await driver.store(store_context, make_payloads(20))


async def test_a_read_only_mount_can_be_read_and_not_stored_in(
    directory, mount, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(3)
    mount(directory)
    async with open_driver(directory) as driver:
        claims = await driver.store(store_context, payloads)
    mount(directory, "remount", "ro")
    async with open_driver(directory) as driver:
        await driver.check()
        assert await driver.retrieve(retrieve_context, claims) == payloads
        with pytest.raises(StorageUnavailableError, match="mounted read-only"):
            await driver.store(store_context, make_payloads(5))


async def test_a_user_without_rights_is_told_whom_the_store_is_closed_to(
    public, as_nobody, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(public / "payloads") as driver:
        claims = await driver.store(store_context, make_payloads(1))
        with as_nobody():
            for action in (
                driver.check(),
                driver.store(store_context, make_payloads(2)),
                driver.retrieve(retrieve_context, claims),
            ):
                with pytest.raises(StoragePermissionError, match=r"closed to user 65534.*EACCES") as caught:
                    await action
                assert f'{PLACE}.mode = "0660"' in str(caught.value)


async def test_by_default_nobody_else_can_look_into_the_store(
    directory, open_driver, store_context, make_payloads
):
    shutil.rmtree(directory)
    async with open_driver(directory) as driver:
        await driver.store(store_context, make_payloads(1))
    for path in (directory, *directory.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


async def test_with_a_mode_the_users_of_a_group_share_the_store_whatever_their_umask(
    public, as_nobody, open_driver, store_context, retrieve_context, make_payloads
):
    before = os.umask(0o077)
    try:
        async with open_driver(public / "payloads", mode="0660") as driver:
            claims = await driver.store(store_context, make_payloads(2))
            for path in (public / "payloads").rglob("*"):
                assert path.stat().st_mode & 0o777 == (0o770 if path.is_dir() else 0o660), path
            with as_nobody():  # who is still in root's group
                assert await driver.retrieve(retrieve_context, claims) == make_payloads(2)
                assert (await driver.store(store_context, make_payloads(4)))[:2] == claims
                await driver.check()
    finally:
        os.umask(before)


async def test_too_many_open_files_are_told(directory, open_driver, store_context, make_payloads):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with open_driver(directory) as driver:
        await driver.check()
        free = os.dup(0)  # the lowest number that is: whatever is open above it does not count
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, hard))
        try:
            with pytest.raises(StorageUnavailableError, match=r"too many files open.*ulimit -n"):
                await driver.store(store_context, make_payloads(1))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await driver.store(store_context, make_payloads(1))


@pytest.fixture
async def stored(directory, open_driver, store_context, make_payloads):
    """A driver with one payload: its claim, and its file."""
    async with open_driver(directory) as driver:
        (claim,) = await driver.store(store_context, make_payloads(1))
        (file,) = directory.glob("v0/*/*/*/*/*")
        yield driver, claim, file


async def test_a_link_in_place_of_a_payload_is_not_followed(
    stored, tmp_path, store_context, retrieve_context, make_payloads
):
    driver, claim, file = stored
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    for action in (driver.retrieve(retrieve_context, [claim]), driver.store(store_context, make_payloads(1))):
        with pytest.raises(StorageMisconfiguredError, match=r"holds a link.*links are never followed"):
            await action
    file.unlink()
    file.symlink_to(tmp_path / "nowhere")
    with pytest.raises(StorageMisconfiguredError, match="holds a link"):
        await driver.store(store_context, make_payloads(1))
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("depth", range(5))
async def test_a_link_in_place_of_a_folder_is_not_followed(
    depth, stored, tmp_path, store_context, retrieve_context, make_payloads
):
    driver, claim, file = stored
    folder = file.parents[depth]
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    for action in (driver.retrieve(retrieve_context, [claim]), driver.store(store_context, make_payloads(2))):
        with pytest.raises(StorageMisconfiguredError, match=r"find .* -type l"):
            await action
    assert len([path for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()]) == 1


async def test_a_pipe_in_place_of_a_payload_is_not_waited_for(stored, retrieve_context):
    driver, claim, file = stored
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(StorageMisconfiguredError):
        await driver.retrieve(retrieve_context, [claim])


async def test_a_payload_that_is_gone_is_told(stored, retrieve_context):
    driver, claim, file = stored
    file.unlink()
    with pytest.raises(PayloadNotFoundError):
        await driver.retrieve(retrieve_context, [claim])
    file.parent.rmdir()
    with pytest.raises(PayloadNotFoundError):
        await driver.retrieve(retrieve_context, [claim])


async def test_a_payload_that_was_changed_is_told(stored, retrieve_context):
    driver, claim, file = stored
    file.write_bytes(b"x" + file.read_bytes()[1:])
    with pytest.raises(PayloadIntegrityError):
        await driver.retrieve(retrieve_context, [claim])


async def test_a_payload_that_was_cut_short_is_told_and_storing_it_again_mends_it(
    stored, store_context, retrieve_context, make_payloads
):
    driver, claim, file = stored
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(PayloadIntegrityError):
        await driver.retrieve(retrieve_context, [claim])
    assert await driver.store(store_context, make_payloads(1)) == [claim]
    assert await driver.retrieve(retrieve_context, [claim]) == make_payloads(1)


def test_every_error_of_the_system_names_the_directory_the_setting_and_what_the_system_said():
    origin = Origin(Path("/mnt/payloads"), PLACE)
    for number, name in errno.errorcode.items():
        error = explain(OSError(number, os.strerror(number), "a file"), origin)
        assert isinstance(error, StorageError)
        assert error.message.startswith(f"The directory '/mnt/payloads' ({PLACE}.path) ")
        assert f"The system said {name}" in error.message
        assert "{" not in error.message


def test_every_rule_is_for_errors_that_there_are():
    assert {name for rule in RULES for name in rule.names} <= set(errno.errorcode.values())


@pytest.mark.parametrize("name", ["ESTALE", "EIO", "ENOTCONN", "ENODEV", "ETIMEDOUT", "EHOSTDOWN"])
def test_a_lost_mount_makes_the_store_unavailable(name):
    error = explain(OSError(getattr(errno, name), ""), Origin(Path("/mnt/payloads")))
    assert isinstance(error, StorageUnavailableError)
    assert OTHERWISE.sentence[:40] in str(error)
    assert "(the driver's path)" in str(error)


@pytest.mark.parametrize(
    ("name", "said"),
    [("EDQUOT", "quota"), ("EXDEV", "several file systems"), ("EFBIG", "max_payload_size")],
)
def test_what_takes_a_special_file_system_is_told_too(name, said):
    assert said in str(explain(OSError(getattr(errno, name), ""), Origin(Path("/p"), PLACE)))
