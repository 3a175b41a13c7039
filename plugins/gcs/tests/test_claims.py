"""Which claims lie inside a driver's settings: those that the SDKs' drivers make, and no others."""

import asyncio
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporal_payloads.plugin import ClaimRejectedError
from temporal_payloads_gcs._claims import confine
from temporal_payloads_gcs._settings import GCSSettings
from temporalio.api.common.v1 import Payload
from temporalio.contrib.gcp.gcsdriver import GCSStorageDriver, GCSStorageDriverClient
from temporalio.converter import (
    StorageDriverActivityInfo,
    StorageDriverClaim,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

SETTINGS = GCSSettings(bucket="payloads")
HASH = "ab" * 32
NAME = f"v0/ns/default/d/sha256/{HASH}"

Target = StorageDriverWorkflowInfo | StorageDriverActivityInfo | None


class Nowhere(GCSStorageDriverClient):
    """Keeps nothing: only the claims matter."""

    async def put_object(self, *, bucket: str, object_name: str, data: bytes) -> None:
        pass

    async def object_exists(self, *, bucket: str, object_name: str) -> bool:
        return False

    async def get_object(self, *, bucket: str, object_name: str) -> bytes:
        raise NotImplementedError


def sdk_claim(target: Target, *, bucket: str = "payloads") -> StorageDriverClaim:
    driver = GCSStorageDriver(Nowhere(), bucket)
    (claim,) = asyncio.run(driver.store(StorageDriverStoreContext(target=target), [Payload(data=b"x")]))
    return claim


def claim(name: str, **changes: str) -> StorageDriverClaim:
    data = {"bucket": "payloads", "object_name": name, "hash_algorithm": "sha256", "hash_value": HASH}
    return StorageDriverClaim(claim_data=data | changes)


namespaces = st.text(max_size=40) | st.sampled_from(
    [".", "..", "null", "%2E", 'a/b#[]*?:"<>|%', "größe\x7f\x9f"]
)
names = st.none() | namespaces | st.text("a/ü%~🚚", min_size=200, max_size=400)
targets: st.SearchStrategy[Target] = st.one_of(
    st.none(),
    *(
        st.builds(kind, namespace=namespaces, id=names, run_id=names, type=names)
        for kind in (StorageDriverWorkflowInfo, StorageDriverActivityInfo)
    ),
)


@given(targets)
@settings(max_examples=50)
def test_every_claim_that_the_sdk_makes_is_confined_to_its_namespace(target: Target) -> None:
    made = sdk_claim(target)
    confined = confine(SETTINGS, made)
    assert confined.claim == made
    assert confined.sha256 == made.claim_data["hash_value"]
    # The SDK writes an empty namespace as it writes one that is called "null".
    assert confined.namespace == (None if target is None else target.namespace or "null")


@pytest.mark.parametrize(
    "written",
    [
        {"object_name": NAME, "hash_algorithm": "sha256", "hash_value": HASH},
        {"object_name": NAME, "key": NAME, "hash_algorithm": "sha256", "hash_value": HASH},
        {"key": NAME, "hash_algorithm": "sha256", "hash_value": HASH},
        {"object": NAME, "hashAlgorithm": "sha256", "hashValue": HASH},
    ],
    ids=["python", "go", "older go", "typescript"],
)
def test_what_each_sdk_wrote_is_read_and_becomes_what_the_python_sdk_writes(written: dict[str, str]) -> None:
    confined = confine(SETTINGS, StorageDriverClaim(claim_data={"bucket": "payloads", **written}))
    assert confined.claim == claim(NAME)
    assert (confined.sha256, confined.namespace) == (HASH, "default")


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        (claim(NAME, bucket="others"), "it points into bucket 'others', and this driver is for 'payloads'"),
        (claim(NAME, bucket=""), "it points into bucket ''"),
        (claim(NAME, key=NAME + "0"), "its object_name and key differ"),
        (claim(NAME, hash_algorithm="md5"), "hash_algorithm is not sha256"),
        (claim(NAME, hash_value="cd" * 32), "hash_value is not the hash in its object_name"),
        (claim("secrets.txt"), "is not one that the SDK's driver writes"),
        (claim(f"v1/d/sha256/{HASH}"), "is not one that the SDK's driver writes"),
        (claim(f"/v0/d/sha256/{HASH}"), "is not one that the SDK's driver writes"),
        (claim(f"v0/wt/T/wi/w/ri/r/d/sha256/{HASH}"), "is not one that the SDK's driver writes"),
        (claim(f"v0/ns/a/wt/T/ai/w/ri/r/d/sha256/{HASH}"), "is not one that the SDK's driver writes"),
        (claim(f"v0/ns/a/b/d/sha256/{HASH}"), "is not one that the SDK's driver writes"),
        (claim(f"v0/ns//d/sha256/{HASH}"), "is not one that the SDK's driver writes"),
        (claim(f"v0/ns/../d/sha256/{HASH}"), "is not one that the SDK's driver writes"),
        (claim(f"v0/ns/%61/d/sha256/{HASH}"), "is not one that the SDK's driver writes"),
        (claim(f"v0/ns/a%2fb/d/sha256/{HASH}"), "is not one that the SDK's driver writes"),
        (claim(f"v0/ns/%FF/d/sha256/{HASH}"), "is not one that the SDK's driver writes"),
        (claim(f"v0/ns/a?b/d/sha256/{HASH}"), "is not one that the SDK's driver writes"),
        (claim(f"v0/d/sha256/{HASH.upper()}"), "is not one that the SDK's driver writes"),
        (claim(f"v0/ns/{'ü' * 520}/d/sha256/{HASH}"), "longer than 1024 bytes"),
        (StorageDriverClaim(claim_data={}), "it needs object_name"),
    ],
)
def test_what_no_sdk_would_have_written_is_rejected(forged: StorageDriverClaim, reason: str) -> None:
    with pytest.raises(ClaimRejectedError, match="GCS claim rejected") as caught:
        confine(SETTINGS, forged)
    assert reason in str(caught.value)
    assert not caught.value.non_retryable


