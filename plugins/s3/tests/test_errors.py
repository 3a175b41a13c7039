"""What can go wrong with S3, and that each message names the setting or permission to look at."""

import asyncio
import json
import re
import socket
import traceback
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aioboto3
import pytest
from aiohttp import web
from local_servers import S3Server
from temporal_payloads.plugin import (
    PayloadNotFoundError,
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)
from temporal_payloads_s3._error_table import BY_CODE, BY_FAILURE, BY_STATUS, OTHER_ANSWER, Rule
from temporalio.converter import StorageDriverClaim, StorageDriverRetrieveContext

README = Path(__file__).parents[1] / "README.md"
HASH = "ab" * 32
CLAIM = StorageDriverClaim(
    claim_data={
        "bucket": "payloads",
        "key": f"v0/ns/default/d/sha256/{HASH}",
        "hash_algorithm": "sha256",
        "hash_value": HASH,
    }
)
SECRET = "hunter2-hunter2"
KMS = {"server_side_encryption": "aws:kms", "kms_key_id": "key-1"}


@pytest.fixture
def fails(open_driver: Any, store_context: Any, payload: Any) -> Any:
    """Store, retrieve or check with a server of which the test expects a failure; return that."""

    async def fails_(
        server: S3Server, operation: str, bucket: str = "payloads", **settings: Any
    ) -> StorageError:
        async with open_driver(server, bucket, **settings) as driver:
            do = {
                "store": lambda: driver.store(store_context, [payload(1)]),
                "retrieve": lambda: driver.retrieve(StorageDriverRetrieveContext(), [CLAIM]),
                "check": driver.check,
            }
            with pytest.raises(StorageError) as caught:
                await do[operation]()
        assert SECRET not in str(caught.value)
        return caught.value

    return fails_


@pytest.mark.parametrize(
    ("status", "code", "operation", "error_type", "advice"),
    [
        (404, "NoSuchKey", "retrieve", PayloadNotFoundError, "expired, was deleted"),
        (404, "NoSuchKey", "retrieve", PayloadNotFoundError, "storage.drivers.s3.bucket"),
        (404, "NoSuchKey", "retrieve", PayloadNotFoundError, "storage.drivers.s3.endpoint_url"),
        (400, "InvalidRegionName", "check", StorageMisconfiguredError, "storage.drivers.s3.region"),
        (404, "NoSuchBucket", "store", StorageMisconfiguredError, "create bucket payloads"),
        (404, "NoSuchBucket", "retrieve", StorageMisconfiguredError, "storage.drivers.s3.bucket"),
        (404, "NoSuchBucket", "check", StorageMisconfiguredError, "storage.drivers.s3.bucket"),
        (400, "InvalidBucketName", "store", StorageMisconfiguredError, "storage.drivers.s3.bucket"),
        (403, "AccessDenied", "store", StoragePermissionError, "grant s3:PutObject to"),
        (403, "AccessDenied", "retrieve", StoragePermissionError, "grant s3:GetObject"),
        (403, "InvalidAccessKeyId", "store", StoragePermissionError, "storage.drivers.s3.access_key_id"),
        (
            403,
            "SignatureDoesNotMatch",
            "check",
            StoragePermissionError,
            "storage.drivers.s3.secret_access_key",
        ),
        (400, "ExpiredToken", "retrieve", StoragePermissionError, "storage.drivers.s3.session_token"),
        (403, "RequestTimeTooSkewed", "store", StoragePermissionError, "clock"),
        (403, "InvalidObjectState", "retrieve", StorageUnavailableError, "restore it"),
        (
            400,
            "AuthorizationHeaderMalformed",
            "store",
            StorageMisconfiguredError,
            "storage.drivers.s3.region",
        ),
        (503, "SlowDown", "store", StorageUnavailableError, "storage.concurrency"),
        (503, "ServiceUnavailable", "retrieve", StorageUnavailableError, "storage.concurrency"),
        (429, "TooManyRequests", "retrieve", StorageUnavailableError, "storage.concurrency"),
        (500, "InternalError", "store", StorageUnavailableError, "the store's own log"),
        (401, "Unauthorized", "check", StoragePermissionError, "storage.drivers.s3.access_key_id"),
        (403, "QuotaExceeded", "store", StorageUnavailableError, "the store is full"),
        (507, "XMinioStorageFull", "store", StorageUnavailableError, "the store is full"),
        (412, "PreconditionFailed", "retrieve", StorageUnavailableError, "replaced while it was read"),
        (400, "InvalidStorageClass", "store", StorageMisconfiguredError, "look at storage.drivers.s3"),
        (400, "KMS.DisabledException", "store", StorageMisconfiguredError, "KMS.DisabledException"),
    ],
)
async def test_each_answer_of_s3_is_explained(
    *,
    stub: Any,
    fails: Any,
    status: int,
    code: str,
    operation: str,
    error_type: type[StorageError],
    advice: str,
) -> None:
    stub.always(lambda: stub.error(status, code, "so it is."))
    error = await fails(stub.server, operation, secret_access_key=SECRET)
    assert type(error) is error_type
    assert advice in str(error)
    assert f"at {stub.server.endpoint_url} (region us-east-1) failed: {code}: so it is; " in str(error)
    assert error.type == error_type.__name__
    assert error.non_retryable == (error_type is PayloadNotFoundError)


