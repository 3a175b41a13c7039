"""What `temporal-payloads check` finds of the store's directory."""

from datetime import UTC, datetime, timedelta

import pytest
from temporal_payloads.plugin import DiagnosisContext
from temporal_payloads_filesystem import FilesystemStorageDriver

PLACE = "storage.drivers.filesystem"


@pytest.fixture
def look(tmp_path, store_context, make_payloads):
    """Look at a store, with payloads written for that or without."""

    async def diagnosed(*, write=False, mode=0o600, **context):
        driver = FilesystemStorageDriver(tmp_path / "store", create=True, place=PLACE, mode=mode)
        try:
            await driver.check()
            if write:
                context["written"] = await driver.store(store_context, make_payloads(2))
            findings = await driver.diagnose(DiagnosisContext(place=PLACE, **context))
        finally:
            await driver.aclose()
        assert all(finding.place == f"{PLACE}.path" for finding in findings)
        found = {finding.check: finding for finding in findings}
        assert len(found) == len(findings)
        return found

    return diagnosed


def files_in(directory):
    return sorted(path.name for path in directory.rglob("*") if path.is_file())


async def test_a_store_as_it_should_be_is_found_well_and_left_as_it_was(look, tmp_path):
    found = await look(write=True, use="collector")
    assert {finding.level for finding in found.values() if finding.check != "room"} == {"ok"}
    assert set(found) == {
        "permission to read",
        "permission to write",
        "permission to delete",
        "permissions of the directory",
        "room",
        "clock",
        "clean-up",
    }
    assert files_in(tmp_path / "store") == ["temporal-payloads.store"]


async def test_the_folders_of_what_was_written_go_too_and_those_of_others_stay(
    look, tmp_path, store_context, make_payloads
):
    driver = FilesystemStorageDriver(tmp_path / "store", create=True)
    await driver.store(store_context, make_payloads(3)[2:])
    await driver.aclose()
    before = sorted((tmp_path / "store").rglob("*"))
    await look(write=True)
    assert sorted((tmp_path / "store").rglob("*")) == before


async def test_without_write_what_that_leaves_open_is_said(look):
    found = await look(use="collector")
    skipped = {check for check, finding in found.items() if finding.level == "skipped"}
    assert skipped == {"clock", "permission to delete"}
    assert all("--write" in found[check].message for check in skipped)


@pytest.mark.parametrize(
    ("mode", "level", "told"),
    [
        (0o777, "problem", "Everybody on the machine may change it (0777)"),
        (0o1777, "warning", "Everybody on the machine may list it"),
        (0o755, "warning", "Everybody on the machine may list it (0755)"),
        (0o750, "ok", "0750"),
        (0o700, "ok", "0700"),
    ],
)
async def test_a_directory_that_is_open_to_others_is_told(look, tmp_path, mode, level, told):
    await look()
    (tmp_path / "store").chmod(mode)
    found = (await look())["permissions of the directory"]
    assert found.level == level
    assert told in found.message


async def test_a_store_whose_files_all_may_read_may_be_listed_by_all(look, tmp_path):
    await look(mode=0o666)
    (tmp_path / "store").chmod(0o755)
    assert (await look(mode=0o666))["permissions of the directory"].level == "ok"


async def test_a_user_who_may_only_read_is_no_worker_but_a_reader(public, as_nobody):
    driver = FilesystemStorageDriver(public / "store", create=True, place=PLACE, mode=0o644)
    await driver.check()
    with as_nobody():
        as_worker = await driver.diagnose(DiagnosisContext(place=PLACE))
        as_reader = await driver.diagnose(DiagnosisContext(place=PLACE, use="reader"))
        as_either = await driver.diagnose(DiagnosisContext(place=PLACE, use_named=False))
    await driver.aclose()
    problems = [
        [finding.check for finding in found if finding.level == "problem"]
        for found in (as_worker, as_reader, as_either)
    ]
    assert problems == [["permission to write"], [], []]
    assert [one.check for one in as_either if one.level == "warning"] == ["permission to write"]


@pytest.mark.parametrize("apart", [timedelta(minutes=1), timedelta(minutes=-1)])
async def test_a_servers_clock_shows_in_the_files_that_it_dates(look, apart):
    found = await look(write=True, now=lambda: datetime.now(UTC) + apart)
    assert found["clock"].level == "warning"


async def test_little_room_is_told(look, monkeypatch):
    monkeypatch.setattr("temporal_payloads_filesystem._diagnosing.LITTLE_ROOM", 1.1)
    found = await look()
    assert found["room"].level == "warning"
    assert "once it is full, nothing is stored" in found["room"].message
