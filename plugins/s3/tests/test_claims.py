"""Which claims lie inside a driver's settings: those that the SDK's driver makes, and no others."""

import asyncio
import base64
import json
import posixpath
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporal_payloads.plugin import ClaimRejectedError
from temporal_payloads_s3._claims import bucket_for, confine
from temporal_payloads_s3._settings import S3Settings
from temporalio.api.common.v1 import Payload
from temporalio.contrib.aws.s3driver import S3StorageDriver, S3StorageDriverClient
from temporalio.converter import (
    StorageDriverActivityInfo,
    StorageDriverClaim,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

VECTORS = Path(__file__).parents[3] / "tests" / "vectors"
SETTINGS = S3Settings(bucket="payloads")
HASH = "ab" * 32

Target = StorageDriverWorkflowInfo | StorageDriverActivityInfo | None


class Nowhere(S3StorageDriverClient):
    """Keeps nothing: only the claims matter."""

    async def put_object(self, *, bucket: str, key: str, data: bytes) -> None:
        pass

    async def object_exists(self, *, bucket: str, key: str) -> bool:
        return False

    async def get_object(self, *, bucket: str, key: str) -> bytes:
        raise NotImplementedError


def sdk_claim(target: Target, *, bucket: str = "payloads") -> StorageDriverClaim:
    driver = S3StorageDriver(Nowhere(), bucket)
    claims = asyncio.run(driver.store(StorageDriverStoreContext(target=target), [Payload(data=b"x")]))
    return claims[0]


def claim(key: str, *, bucket: str = "payloads", sha256: str = HASH, **more: str) -> StorageDriverClaim:
    data = {"bucket": bucket, "key": key, "hash_algorithm": "sha256", "hash_value": sha256, **more}
    return StorageDriverClaim(claim_data=data)


# A server can have no namespace of that name: see the test of `..` below.
namespaces = st.text(max_size=40).filter(lambda name: name not in {".", ".."})
names = st.none() | st.text(max_size=40) | st.text("a/ü%~", min_size=300, max_size=400)
targets: st.SearchStrategy[Target] = st.one_of(
    st.none(),
    *(
        st.builds(kind, namespace=namespaces, id=names, run_id=names, type=names)
        for kind in (StorageDriverWorkflowInfo, StorageDriverActivityInfo)
    ),
)


@given(targets)
def test_every_claim_that_the_sdk_makes_is_confined_to_its_namespace(target: Target) -> None:
    made = sdk_claim(target)
    confined = confine(SETTINGS, made)
    assert confined.claim == made
    assert confined.sha256 == made.claim_data["hash_value"]
    # The SDK writes an empty namespace as it writes one that is called "null".
    assert confined.namespace == (None if target is None else target.namespace or "null")


def resembling(key: str) -> Target:
    """Return the target that a key speaks of, read with no care at all."""
    parts = [unquote(part) for part in key.split("/")]
    if "ns" not in parts:
        return None
    if "wt" not in parts and "at" not in parts:  # the short form, which stands for any long name
        return StorageDriverWorkflowInfo(namespace=parts[2], id="x" * 1024)
    kind = StorageDriverWorkflowInfo if parts[3] == "wt" else StorageDriverActivityInfo
    return kind(namespace=parts[2], type=parts[4], id=parts[6], run_id=parts[8])


@st.composite
def mutations(draw: st.DrawFn, keys: Sequence[str]) -> str:
    key = draw(st.sampled_from(keys))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(key)))
        end = draw(st.integers(start, min(start + 3, len(key))))
        inserted = draw(
            st.sampled_from(["", "/", "..", "%", "%2F", "%61", "~", "A", "a", "0", "null", "/ns/x", "\n"])
        )
        key = key[:start] + inserted + key[end:]
    return key


@given(
    mutations(
        [
            f"v0/d/sha256/{HASH}",
            f"v0/ns/default/d/sha256/{HASH}",
            f"v0/ns/default/wt/T/wi/order%201/ri/null/d/sha256/{HASH}",
            f"v0/ns/%C3%BC/at/T/ai/a/ri/r/d/sha256/{HASH}",
        ]
    )
)
def test_a_key_that_was_tampered_with_is_rejected_or_is_one_that_the_sdk_makes(key: str) -> None:
    try:
        confined = confine(SETTINGS, claim(key, sha256=key[-64:]))
    except ClaimRejectedError:
        return
    target = resembling(key)
    made = sdk_claim(target).claim_data
    assert key == made["key"].replace(made["hash_value"], confined.sha256)
    assert confined.namespace == (target.namespace if target else None)


