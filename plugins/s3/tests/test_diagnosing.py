"""What `temporal-payloads check` finds of a bucket."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from local_servers.s3 import open_client
from temporal_payloads.plugin import DiagnosisContext, StorageUnavailableError
from temporal_payloads_s3._lifecycle import look_at_lifecycle
from temporalio.converter import StorageDriverClaim, StorageDriverStoreContext, StorageDriverWorkflowInfo

PLACE = "storage.drivers.s3"
RETENTION = timedelta(days=7)
ABORTS = {
    "ID": "uploads",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
}


def by_check(findings):
    found = {finding.check: finding for finding in findings}
    assert len(found) == len(findings)
    assert all(finding.place.startswith(PLACE) for finding in findings)
    return found


@pytest.fixture
def look(open_driver, payload):
    """Look at a bucket, with payloads written for that or without."""

    async def diagnosed(server, bucket, *, write=False, settings=None, **context):
        context = {"place": PLACE, "retention": RETENTION, **context}
        async with open_driver(server, bucket, **(settings or {})) as driver:
            if write:
                target = StorageDriverWorkflowInfo(namespace="default", id="check", type="check")
                stored = StorageDriverStoreContext(target=target)
                context["written"] = await driver.store(stored, [payload(1), payload(2)])
            return by_check(await driver.diagnose(DiagnosisContext(**context)))

    return diagnosed


def keys_in(server, bucket):
    with open_client(server) as client:
        versions = client.list_object_versions(Bucket=bucket)
        return [one["Key"] for kind in ("Versions", "DeleteMarkers") for one in versions.get(kind, [])]


async def test_all_is_found_well_of_a_bucket_as_it_should_be(look, s3_server, s3_bucket):
    with open_client(s3_server) as client:
        rules = {"Rules": [ABORTS]}
        client.put_bucket_lifecycle_configuration(Bucket=s3_bucket, LifecycleConfiguration=rules)
    found = await look(s3_server, s3_bucket, write=True, use="collector")
    assert {finding.level for finding in found.values()} == {"ok"}
    assert set(found) == {
        "clock",
        "permission s3:GetObject",
        "permission s3:ListBucket",
        "permission s3:PutObject",
        "permission s3:AbortMultipartUpload",
        "permission s3:DeleteObject",
        "clean-up",
        "lifecycle",
        "lifecycle of uploads",
        "versioning",
        "object lock",
        "public access",
        "encryption",
    }
    assert keys_in(s3_server, s3_bucket) == []


async def test_without_write_nothing_is_written_and_what_that_leaves_open_is_said(look, s3_server, s3_bucket):
    found = await look(s3_server, s3_bucket)
    skipped = {check for check, finding in found.items() if finding.level == "skipped"}
    assert skipped == {"permission s3:PutObject", "permission s3:AbortMultipartUpload"}
    assert found["permission s3:DeleteObject"].level == "ok"  # for a worker does not need it
    assert all("--write" in found[check].message for check in skipped)
    assert keys_in(s3_server, s3_bucket) == []


async def test_what_was_written_leaves_no_version_behind(look, s3_server, s3_bucket):
    with open_client(s3_server) as client:
        client.put_bucket_versioning(Bucket=s3_bucket, VersioningConfiguration={"Status": "Enabled"})
    found = await look(s3_server, s3_bucket, write=True)
    assert found["permission s3:DeleteObjectVersion"].level == "ok"
    assert "old version" in found["versioning"].message
    assert keys_in(s3_server, s3_bucket) == []


@pytest.fixture
def reader(s3_server):
    """The settings of a role that may list and read, and nothing else."""
    return {
        "access_key_id": s3_server.reader_access_key_id,
        "secret_access_key": s3_server.reader_secret_access_key,
    }


async def test_what_a_role_may_not_see_is_not_taken_for_well(look, stub):
    stub.always(lambda: stub.error(403, "AccessDenied", "Access Denied"))
    found = await look(stub.server, "closed")
    assert found["lifecycle"].level == found["public access"].level == "skipped"
    assert "s3:GetLifecycleConfiguration" in found["lifecycle"].message
    # Without the right to list, S3 says the same of what is not there.
    assert found["permission s3:GetObject"].level == "skipped"
    assert found["permission s3:ListBucket"].level == "ok"  # for a worker does not need it
    assert "'access denied' where a payload is missing" in found["missing objects"].message


async def test_what_this_check_has_read_back_may_be_read(look, stub):
    stub.always(lambda: stub.error(403, "AccessDenied", "Access Denied"))
    written = (StorageDriverClaim(claim_data={"bucket": "closed", "key": "v0/d/sha256/" + "0" * 64}),)
    found = await look(stub.server, "closed", written=written)
    assert found["permission s3:GetObject"].level == "ok"


async def test_rights_that_a_role_lacks_are_told_one_by_one_with_what_to_allow(
    look, s3_server, s3_bucket, reader
):
    key = "v0/d/sha256/" + "0" * 64
    with open_client(s3_server) as client:
        client.put_object(Bucket=s3_bucket, Key=key, Body=b"as if stored for a check")
    written = (StorageDriverClaim(claim_data={"bucket": s3_bucket, "key": key}),)
    found = await look(s3_server, s3_bucket, settings=reader, use="collector", written=written)
    denied = {check for check, finding in found.items() if finding.level == "problem"}
    assert denied == {"permission s3:AbortMultipartUpload", "permission s3:DeleteObject"}
    refused = found["permission s3:DeleteObject"]
    assert f"Allow s3:DeleteObject on arn:aws:s3:::{s3_bucket}/v0/*" in refused.advice
    assert "AccessDenied" in refused.message
    assert found["clean-up"].level == "warning"
    assert key in found["clean-up"].message
    assert keys_in(s3_server, s3_bucket) == [key]


async def test_an_upload_that_this_check_began_and_may_not_abort_is_named(look, stub):
    key = "v0/d/sha256/" + "0" * 64

    async def answer(request):
        await request.read()
        if request.method == "POST" and "uploads" in request.query:
            text = (
                "<InitiateMultipartUploadResult><UploadId>upload-7</UploadId></InitiateMultipartUploadResult>"
            )
            return web.Response(text=text, content_type="application/xml")
        return stub.error(403, "AccessDenied", "Access Denied")

    stub.answer = answer
    written = (StorageDriverClaim(claim_data={"bucket": "closed", "key": key}),)
    found = await look(stub.server, "closed", written=written)
    assert found["permission s3:AbortMultipartUpload"].level == "problem"
    left = found["clean-up of uploads"]
    assert left.level == "warning"
    assert f"{key}, upload upload-7" in left.message


async def test_a_rule_that_deletes_payloads_before_histories_go_is_a_problem(look, s3_server, s3_bucket):
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": "v0/"}, "Expiration": {"Days": 3}}
    with open_client(s3_server) as client:
        client.put_bucket_lifecycle_configuration(Bucket=s3_bucket, LifecycleConfiguration={"Rules": [rule]})
    found = (await look(s3_server, s3_bucket))["lifecycle"]
    assert found.level == "problem"
    assert "'tidy' deletes payloads 3 days after" in found.message
    assert "kept for 7 days" in found.message
    assert "gc" in found.advice


async def test_a_rule_that_archives_payloads_is_a_problem(look, moto_server):
    moto_server.create_bucket("archived")
    rule = {
        "ID": "cold",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Transitions": [{"Days": 30, "StorageClass": "DEEP_ARCHIVE"}],
    }
    with open_client(moto_server) as client:
        client.put_bucket_lifecycle_configuration(Bucket="archived", LifecycleConfiguration={"Rules": [rule]})
    found = (await look(moto_server, "archived"))["lifecycle"]
    assert found.level == "problem"
    assert "DEEP_ARCHIVE after 30 days" in found.message


def level_of(rule, retention=RETENTION):
    findings = look_at_lifecycle([ABORTS, {"Status": "Enabled", **rule}], PLACE, retention)
    [finding] = [finding for finding in findings if finding.check == "lifecycle"]
    return finding.level


@pytest.mark.parametrize(
    ("rule", "level"),
    [
        ({"Filter": {"Prefix": "exports/"}, "Expiration": {"Days": 1}}, "ok"),
        ({"Filter": {"Prefix": ""}, "Expiration": {"Days": 1}, "Status": "Disabled"}, "ok"),
        ({"Filter": {"Prefix": "v0/ns/orders/"}, "Expiration": {"Days": 7}}, "problem"),
        ({"Filter": {"Prefix": "v0/"}, "Expiration": {"Days": 400}}, "warning"),
        ({"Prefix": "", "Expiration": {"Days": 1}}, "problem"),
        ({"Filter": {"And": {"Prefix": "v0/", "Tags": []}}, "Expiration": {"Days": 1}}, "problem"),
        ({"Filter": {}, "Expiration": {"Date": datetime(2027, 1, 1, tzinfo=UTC)}}, "problem"),
        ({"Filter": {}, "Transitions": [{"Days": 0, "StorageClass": "GLACIER"}]}, "problem"),
        ({"Filter": {}, "Transitions": [{"Days": 30, "StorageClass": "GLACIER_IR"}]}, "ok"),
        ({"Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}, "ok"),
        ({"Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}}, "ok"),
    ],
)
def test_a_rule_counts_by_what_it_does_to_payloads(rule, level):
    assert level_of(rule) == level


def test_where_the_retention_is_not_known_a_rule_that_deletes_is_a_warning():
    assert level_of({"Filter": {}, "Expiration": {"Days": 1}}, retention=None) == "warning"


async def test_no_rule_for_uploads_that_were_left_is_a_warning(look, s3_server, s3_bucket):
    found = (await look(s3_server, s3_bucket))["lifecycle of uploads"]
    assert found.level == "warning"
    assert "AbortIncompleteMultipartUpload" in found.advice


async def test_a_policy_that_opens_the_bucket_to_everybody_is_a_problem(look, s3_server, s3_bucket):
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",'
        f'"Resource":"arn:aws:s3:::{s3_bucket}/*"}}]}}'
    )
    with open_client(s3_server) as client:
        client.put_bucket_policy(Bucket=s3_bucket, Policy=policy)
    found = (await look(s3_server, s3_bucket))["public access"]
    assert found.level == "problem"
    assert "strangers" in found.message


async def test_a_lock_on_new_objects_is_a_warning(look, moto_server):
    with open_client(moto_server) as client:
        client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}
        client.put_object_lock_configuration(
            Bucket="locked", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
        )
    found = (await look(moto_server, "locked"))["object lock"]
    assert found.level == "warning"
    assert "30 days (compliance)" in found.message


async def test_a_store_that_does_not_tell_its_settings_is_no_error(look, stub, s3_bucket):
    stub.always(lambda: stub.error(501, "NotImplemented", "No such feature"))
    found = await look(stub.server, s3_bucket)
    assert {found[check].level for check in ("lifecycle", "versioning", "public access")} == {"skipped"}
    assert "this store does not tell" in found["lifecycle"].message


@pytest.mark.parametrize("apart", [timedelta(minutes=10), timedelta(minutes=-10)])
async def test_a_clock_that_is_minutes_off_is_a_problem(look, s3_server, s3_bucket, apart):
    found = await look(s3_server, s3_bucket, now=lambda: datetime.now(UTC) + apart)
    assert found["clock"].level == "problem"
    assert ("behind" if apart > timedelta(0) else "ahead") in found["clock"].message


async def test_the_bucket_of_each_namespace_is_looked_at(look, s3_server, s3_bucket, open_driver):
    s3_server.create_bucket(f"{s3_bucket}-billing")
    async with open_driver(s3_server, s3_bucket + "-{namespace}") as driver:
        context = DiagnosisContext(place=PLACE, namespaces=("billing", "nowhere"))
        findings = await driver.diagnose(context)
    assert sum(finding.check == "clock" for finding in findings) == 2
    [missing] = [finding for finding in findings if finding.check == "bucket"]
    assert missing.level == "problem"
    assert f"{s3_bucket}-nowhere" in missing.message


async def test_a_bucket_by_namespace_that_is_missing_is_no_problem_where_nobody_named_a_namespace(
    look, s3_server
):
    levels = {
        (bucket, named): (await look(s3_server, bucket, namespaces_named=named))["bucket"].level
        for bucket in ("never-made-{namespace}", "never-made")
        for named in (False, True)
    }
    assert levels == {
        ("never-made-{namespace}", False): "skipped",
        ("never-made-{namespace}", True): "problem",
        ("never-made", False): "problem",
        ("never-made", True): "problem",
    }


async def test_that_the_store_fails_is_no_right_that_is_missing(look, stub):
    stub.always(lambda: stub.error(503, "SlowDown", "Reduce your request rate"))
    with pytest.raises(StorageUnavailableError):
        await look(stub.server, "busy")
