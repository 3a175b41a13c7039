import hashlib
import json
import tracemalloc
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporal_payloads.plugin import ClaimRejectedError
from temporal_payloads_redis._keys import key_layout
from temporal_payloads_redis._plugin import temporal_payloads_driver
from temporal_payloads_redis._settings import RedisSettings
from temporalio.converter import StorageDriverActivityInfo, StorageDriverClaim, StorageDriverWorkflowInfo

VECTORS = json.loads(
    (Path(__file__).parents[3] / "tests" / "vectors" / "storage_claims.json").read_text(encoding="utf-8")
)
LAYOUT = key_layout("temporalio:payloads")
PREFIX = LAYOUT.prefix
SHA256 = hashlib.sha256(b"x").hexdigest()
CONFINE = temporal_payloads_driver().confine
SETTINGS = RedisSettings(host="127.0.0.1")

maybe_text = st.none() | st.text(max_size=30)
targets = (
    st.none()
    | st.builds(
        StorageDriverWorkflowInfo,
        namespace=st.text(max_size=30),
        id=maybe_text,
        run_id=maybe_text,
        type=maybe_text,
    )
    | st.builds(
        StorageDriverActivityInfo,
        namespace=st.text(max_size=30),
        id=maybe_text,
        run_id=maybe_text,
        type=maybe_text,
    )
)


# As long as Temporal's server takes them: 1,000 bytes, each of which may be quoted.
long_names = st.sampled_from(["a" * 1000, "/" * 1000, "ü" * 500, "\N{SPEAKER}" * 250])
long_targets = st.builds(
    StorageDriverWorkflowInfo, namespace=long_names, id=long_names, run_id=long_names, type=long_names
)


def target_of(described):
    if described is None:
        return None
    kinds = {"workflow": StorageDriverWorkflowInfo, "activity": StorageDriverActivityInfo}
    fields = dict(described)
    return kinds[fields.pop("kind")](**fields)


def claim(key=f"{PREFIX}v0:d:sha256:{SHA256}", **changes):
    data = {"key": key, "hash_algorithm": "sha256", "hash_value": SHA256, **changes}
    return StorageDriverClaim(claim_data={name: value for name, value in data.items() if value is not None})


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: json.dumps(case["target"])[:60])
def test_keys_are_those_of_the_sample(case):
    expected = case["redis_claim"]
    assert LAYOUT.write(target_of(case["target"]), expected["hash_value"]) == expected["key"]


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: json.dumps(case["target"])[:60])
def test_claims_of_the_sample_are_inside_the_default_settings(case):
    confined = CONFINE(SETTINGS, StorageDriverClaim(claim_data=case["redis_claim"]))
    assert dict(confined.claim.claim_data) == case["redis_claim"]
    assert confined.sha256 == case["redis_claim"]["hash_value"]
    assert confined.namespace == ((case["target"] or {}).get("namespace") or None)


@given(
    target=targets | long_targets,
    key_prefix=st.sampled_from(["temporalio:payloads", "p", "p:::", "", "a b:{c}", "p" * 1024]),
)
def test_every_key_that_is_written_is_inside_and_names_its_namespace(target, key_prefix):
    settings = RedisSettings(host="127.0.0.1", key_prefix=key_prefix)
    key = key_layout(key_prefix).write(target, SHA256)
    confined = CONFINE(settings, claim(key))
    assert confined.namespace == ((target.namespace or None) if target else None)


@given(target=targets, data=st.data())
def test_a_changed_key_is_rejected_or_is_the_only_spelling_of_another_payload(target, data):
    key = LAYOUT.write(target, SHA256)
    start = data.draw(st.integers(0, len(key)))
    end = data.draw(st.integers(start, min(len(key), start + 3)))
    changed = key[:start] + data.draw(st.text("abv0nsdwtiar:%25F{}*\n\0/.", max_size=4)) + key[end:]
    found = LAYOUT.read(changed)
    if found is not None:
        said = what_it_says(changed)
        assert LAYOUT.write(said, found.sha256) == changed
        assert found.namespace == ((said.namespace or None) if said else None)


def what_it_says(key):
    """Return the target that a key speaks of, read with no care at all."""
    parts = [unquote(part) for part in key.removeprefix(PREFIX).split(":")]
    named = dict(zip(parts[1:-3:2], parts[2:-3:2], strict=True))
    if not named:
        return None
    kind = StorageDriverWorkflowInfo if "wt" in named else StorageDriverActivityInfo
    return kind(
        namespace=named.get("ns", ""),
        type=named.get("wt") or named.get("at"),
        id=named.get("wi") or named.get("ai"),
        run_id=named["ri"],
    )


