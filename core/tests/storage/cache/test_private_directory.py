"""The disk cache where other users are: what it follows, trusts, reads and deletes."""

import asyncio
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from temporal_payloads._storage.cache import disk, private_directory
from temporal_payloads._storage.cache.disk import FORMAT, DiskCache
from temporal_payloads._storage.cache.memory import CacheKey
from temporal_payloads._storage.cache.private_directory import PrivateDirectory

KEY: CacheKey = ("store", "ns", "a" * 64)
MEBIBYTE = 1024 * 1024
SOMEBODY_ELSE = 65534

Wait = Callable[[DiskCache], None]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory that the cache has no business in, with files that are called as its own are."""
    directory = tmp_path / "victim"
    directory.mkdir(mode=0o700)
    for name in ("letters.txt", f"{'0' * 64}.payload", f"{'0' * 32}.unfinished"):
        (directory / name).write_bytes(b"x" * MEBIBYTE)
        os.utime(directory / name, (0, 0))
    return directory


def fill(cache: DiskCache, written: Wait) -> None:
    """Write so much that the cache has to make room, over and over."""
    for n in range(40):
        cache.put(("store", "ns", f"{n:064}"), b"x" * 60_000)
    written(cache)


def untouched(victim: Path) -> bool:
    return len(list(victim.iterdir())) == 3


async def works_without(cache: DiskCache, written: Wait) -> bool:
    """Tell whether nothing is kept, and nothing fails for it."""
    fill(cache, written)
    return await cache.get([KEY]) == {} and cache.statistics.entries == 0


# -- the way to the directory


@as_root
@pytest.mark.parametrize("place", ["cache", f"cache/{FORMAT}"])
async def test_a_link_that_another_user_has_put_there_is_not_followed(
    place: str, tmp_path: Path, victim: Path, written: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    link = shared / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(victim)
    os.lchown(link, SOMEBODY_ELSE, SOMEBODY_ELSE)
    assert await works_without(DiskCache(shared / "cache", MEBIBYTE), written)
    assert untouched(victim)
    assert caplog.text.count("cannot be written") == caplog.text.count("cannot be read") == 1
    assert "is a link of another user" in caplog.text


@as_root
@pytest.mark.parametrize("place", ["", "cache", f"cache/{FORMAT}"])
async def test_a_directory_of_another_user_is_not_used_whatever_its_mode(
    place: str, tmp_path: Path, written: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    shared = tmp_path / "shared"
    (shared / place).mkdir(parents=True, mode=0o700)
    os.chown(shared / place, SOMEBODY_ELSE, SOMEBODY_ELSE)
    assert await works_without(DiskCache(shared / "cache", MEBIBYTE), written)
    assert f"{shared / place} belongs to another user" in caplog.text


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o707])
async def test_below_a_directory_that_others_may_change_nothing_is_kept(
    mode: int, tmp_path: Path, written: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    assert await works_without(DiskCache(shared / "cache", MEBIBYTE), written)
    assert f"other users may change {shared}" in caplog.text
    assert "chmod go-w" in caplog.text
    assert list(shared.iterdir()) == []


def test_in_a_sticky_directory_a_directory_of_our_own_will_do(tmp_path: Path, written: Wait) -> None:
    tmp_path.chmod(0o1777)
    cache = DiskCache(tmp_path / "cache", MEBIBYTE)
    cache.put(KEY, b"payload")
    written(cache)
    assert asyncio.run(cache.get([KEY])) == {KEY: b"payload"}


async def test_a_link_of_our_own_is_followed(tmp_path: Path, written: Wait) -> None:
    (tmp_path / "disk" / "large").mkdir(parents=True)
    (tmp_path / "absolute").symlink_to(tmp_path / "disk")
    (tmp_path / "relative").symlink_to("./disk/../absolute/large")
    cache = DiskCache(tmp_path / "relative", MEBIBYTE)
    cache.put(KEY, b"payload")
    written(cache)
    assert await cache.get([KEY]) == {KEY: b"payload"}
    assert len(list((tmp_path / "disk" / "large" / FORMAT).iterdir())) == 1


async def test_a_link_that_leads_to_itself_is_told(
    tmp_path: Path, written: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").symlink_to("cache")
    assert await works_without(DiskCache(tmp_path / "cache", MEBIBYTE), written)
    assert "Too many levels of symbolic links" in caplog.text


@pytest.mark.parametrize("how", ["link", "directory"])
def test_what_is_put_in_the_place_of_the_directory_later_is_not_used(
    how: str, tmp_path: Path, victim: Path, written: Wait
) -> None:
    cache = DiskCache(tmp_path / "cache", MEBIBYTE)
    cache.put(KEY, b"payload")
    written(cache)
    (tmp_path / "cache").rename(tmp_path / "moved")
    if how == "link":
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / FORMAT).symlink_to(victim)
    else:
        (tmp_path / "cache").symlink_to(tmp_path)
        victim.rename(tmp_path / FORMAT)
        victim = tmp_path / FORMAT
    fill(cache, written)
    assert untouched(victim)
    assert len(list((tmp_path / "moved" / FORMAT).iterdir())) > 5


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_whatever_the_umask_what_is_made_is_for_this_user_alone(
    umask: int, tmp_path: Path, written: Wait
) -> None:
    before = os.umask(umask)
    try:
        cache = DiskCache(tmp_path / "made" / "cache", MEBIBYTE)
        cache.put(KEY, b"payload")
        written(cache)
    finally:
        os.umask(before)
    made = [tmp_path / "made", tmp_path / "made" / "cache", tmp_path / "made" / "cache" / FORMAT]
    assert {stat.S_IMODE(directory.stat().st_mode) for directory in made} == {0o700}
    assert [stat.S_IMODE(file.stat().st_mode) for file in made[-1].iterdir()] == [0o600]


VOLUME = """
mount -t tmpfs -o mode=0777 none "$1" || exit 77
exec "$2" -c '
import sys
from pathlib import Path
from temporal_payloads._storage.cache.private_directory import PrivateDirectory

