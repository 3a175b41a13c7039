"""What `temporal-payloads check` finds of a container."""

from datetime import UTC, datetime, timedelta

import pytest
from temporal_payloads.plugin import DiagnosisContext, StorageUnavailableError

PLACE = "storage.drivers.azure_blob"


@pytest.fixture
def look(open_driver, store_context, payload):
    """Look at a container, with payloads written for that or without."""

    async def diagnosed(settings, *, write=False, **context):
        async with open_driver(**settings) as driver:
            if write:
                context["written"] = await driver.store(store_context, [payload(1), payload(2)])
            findings = await driver.diagnose(DiagnosisContext(place=PLACE, **context))
        found = {finding.check: finding for finding in findings}
        assert len(found) == len(findings)
        assert all(finding.place.startswith(PLACE) for finding in findings)
        return found

    return diagnosed


def levels(found):
    return {check: finding.level for check, finding in found.items()}


async def test_all_is_found_well_with_the_accounts_key_and_nothing_is_left(look, container):
    found = await look(container.settings, write=True, use="collector")
    assert levels(found) == dict.fromkeys(
        (*(f"permission {name}" for name in ("read", "write", "list", "delete")), "clock", "clean-up"), "ok"
    )
    assert list(container.client.list_blobs()) == []


async def test_a_workers_sas_suffices_for_a_worker_and_not_for_a_collector(look, container):
    settings = container.settings_with_sas("rcw")
    as_worker = await look(settings, write=True)
    assert "problem" not in levels(as_worker).values()
    assert as_worker["clean-up"].level == "warning"  # it may not delete what was written
    as_collector = await look(settings, use="collector", write=True)
    problems = {check for check, level in levels(as_collector).items() if level == "problem"}
    assert problems == {"permission list", "permission delete"}
    assert "permissions of its SAS" in as_collector["permission delete"].advice
    # Nothing of the signature is shown.
    assert "sig=" not in repr(as_collector)


@pytest.mark.parametrize("apart", [timedelta(minutes=6), timedelta(minutes=-6)])
async def test_a_clock_that_is_off_is_told(look, container, apart):
    found = await look(container.settings, now=lambda: datetime.now(UTC) + apart)
    assert found["clock"].level == "problem"
    assert ("behind" if apart > timedelta(0) else "ahead of") in found["clock"].message


async def test_without_write_what_that_leaves_open_is_said(look, container):
    found = await look(container.settings, use="collector")
    assert {check for check, level in levels(found).items() if level == "skipped"} == {
        "permission write",
        "permission delete",
    }


async def test_that_the_server_fails_is_no_right_that_is_missing(look, stub):
    async def answer(request):
        return stub.error(503, "ServerBusy") if request.method == "HEAD" else stub.error(403, "Forbidden")

    stub.answer = answer
    with pytest.raises(StorageUnavailableError):
        await look(stub.settings)