@pytest.mark.parametrize(
    "key",
    [
        "",
        HASH,
        f"v1/d/sha256/{HASH}",
        f"/v0/d/sha256/{HASH}",
        f"v0/d/sha256/{HASH}/",
        f"v0/d/sha256/{HASH}\n",
        f"v0/d/sha256/{HASH.upper()}",
        f"v0/d/sha256/{HASH[:-1]}",
        f"v0/d/md5/{HASH}",
        f"v0/../other/d/sha256/{HASH}",
        f"v0/ns/../d/sha256/{HASH}",
        f"v0/ns/./d/sha256/{HASH}",
        f"v0/ns//d/sha256/{HASH}",
        f"v0/ns/a/../b/d/sha256/{HASH}",
        f"v0/ns/a/ns/b/d/sha256/{HASH}",
        f"v0/ns/a/wt/T/wi/i/d/sha256/{HASH}",
        f"v0/ns/a/w/T/twi/w/ri/r/d/sha256/{HASH}",
        f"v0/ns/a/wt/T/ai/i/ri/r/d/sha256/{HASH}",
        f"v0/ns/a/wt/T/wi/i/ri/r/x/d/sha256/{HASH}",
        f"v0/wt/T/wi/i/ri/r/d/sha256/{HASH}",
        f"v0/ns/%61/d/sha256/{HASH}",
        f"v0/ns/%c3%bc/d/sha256/{HASH}",
        f"v0/ns/%FF/d/sha256/{HASH}",
        f"v0/ns/~/d/sha256/{HASH}",
        f"v0/ns/ü/d/sha256/{HASH}",
        f"v0/ns/a/wt/{'T' * 1000}/wi/i/ri/r/d/sha256/{HASH}",
    ],
)
def test_any_other_key_is_rejected(key: str) -> None:
    with pytest.raises(ClaimRejectedError):
        confine(SETTINGS, claim(key))


FILLINGS: dict[str, Callable[[int], str]] = {
    "letters": lambda length: "a" * length,
    "quoted": lambda length: "%C3%BC" * (length // 6),
    "quoted though it need not be": lambda length: "%41" * (length // 3),
    "separators": lambda length: "/" * length,
    "zeros": lambda length: "\0" * length,
}
PLACES = {
    "first": "{}/d/sha256/" + HASH,
    "as the namespace": f"v0/ns/{{}}/d/sha256/{HASH}",
    "as the run id": f"v0/ns/n/wt/T/wi/i/ri/{{}}/d/sha256/{HASH}",
    "as the hash": "v0/d/sha256/{}",
    "at the end": f"v0/d/sha256/{HASH}{{}}",
}


def memory_to_refuse(forged: StorageDriverClaim) -> int:
    """Return the bytes at the peak of rejecting a claim, beyond the claim itself."""
    tracemalloc.start()
    try:
        with pytest.raises(ClaimRejectedError) as caught:
            confine(SETTINGS, forged)
        assert len(str(caught.value)) < 1_000
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("filling", FILLINGS.values(), ids=FILLINGS)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_key_of_megabytes_is_rejected_and_costs_no_memory(
    filling: Callable[[int], str], place: str
) -> None:
    assert memory_to_refuse(claim(place.format(filling(12_000_000)))) < 100_000


def test_a_hash_or_bucket_of_megabytes_is_rejected_and_costs_no_memory() -> None:
    long = "a" * 12_000_000
    key = f"v0/d/sha256/{HASH}"
    for forged in (claim(key, sha256=long), claim(key, bucket=long), claim(key, hashValue=long)):
        assert memory_to_refuse(forged) < 100_000


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 1_100),
    st.sampled_from(list(FILLINGS.values())),
    st.sampled_from(list(PLACES.values())),
)
def test_the_longest_keys_that_are_looked_at_take_little_memory(
    length: int, filling: Callable[[int], str], place: str
) -> None:
    forged = claim(place.format(filling(length)), sha256="0" * 64)
    assert memory_to_refuse(forged) < 200_000


def test_a_key_that_s3_would_not_take_is_rejected_in_either_form() -> None:
    for target in (
        StorageDriverWorkflowInfo(namespace="n" * 944),
        StorageDriverWorkflowInfo(namespace="n", type="T", id="i" * 929, run_id="r"),
    ):
        made = sdk_claim(target)
        assert len(made.claim_data["key"]) == 1024
        assert confine(SETTINGS, made).claim == made
    with pytest.raises(ClaimRejectedError, match="S3 takes no more than 1024"):
        confine(SETTINGS, sdk_claim(StorageDriverWorkflowInfo(namespace="n" * 945)))


