"""A claim is measured before a driver looks at it: however large, it costs nothing but to be counted."""

import tracemalloc

import pytest
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import assemble
from temporal_payloads._storage.alias import DriverAlias
from temporal_payloads._storage.claim_bounds import MAX_CLAIM_ENTRIES, MAX_CLAIM_SIZE, bounded
from temporal_payloads.plugin import ClaimRejectedError, ContentAddressedDriver
from temporalio.converter import StorageDriverClaim

SHA256 = "ab" * 32
TWELVE_MB = "x" * 12_000_000


def claim(**data):
    return StorageDriverClaim(
        claim_data={"key": f"main/orders/{SHA256}", "hash_algorithm": "sha256", "hash_value": SHA256, **data}
    )


OVERSIZED = {
    "a long key": claim(key=f"main/{TWELVE_MB}/{SHA256}"),
    "a long hash": claim(hash_value=TWELVE_MB),
    "a long value that no driver reads": claim(more=TWELVE_MB),
    "a long name": claim(**{TWELVE_MB: ""}),
    "many entries": claim(**{str(number): "" for number in range(MAX_CLAIM_ENTRIES)}),
    "many that are long together": claim(**{str(n): "x" * (MAX_CLAIM_SIZE // 9) for n in range(10)}),
}


@pytest.fixture
def looked_at(memory, monkeypatch):
    """The claims that the plugin was shown."""
    shown = []
    confine = memory.confine

    def look(settings, claim):
        shown.append(claim)
        return confine(settings, claim)

    monkeypatch.setattr(memory, "confine", look)
    return shown


@pytest.fixture
def driver(looked_at, registry):
    settings = PayloadSettings(storage={"drivers": {"memory": {}}})
    return assemble(settings, registry=registry).drivers["memory"]


@pytest.mark.parametrize("forged", OVERSIZED.values(), ids=OVERSIZED)
async def test_an_oversized_claim_is_rejected_before_the_driver_looks_at_it(
    driver, looked_at, retrieve_context, forged
):
    for read in (driver, DriverAlias(driver, "earlier")):
        with pytest.raises(ClaimRejectedError, match=r"at most \d+ are accepted$") as caught:
            await read.retrieve(retrieve_context, [forged])
        assert len(str(caught.value)) < 200
    with pytest.raises(ClaimRejectedError):
        driver.confine(forged)
    assert looked_at == []


@pytest.mark.parametrize("forged", OVERSIZED.values(), ids=OVERSIZED)
def test_to_refuse_a_claim_takes_no_memory(forged):
    tracemalloc.start()
    try:
        with pytest.raises(ClaimRejectedError):
            bounded(forged)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


def test_a_claim_with_the_longest_names_that_temporal_takes_is_within_the_bound():
    longest = ":".join("%C3%BC" * 500 for _ in ("namespace", "type", "id", "run id"))
    largest = claim(key=f"{'p' * 4000}:{longest}", bucket="b" * 63)
    assert bounded(largest) is largest


class ByHand(ContentAddressedDriver):
    """A driver without core's confinement around it."""

    def key_for(self, target, sha256):
        raise NotImplementedError

    async def write(self, items):
        raise NotImplementedError

    async def read(self, keys):
        raise AssertionError("the store was asked")


async def test_a_driver_that_is_wired_by_hand_rejects_an_oversized_claim_as_well(retrieve_context):
    with pytest.raises(ClaimRejectedError, match="at most"):
        await ByHand(driver_name="d").retrieve(retrieve_context, [OVERSIZED["a long key"]])