@given(st.text(max_size=60), st.sampled_from(["v0/ns/{}/d/sha256/", "v0/ns/a/wt/{}/wi/i/ri/r/d/sha256/"]))
def test_a_name_has_one_spelling(part: str, layout: str) -> None:
    name = layout.format(part) + HASH
    try:
        confined = confine(SETTINGS, claim(name))
    except ClaimRejectedError:
        return
    if layout.startswith("v0/ns/{}"):
        assert confined.namespace is not None
        again = sdk_claim(StorageDriverWorkflowInfo(namespace=confined.namespace, id="i"))
        assert again.claim_data["object_name"].startswith(f"v0/ns/{part}/wt/")


def test_a_bucket_for_each_namespace_keeps_claims_in_their_own() -> None:
    of_each = GCSSettings(bucket="of-{namespace}")
    assert confine(of_each, claim(NAME, bucket="of-default")).namespace == "default"
    for other in ("of-other", "payloads", "of-{namespace}"):
        with pytest.raises(ClaimRejectedError, match="it points into bucket"):
            confine(of_each, claim(NAME, bucket=other))
    with pytest.raises(ClaimRejectedError, match="the payload has none"):
        confine(of_each, claim(f"v0/d/sha256/{HASH}", bucket="of-"))
    with pytest.raises(ClaimRejectedError, match="is not a bucket's name"):
        confine(of_each, claim(f"v0/ns/{quote('a/b', safe='')}/d/sha256/{HASH}", bucket="of-a/b"))


def test_a_rejection_quotes_no_more_than_a_line() -> None:
    with pytest.raises(ClaimRejectedError) as caught:
        confine(SETTINGS, claim("x" * 1000, bucket="y" * 100_000))
    assert len(str(caught.value)) < 400