def test_ids_that_look_like_paths_lead_nowhere_else_even_if_a_server_resolves_them() -> None:
    made = sdk_claim(StorageDriverWorkflowInfo(namespace="default", type=".", id="..", run_id=".."))
    confined = confine(SETTINGS, made)
    assert confined.claim == made
    resolved = posixpath.normpath(made.claim_data["key"])
    assert resolved.startswith("v0/ns/default/")
    assert resolved.endswith(f"/d/sha256/{confined.sha256}")


def test_another_bucket_is_rejected() -> None:
    with pytest.raises(ClaimRejectedError, match="'secrets', and this driver is for 'payloads'"):
        confine(SETTINGS, claim(f"v0/d/sha256/{HASH}", bucket="secrets"))


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"hash_value": HASH},
        {"hash_algorithm": "sha256"},
        {"hash_algorithm": "md5", "hash_value": HASH},
        {"hash_algorithm": "sha256", "hash_value": "cd" * 32},
        {"hash_algorithm": "sha256", "hash_value": HASH, "hashValue": "cd" * 32},
        {"hash_algorithm": "sha256", "hash_value": HASH, "hashAlgorithm": "md5"},
    ],
)
def test_a_claim_needs_the_sha256_that_its_key_names(data: dict[str, str]) -> None:
    whole = {"bucket": "payloads", "key": f"v0/d/sha256/{HASH}", **data}
    with pytest.raises(ClaimRejectedError, match="hash"):
        confine(SETTINGS, StorageDriverClaim(claim_data=whole))


def test_what_a_claim_says_beside_is_dropped() -> None:
    confined = confine(SETTINGS, claim(f"v0/d/sha256/{HASH}", endpoint_url="http://evil.example"))
    assert confined.claim == claim(f"v0/d/sha256/{HASH}")


@pytest.mark.parametrize("spelling", ["canonical", "typescript"])
def test_claims_of_every_sdk_become_canonical(spelling: str) -> None:
    vectors = json.loads((VECTORS / "references.json").read_text())
    reference = Payload.FromString(base64.b64decode(vectors["references"][spelling]))
    expected = vectors["expected"]
    confined = confine(SETTINGS, StorageDriverClaim(claim_data=json.loads(reference.data)["claimData"]))
    assert confined.claim == claim(expected["key"], bucket=expected["bucket"], sha256=expected["hash_value"])


@pytest.mark.parametrize(
    "case",
    json.loads((VECTORS / "storage_claims.json").read_text())["cases"],
    ids=lambda case: str(case["target"]),
)
def test_the_vectors_are_confined_as_they_are(case: dict[str, dict[str, str]]) -> None:
    confined = confine(SETTINGS, StorageDriverClaim(claim_data=case["s3_claim"]))
    assert confined.claim.claim_data == case["s3_claim"]


@given(namespaces)
def test_a_bucket_template_yields_a_bucket_for_the_keys_own_namespace_only(namespace: str) -> None:
    settings = S3Settings(bucket="payloads-{namespace}")
    target = StorageDriverWorkflowInfo(namespace=namespace, id="w")
    try:
        bucket = bucket_for(settings, namespace)
    except ValueError:
        with pytest.raises(ClaimRejectedError):
            confine(settings, sdk_claim(target, bucket=f"payloads-{namespace}"))
        return
    assert confine(settings, sdk_claim(target, bucket=bucket)).namespace == namespace
    with pytest.raises(ClaimRejectedError):
        confine(settings, sdk_claim(target, bucket="payloads-somebody-else"))


def test_a_key_without_namespace_lies_in_no_bucket_of_a_template() -> None:
    with pytest.raises(ClaimRejectedError, match="needs a namespace"):
        confine(
            S3Settings(bucket="payloads-{namespace}"), claim(f"v0/d/sha256/{HASH}", bucket="payloads-None")
        )


@pytest.mark.parametrize("namespace", ["..", "a/b", "a..b", "x?y", "Ä"])
def test_a_namespace_that_makes_no_bucket_name_has_no_bucket(namespace: str) -> None:
    with pytest.raises(ValueError, match="namespace"):
        bucket_for(S3Settings(bucket="payloads-{namespace}"), namespace)