async def test_a_permission_that_s3_names_is_the_one_to_grant(stub: Any, fails: Any) -> None:
    said = "User: arn:aws:iam::1:user/w is not authorized to perform: kms:GenerateDataKey on this resource"
    stub.always(lambda: stub.error(403, "AccessDenied", said))
    assert "grant kms:GenerateDataKey to" in str(await fails(stub.server, "store"))


async def test_settings_that_need_permissions_of_their_own_are_remembered(stub: Any, fails: Any) -> None:
    stub.always(lambda: stub.error(403, "AccessDenied"))
    error = await fails(stub.server, "store", tags={"team": "orders"}, **KMS)
    assert "grant s3:PutObject and s3:PutObjectTagging and kms:GenerateDataKey to" in str(error)


@pytest.mark.parametrize(
    ("status", "code"), [(400, "AuthorizationHeaderMalformed"), (301, "PermanentRedirect")]
)
async def test_the_right_region_is_told_if_s3_tells_it(stub: Any, fails: Any, status: int, code: str) -> None:
    stub.always(lambda: stub.error(status, code, headers={"x-amz-bucket-region": "eu-west-3"}))
    error = await fails(stub.server, "retrieve")
    assert type(error) is StorageMisconfiguredError
    assert "correct storage.drivers.s3.region to eu-west-3" in str(error)


async def test_a_redirect_to_another_region_names_the_region_when_storing(stub: Any, fails: Any) -> None:
    stub.always(lambda: stub.error(301, "PermanentRedirect", headers={"Location": "https://s3.invalid/"}))
    error = await fails(stub.server, "store")
    assert type(error) is StorageMisconfiguredError
    assert "correct storage.drivers.s3.region" in str(error)


@pytest.mark.parametrize("operation", ["store", "retrieve", "check"])
async def test_a_region_that_does_not_exist_names_the_region(fails: Any, operation: str) -> None:
    error = await fails(S3Server(""), operation, endpoint_url=None, region="eu-centrol-1")
    assert type(error) is StorageUnavailableError
    assert (
        "look at storage.drivers.s3.region ('eu-centrol-1' is no AWS region that botocore knows; did you "
        "mean 'eu-central-1'"
    ) in str(error)


async def test_a_region_that_does_not_exist_is_doubted_if_a_store_does_not_accept_it(
    stub: Any, fails: Any
) -> None:
    stub.always(lambda: stub.error(400, "AuthorizationHeaderMalformed"))
    error = await fails(stub.server, "check", region="eu-centrol-1")
    assert "correct storage.drivers.s3.region ('eu-centrol-1' is no AWS region" in str(error)


async def test_a_region_of_aws_is_not_doubted(stub: Any, fails: Any) -> None:
    stub.always(lambda: stub.error(400, "AuthorizationHeaderMalformed"))
    for region in ("us-east-1", "cn-north-1", "us-gov-west-1"):
        assert "botocore knows" not in str(await fails(stub.server, "check", region=region))


async def test_a_region_that_can_be_none_names_the_region(stub: Any, open_driver: Any) -> None:
    with pytest.raises(
        StorageMisconfiguredError, match=r"'eu central'.*Correct storage\.drivers\.s3\.region"
    ) as caught:
        async with open_driver(stub.server, "payloads", region="eu central"):
            pass
    assert not caught.value.store_asked


async def test_a_store_is_not_quoted_at_any_length(stub: Any, fails: Any) -> None:
    stub.always(lambda: stub.error(400, "Whatever", "x" * 1_000_000))
    assert len(str(await fails(stub.server, "store"))) < 2_000