PrivateDirectory(Path(sys.argv[1]) / "cache")
Path(sys.argv[1], "below").mkdir()
Path(sys.argv[1], "below").chmod(0o777)
try:
    PrivateDirectory(Path(sys.argv[1]) / "below" / "cache")
except PermissionError:
    print("refused")
' "$1"
"""


def test_a_volume_of_a_container_may_have_the_mode_that_kubernetes_gives_it(tmp_path: Path) -> None:
    command = ["unshare", "--mount", "sh", "-c", VOLUME, "sh", str(tmp_path), sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and ("unshare" in done.stderr or done.returncode == 77):
        pytest.skip("this user may not mount anything")
    assert (done.stdout, done.stderr) == ("refused\n", "")


async def test_a_directory_that_is_deleted_is_made_again(
    tmp_path: Path, written: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "PAUSE_SECONDS", 0.0)
    cache = DiskCache(tmp_path / "cache", MEBIBYTE)
    cache.put(KEY, b"payload")
    written(cache)
    shutil.rmtree(tmp_path / "cache")
    for _ in range(2):  # the first time shows that it is gone
        cache.put(KEY, b"payload")
        written(cache)
    assert await cache.get([KEY]) == {KEY: b"payload"}


async def test_a_system_that_cannot_do_without_links_gets_no_cache_and_one_sentence(
    tmp_path: Path, written: Wait, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(private_directory, "SUPPORTED", False)
    assert await works_without(DiskCache(tmp_path, MEBIBYTE), written)
    assert caplog.text.count("this system cannot open a directory without following links") == 2
    assert not os.listdir(tmp_path)  # noqa: PTH208  # the other way may not be used in a coroutine


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = opened()
    directory = PrivateDirectory(tmp_path / "cache")
    with pytest.raises(FileNotFoundError):
        directory.open("missing")
    assert list(directory.files()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        PrivateDirectory(tmp_path / "file" / "cache")
    del directory
    assert opened() == before


# -- the entries


def as_link(entry: Path, other: Path) -> None:
    entry.rename(other)
    entry.symlink_to(other)


def as_hard_link(entry: Path, other: Path) -> None:
    other.hardlink_to(entry)


def as_pipe(entry: Path, other: Path) -> None:
    entry.rename(other)
    os.mkfifo(entry)


def as_directory(entry: Path, other: Path) -> None:
    entry.rename(other)
    entry.mkdir()


def writable_to_others(entry: Path, other: Path) -> None:
    del other
    entry.chmod(0o620)


def of_another_user(entry: Path, other: Path) -> None:
    del other
    os.chown(entry, SOMEBODY_ELSE, SOMEBODY_ELSE)


@pytest.mark.parametrize(
    "make",
    [
        as_link,
        as_hard_link,
        as_pipe,
        as_directory,
        writable_to_others,
        pytest.param(of_another_user, marks=as_root),
    ],
)
async def test_an_entry_that_somebody_else_could_change_is_not_read_and_the_directory_left_alone(
    make: Callable[[Path, Path], None],
    tmp_path: Path,
    written: Wait,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = DiskCache(tmp_path / "cache", MEBIBYTE)
    cache.put(KEY, b"payload")
    written(cache)
    entry = tmp_path / "cache" / FORMAT / disk._name(KEY)
    make(entry, tmp_path / "other")
    for _ in range(3):
        assert await cache.get([KEY]) == {}
    assert entry.name in os.listdir(entry.parent)  # noqa: PTH208  # the other way may not be used in a coroutine
    assert caplog.text.count("cannot be read") == 1


def test_only_what_the_cache_wrote_is_counted_and_deleted(tmp_path: Path, written: Wait) -> None:
    cache = DiskCache(tmp_path / "cache", MEBIBYTE)
    cache.put(KEY, b"payload")
    written(cache)
    directory = tmp_path / "cache" / FORMAT
    names = ["notes.txt", "x.payload", f"{'0' * 63}g.payload", f"{'0' * 64}.payload~", "old.unfinished"]
    for name in names:
        (directory / name).write_bytes(b"x" * MEBIBYTE)
    (directory / f"{'0' * 64}.payload").symlink_to(tmp_path)
    (directory / f"{'1' * 64}.payload").mkdir()
    others = {*directory.iterdir()} - {directory / disk._name(KEY)}
    for other in others:
        os.utime(other, (0, 0), follow_symlinks=False)
    fill(cache, written)
    assert others <= {*directory.iterdir()}
    assert len(list(directory.iterdir())) > len(others) + 5  # they take no room from the cache's own
