"""Our client under the SDK's own driver, as those use it who wire by hand."""

import re
from pathlib import Path
from typing import Any

import pytest
from temporal_payloads.plugin import PayloadNotFoundError
from temporal_payloads_s3 import new_s3_client
from temporalio.contrib.aws.s3driver import S3StorageDriver
from temporalio.converter import StorageDriverRetrieveContext

README = Path(__file__).parents[1] / "README.md"


async def test_the_sdks_driver_stores_with_one_request_and_reads_with_one(
    wire: Any, s3_bucket: str, store_context: Any, payload: Any
) -> None:
    driver = S3StorageDriver(new_s3_client(wire.client), s3_bucket)
    claims = await driver.store(store_context, [payload(1, 300_000)])
    assert wire.take() == ["PUT"]
    assert await driver.retrieve(StorageDriverRetrieveContext(), claims) == [payload(1, 300_000)]
    assert wire.take() == ["GET"]


async def test_the_storage_error_is_the_cause_of_what_the_sdk_raises(
    wire: Any, s3_bucket: str, store_context: Any, payload: Any
) -> None:
    driver = S3StorageDriver(new_s3_client(wire.client, place="our S3"), s3_bucket)
    (claim,) = await driver.store(store_context, [payload(1)])
    await wire.client.delete_object(Bucket=s3_bucket, Key=claim.claim_data["key"])
    with pytest.raises(RuntimeError, match="client_region=us-east-1") as caught:
        await driver.retrieve(StorageDriverRetrieveContext(), [claim])
    assert isinstance(caught.value.__cause__, PayloadNotFoundError)
    assert "our S3.endpoint_url" in str(caught.value.__cause__)


async def test_the_example_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    example = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert example
    body = "".join(f"    {line}\n" for line in example[1].splitlines())
    scope: dict[str, Any] = {}
    exec(f"async def example():\n{body}    return driver\n", scope)
    driver = await scope["example"]()
    assert driver.type() == "aws.s3driver"