@pytest.mark.parametrize(
    "rule", [*BY_CODE.values(), *BY_STATUS.values(), *(rule for _, rule in BY_FAILURE), OTHER_ANSWER]
)
def test_nothing_that_a_store_says_ends_a_workflow_but_that_an_object_is_missing(rule: Rule) -> None:
    assert issubclass(rule.error, StorageError)
    assert rule is BY_CODE["NoSuchKey"] or not rule.error.permanent


@pytest.mark.parametrize("operation", ["store", "retrieve", "check"])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>Welcome</html>"),
        (404, "<html>No such page</html>"),
        (404, "not found"),
        (405, ""),
    ],
)
async def test_a_server_that_is_not_s3_is_found_out(
    stub: Any, fails: Any, operation: str, status: int, body: str
) -> None:
    stub.always(lambda: web.Response(status=status, text=body, content_type="text/html"))
    error = await fails(stub.server, operation)
    assert type(error) is StorageUnavailableError
    assert "storage.drivers.s3.endpoint_url" in str(error)


@pytest.mark.parametrize("operation", ["store", "retrieve", "check"])
async def test_a_server_that_does_not_run_names_the_endpoint(fails: Any, operation: str) -> None:
    with (
        socket.socket() as taken
    ):  # bound, so that nobody else gets the port; not listening, so that it refuses
        taken.bind(("127.0.0.1", 0))
        server = S3Server(endpoint_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        error = await fails(server, operation)
    assert type(error) is StorageUnavailableError
    assert "storage.drivers.s3.endpoint_url" in str(error)
    assert "Connect call failed" in str(error)


async def test_a_host_that_does_not_exist_names_the_endpoint(fails: Any) -> None:
    error = await fails(S3Server(endpoint_url="http://s3.invalid"), "check")
    assert type(error) is StorageUnavailableError
    assert "storage.drivers.s3.endpoint_url" in str(error)


async def test_https_on_a_plain_port_names_the_endpoint_and_the_certificates(stub: Any, fails: Any) -> None:
    server = S3Server(endpoint_url=stub.server.endpoint_url.replace("http://", "https://"))
    error = await fails(server, "check")
    assert type(error) is StorageUnavailableError
    assert "storage.drivers.s3.endpoint_url (http or https" in str(error)
    assert "storage.drivers.s3.ca_bundle" in str(error)


async def test_a_silent_store_names_the_timeout(stub: Any, fails: Any) -> None:
    test_is_over = asyncio.Event()

    async def silence(_request: web.Request) -> web.Response:
        await test_is_over.wait()
        return web.Response()

    stub.answer = silence
    try:
        error = await fails(stub.server, "retrieve", read_timeout="50ms")
    finally:
        test_is_over.set()
    assert type(error) is StorageUnavailableError
    assert "storage.drivers.s3.read_timeout" in str(error)


async def test_a_request_is_sent_max_attempts_times(stub: Any, fails: Any) -> None:
    stub.always(lambda: stub.error(503, "SlowDown"))
    await fails(stub.server, "retrieve", max_attempts=2)
    assert stub.requests == ["GET", "GET"]


async def test_no_credentials_anywhere_names_the_settings_for_them(
    stub: Any, fails: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    error = await fails(stub.server, "check", access_key_id=None, secret_access_key=None)
    assert type(error) is StoragePermissionError
    assert "Unable to locate credentials" in str(error)
    assert "storage.drivers.s3.access_key_id" in str(error)
    assert stub.requests == []
    assert not error.store_asked


async def test_an_unknown_profile_names_the_setting(stub: Any, open_driver: Any) -> None:
    settings = {"profile": "nobody", "access_key_id": None, "secret_access_key": None}
    with pytest.raises(StorageMisconfiguredError, match=r"nobody.*storage\.drivers\.s3\.profile") as caught:
        async with open_driver(stub.server, "payloads", **settings):
            pass
    assert not caught.value.store_asked


async def test_the_check_passes_on_an_empty_bucket(s3_server: Any, s3_bucket: str, open_driver: Any) -> None:
    async with open_driver(s3_server, s3_bucket) as driver:
        await driver.check()


async def test_the_check_does_not_ask_for_the_buckets_of_a_template(stub: Any, open_driver: Any) -> None:
    stub.always(lambda: stub.error(404, "NoSuchBucket"))
    async with open_driver(stub.server, "payloads-{namespace}") as driver:
        await driver.check()


@pytest.mark.parametrize(
    "said", ["Access Denied", "User: u is not authorized to perform: s3:ListBucket on resource: arn"]
)
async def test_the_check_needs_no_permission_to_list(stub: Any, open_driver: Any, said: str) -> None:
    stub.always(lambda: stub.error(403, "AccessDenied", said))
    async with open_driver(stub.server, "payloads") as driver:
        await driver.check()


async def test_the_check_tells_a_missing_permission_that_s3_names(stub: Any, fails: Any) -> None:
    stub.always(
        lambda: stub.error(403, "AccessDenied", "not authorized to perform: s3:GetObject on resource: r")
    )
    assert "grant s3:GetObject" in str(await fails(stub.server, "check"))


async def test_wrong_credentials_are_refused_by_a_real_server(
    s3_server: Any, s3_bucket: str, fails: Any
) -> None:
    for wrong in ({"secret_access_key": SECRET}, {"access_key_id": "nobody"}):
        for operation in ("store", "retrieve", "check"):
            error = await fails(s3_server, operation, s3_bucket, **wrong)
            assert type(error) is StoragePermissionError
            assert "the credentials are not accepted" in str(error)
            assert error.store_asked


async def test_a_missing_bucket_is_told_by_a_real_server(s3_server: Any, fails: Any) -> None:
    error = await fails(s3_server, "check", "no-such-bucket")
    assert type(error) is StorageMisconfiguredError
    assert "create bucket no-such-bucket" in str(error)


@pytest.fixture
def enforced_policies(moto_server: S3Server) -> Iterator[None]:
    """Make moto look at signatures and policies, which it does not do by itself."""

    def trust(requests: str) -> None:
        url = f"{moto_server.endpoint_url}/moto-api/reset-auth"
        plain = {"Content-Type": "text/plain"}
        with urllib.request.urlopen(urllib.request.Request(url, data=requests.encode(), headers=plain)):
            pass

    trust("0")
    yield
    trust("inf")


@pytest.fixture
async def policed(moto_server: S3Server, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """Makes a user who may do no more than the actions given, in a bucket of moto."""
    session = aioboto3.Session(
        aws_access_key_id=moto_server.access_key_id, aws_secret_access_key=moto_server.secret_access_key
    )
    moto_server.create_bucket("policed")
    async with session.client("iam", endpoint_url=moto_server.endpoint_url, region_name="us-east-1") as iam:

        async def user(*actions: str) -> S3Server:
            name = str(uuid.uuid4())
            await iam.create_user(UserName=name)
            statement = {"Effect": "Allow", "Action": actions, "Resource": "arn:aws:s3:::policed/v0/*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            await iam.put_user_policy(UserName=name, PolicyName="payloads", PolicyDocument=policy)
            key = (await iam.create_access_key(UserName=name))["AccessKey"]
            request.getfixturevalue("enforced_policies")
            return S3Server(moto_server.endpoint_url, key["AccessKeyId"], key["SecretAccessKey"])

        yield user


async def test_the_policy_of_the_readme_suffices(
    policed: Any, open_driver: Any, store_context: Any, payload: Any
) -> None:
    policy = re.search(r"```json\n(.*?)```", README.read_text(), re.DOTALL)
    assert policy
    server = await policed(*json.loads(policy[1])["Statement"][0]["Action"])
    large = payload(1, 17 * 1024 * 1024)
    async with open_driver(server, "policed") as driver:
        await driver.check()
        claims = await driver.store(store_context, [payload(1), large])
        assert await driver.store(store_context, [payload(1), large]) == claims
        assert await driver.retrieve(StorageDriverRetrieveContext(), claims) == [payload(1), large]


async def test_a_policy_without_writing_names_the_permission(policed: Any, fails: Any) -> None:
    server = await policed("s3:GetObject")
    assert "grant s3:PutObject to" in str(await fails(server, "store", "policed"))


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_proxy_that_refuses_is_told_without_its_password(
    s3_server: S3Server, fails: Any, refusing_proxy: str, scheme: str
) -> None:
    error = await fails(s3_server, "check", endpoint_url=f"{scheme}://s3.example.com")
    assert isinstance(error, StorageUnavailableError)
    assert "407" in str(error)
    assert "HTTPS_PROXY, HTTP_PROXY and NO_PROXY" in str(error)
    assert refusing_proxy not in "".join(traceback.format_exception(error))
