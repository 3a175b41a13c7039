"""The collector's files in a local directory (`gc.state`), and what is said where it cannot be used."""

import os

import pytest
from temporal_payloads._operate.collection.state import DirectoryState
from temporal_payloads.plugin import StorageUnavailableError


async def test_files_are_read_as_they_were_written(directory_state):
    assert await directory_state.read("kept/a/b") is None
    await directory_state.write("kept/a/b", b"data")
    await directory_state.write("kept/c", b"")
    assert await directory_state.read("kept/a/b") == b"data"
    assert await directory_state.names("kept/") == ["kept/a/b", "kept/c"]
    await directory_state.remove("kept/a/b")
    await directory_state.remove("kept/a/b")
    assert await directory_state.names("") == ["kept/c"]


@pytest.mark.parametrize(
    ("operation", "done"),
    [
        (lambda state: state.read("a/b"), "read"),
        (lambda state: state.write("a/b", b"data"), "written"),
        (lambda state: state.remove("a/b"), "removed"),
    ],
)
async def test_a_directory_that_cannot_be_used_is_named_with_its_setting(tmp_path, operation, done):
    (tmp_path / "a").write_bytes(b"a file where a folder is to be")
    with pytest.raises(StorageUnavailableError) as raised:
        await operation(DirectoryState(tmp_path))
    assert f"cannot be {done} in {tmp_path} (gc.state)" in raised.value.message


async def test_a_folder_that_cannot_be_listed_is_told_and_not_taken_for_empty(directory_state, monkeypatch):
    await directory_state.write("kept/a/b", b"data")
    assert await directory_state.names("never/") == []
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("kept/a"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(StorageUnavailableError, match="cannot be listed"):
        await directory_state.names("kept/")


async def test_a_write_that_fails_leaves_the_file_as_it_was(directory_state, monkeypatch):
    await directory_state.write("a", b"before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageUnavailableError, match="No space left on device"):
        await directory_state.write("a", b"after")
    assert await directory_state.read("a") == b"before"
    assert await directory_state.names("") == ["a"]