@pytest.mark.parametrize(
    "key",
    [
        "",
        SHA256,
        f"other:v0:d:sha256:{SHA256}",
        f"temporalio:payloadsv0:d:sha256:{SHA256}",
        f"{PREFIX}v1:d:sha256:{SHA256}",
        f"{PREFIX}v0:d:sha256:{SHA256.upper()}",
        f"{PREFIX}v0:d:sha256:{SHA256[:-1]}",
        f"{PREFIX}v0:d:sha256:{SHA256}\n",
        f"{PREFIX}v0:d:md5:{SHA256}",
        f"{PREFIX}v0:ns:n:d:sha256:{SHA256}",
        f"{PREFIX}v0:ns::wt:T:wi:w:ri:r:d:sha256:{SHA256}",
        f"{PREFIX}v0:ns:n:w:T:twi:w:ri:r:d:sha256:{SHA256}",
        f"{PREFIX}v0:ns:n:wt:T:ai:w:ri:r:d:sha256:{SHA256}",
        f"{PREFIX}v0:ns:n:wt:T:wi:w:d:sha256:{SHA256}",
        f"{PREFIX}v0:ns:n:wt:T:wi:a/b:ri:r:d:sha256:{SHA256}",
        f"{PREFIX}v0:ns:n:wt:T:wi:a%2fb:ri:r:d:sha256:{SHA256}",
        f"{PREFIX}v0:ns:%6E:wt:T:wi:w:ri:r:d:sha256:{SHA256}",
        f"{PREFIX}v0:ns:%FF:wt:T:wi:w:ri:r:d:sha256:{SHA256}",
        f"{PREFIX}v0:ns:n:wt:T:wi:w:ri:r:d:sha256:{SHA256}:d:sha256:{SHA256}",
    ],
)
def test_a_key_that_the_driver_does_not_write_is_rejected(key):
    with pytest.raises(ClaimRejectedError, match="none that this driver writes"):
        CONFINE(SETTINGS, claim(key))


@pytest.mark.parametrize(
    "changes",
    [
        {"hash_value": None},
        {"hash_value": ""},
        {"hash_value": "0" * 64},
        {"hash_value": SHA256.upper()},
        {"hash_algorithm": None},
        {"hash_algorithm": "md5"},
    ],
)
def test_a_claim_without_the_hash_that_stands_in_its_key_is_rejected(changes):
    with pytest.raises(ClaimRejectedError, match="hash_algorithm=sha256"):
        CONFINE(SETTINGS, claim(**changes))


def test_only_what_a_claim_consists_of_reaches_the_driver():
    confined = CONFINE(SETTINGS, claim(bucket="elsewhere"))
    assert set(confined.claim.claim_data) == {"key", "hash_algorithm", "hash_value"}


def test_a_claim_of_another_prefix_is_outside():
    settings = RedisSettings(host="127.0.0.1", key_prefix="temporalio:other")
    with pytest.raises(ClaimRejectedError, match="temporalio:other:"):
        CONFINE(settings, claim())


FILLINGS = {
    "letters": lambda length: "a" * length,
    "quoted": lambda length: "%C3%BC" * (length // 6),
    "quoted though it need not be": lambda length: "%41" * (length // 3),
    "separators": lambda length: ":" * length,
    "zeros": lambda length: "\0" * length,
}
PLACES = {
    "in the prefix": "{}:v0:d:sha256:" + SHA256,
    "as the namespace": f"{PREFIX}v0:ns:{{}}:wt:T:wi:w:ri:r:d:sha256:{SHA256}",
    "as the run id": f"{PREFIX}v0:wt:T:wi:w:ri:{{}}:d:sha256:{SHA256}",
    "as the hash": f"{PREFIX}v0:d:sha256:{{}}",
    "at the end": f"{PREFIX}v0:d:sha256:{SHA256}{{}}",
}


def memory_to_refuse(forged):
    """Return the bytes at the peak of rejecting a claim, and how many of them are kept."""
    tracemalloc.start()
    try:
        with pytest.raises(ClaimRejectedError) as caught:
            CONFINE(SETTINGS, forged)
        assert len(str(caught.value)) < 2_000
        del caught
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak, left


@pytest.mark.parametrize("filling", FILLINGS.values(), ids=FILLINGS)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_key_of_megabytes_is_rejected_and_costs_no_memory(filling, place):
    peak, left = memory_to_refuse(claim(place.format(filling(12_000_000))))
    assert peak < 100_000
    assert left < 100_000


def test_a_hash_of_megabytes_is_rejected_and_costs_no_memory():
    peak, _ = memory_to_refuse(claim(hash_value="a" * 12_000_000))
    assert peak < 100_000


@settings(max_examples=50, deadline=None)
@given(
    length=st.integers(0, 13_000),
    filling=st.sampled_from(list(FILLINGS.values())),
    place=st.sampled_from(list(PLACES.values())),
)
def test_the_longest_keys_that_are_looked_at_take_little_memory(length, filling, place):
    peak, _ = memory_to_refuse(claim(place.format(filling(length)), hash_value="0" * 64))
    assert peak < 1_500_000


def test_a_key_with_a_longer_name_than_the_server_takes_is_rejected():
    names = {"namespace": "/" * 1000, "id": "/" * 1000, "run_id": "/" * 1000, "type": "/" * 1001}
    key = LAYOUT.write(StorageDriverWorkflowInfo(**names), SHA256)
    with pytest.raises(ClaimRejectedError, match="none that this driver writes"):
        CONFINE(SETTINGS, claim(key))
