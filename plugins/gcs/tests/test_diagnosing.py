"""What `temporal-payloads check` finds of a bucket."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from temporal_payloads.plugin import DiagnosisContext
from temporalio.converter import StorageDriverClaim

PLACE = "storage.drivers.gcs"


@pytest.fixture
def look(open_driver, store_context, payload):
    """Look at a bucket, with payloads written for that or without."""

    async def diagnosed(endpoint_url, bucket, *, write=False, **context):
        async with open_driver(endpoint_url, bucket) as driver:
            if write:
                context["written"] = await driver.store(store_context, [payload(1), payload(2)])
            findings = await driver.diagnose(DiagnosisContext(place=PLACE, **context))
        found = {finding.check: finding for finding in findings}
        assert len(found) == len(findings)
        return found

    return diagnosed


async def test_all_is_found_well_of_a_bucket_as_it_should_be(look, gcs_server, gcs_bucket, open_driver):
    found = await look(gcs_server.endpoint_url, gcs_bucket, write=True, use="collector")
    assert {finding.level for finding in found.values()} == {"ok"}
    assert {check for check in found if check.startswith("permission")} == {
        f"permission storage.objects.{name}" for name in ("get", "list", "create", "delete")
    }
    async with open_driver(gcs_server.endpoint_url, gcs_bucket) as driver:
        for shard in driver.shards(["default"]):
            async for page in driver.list_payloads(shard):
                assert not page.payloads


async def test_without_write_what_that_leaves_open_is_said(look, gcs_server, gcs_bucket):
    found = await look(gcs_server.endpoint_url, gcs_bucket, use="collector")
    assert {check for check, finding in found.items() if finding.level == "skipped"} == {
        f"permission storage.objects.{name}" for name in ("get", "create", "delete")
    }


@pytest.mark.parametrize("apart", [timedelta(minutes=6), timedelta(minutes=-6)])
async def test_a_clock_that_is_off_is_told(look, gcs_server, gcs_bucket, apart):
    found = await look(gcs_server.endpoint_url, gcs_bucket, now=lambda: datetime.now(UTC) + apart)
    assert found["clock"].level == "problem"


async def test_a_bucket_that_is_not_there_is_a_problem(look, gcs_server):
    found = await look(gcs_server.endpoint_url, "no-such-bucket")
    assert found.keys() == {"bucket"}
    assert found["bucket"].level == "problem"


async def test_rights_that_a_role_lacks_are_told_one_by_one(look, stub):
    stub.always(lambda: stub.error(403, "caller does not have storage.objects.x access"))
    written = [StorageDriverClaim(claim_data={"bucket": "closed", "object_name": "v0/d/sha256/" + "0" * 64})]
    found = await look(stub.endpoint_url, "closed", use="collector", written=written)
    problems = {check for check, finding in found.items() if finding.level == "problem"}
    assert problems == {"permission storage.objects.list", "permission storage.objects.delete"}
    assert (
        "Grant storage.objects.delete on the bucket 'closed'"
        in found["permission storage.objects.delete"].advice
    )
    assert found["clean-up"].level == "warning"
    assert found["lifecycle"].level == "skipped"
    assert "storage.buckets.get" in found["lifecycle"].message


def rule(action, **condition):
    return {"action": {"type": action}, "condition": condition}


@pytest.mark.parametrize(
    ("rules", "level"),
    [
        ([], "ok"),
        ([rule("Delete", age=3)], "problem"),
        ([rule("Delete", age=30, matchesPrefix=["v0/"])], "warning"),
        ([rule("Delete", createdBefore="2026-01-01")], "warning"),
        ([rule("Delete", age=3, matchesPrefix=["exports/"])], "ok"),
        ([rule("Delete", age=3, isLive=False)], "ok"),
        ([rule("SetStorageClass", age=3)], "ok"),
    ],
)
async def test_a_rule_counts_by_what_it_does_to_payloads(look, stub, rules, level):
    stub.always(lambda: web.json_response({"lifecycle": {"rule": rules}, "versioning": {"enabled": True}}))
    found = await look(stub.endpoint_url, "ruled", retention=timedelta(days=7))
    assert found["lifecycle"].level == level
    assert "stays as a version" in found["versioning"].message


async def test_a_retention_policy_is_a_warning(look, stub):
    stub.always(lambda: web.json_response({"retentionPolicy": {"retentionPeriod": "86400"}}))
    found = await look(stub.endpoint_url, "locked")
    assert found["object lock"].level == "warning"


async def test_a_bucket_by_namespace_that_is_missing_is_no_problem_where_nobody_named_a_namespace(
    look, gcs_server
):
    levels = {
        (bucket, named): (await look(gcs_server.endpoint_url, bucket, namespaces_named=named))["bucket"].level
        for bucket in ("never-made-{namespace}", "never-made")
        for named in (False, True)
    }
    assert levels == {
        ("never-made-{namespace}", False): "skipped",
        ("never-made-{namespace}", True): "problem",
        ("never-made", False): "problem",
        ("never-made", True): "problem",
    }
