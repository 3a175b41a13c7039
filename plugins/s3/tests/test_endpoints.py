"""A request for another object of the same bucket does not work through botocore's rules again."""

import json
from collections.abc import Callable
from typing import Any

import botocore.session
from botocore.endpoint_provider import RuleSet
from local_servers import S3Server
from temporal_payloads_s3._endpoints import remember_endpoints
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverRetrieveContext, StorageDriverStoreContext


async def test_the_endpoint_of_a_bucket_is_worked_out_once(
    s3_server: S3Server, s3_bucket: str, open_driver: Any, payload: Callable[..., Payload], monkeypatch: Any
) -> None:
    worked_out: list[object] = []
    evaluate = RuleSet.evaluate

    def noted(rules: RuleSet, parameters: dict[str, object]) -> object:
        worked_out.append(dict(parameters))
        return evaluate(rules, parameters)

    monkeypatch.setattr(RuleSet, "evaluate", noted)
    async with open_driver(s3_server, s3_bucket) as driver:
        payloads = [payload(number) for number in range(5)]
        claims = await driver.store(StorageDriverStoreContext(target=None), payloads)
        assert await driver.retrieve(StorageDriverRetrieveContext(), claims) == payloads
    assert len(worked_out) == 1, worked_out


def test_no_rule_of_botocore_looks_at_the_key() -> None:
    rules = (
        botocore.session.get_session()
        .get_component("data_loader")
        .load_service_model("s3", "endpoint-rule-set-1")
    )
    text = json.dumps(rules["rules"])
    assert '"ref": "Bucket"' in text
    assert '"ref": "Key"' not in text
    assert "{Key" not in text


def test_a_client_of_a_release_with_other_private_parts_is_left_as_it_is() -> None:
    remember_endpoints(object())  # type: ignore[arg-type]  # what a later release may have
