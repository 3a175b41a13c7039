"""Payloads that are moved to another store are read from there, and from the old one until it is off."""

import asyncio
import itertools
import logging
import sys

import pytest
from temporal_payloads import ConfigurationError, PayloadSettings
from temporal_payloads._build.assembly import assemble
from temporal_payloads._storage import sources
from temporal_payloads.plugin import (
    ClaimRejectedError,
    PayloadIntegrityError,
    PayloadNotFoundError,
    StorageMisconfiguredError,
    StorageUnavailableError,
)
from temporalio.converter import StorageDriverClaim

OLD = {"type": "memory", "shelf": "old"}
NEW = {"type": "memory", "shelf": "new"}
MOVED = {**OLD, "moved_to": "new"}

sizes = itertools.count(4_567_000)
"""Caches are shared by all of the same size."""


@pytest.fixture
def make(registry):
    """Make the drivers of these tables."""

    def make(tables, *, cached=False, **storage):
        cache = {"max_size": next(sizes) if cached else 0}
        settings = PayloadSettings(storage={"driver": "new", "drivers": tables, "cache": cache, **storage})
        return assemble(settings, registry=registry).drivers

    return make


@pytest.fixture
def stored(make, store, store_context, make_payload):
    """Store payloads with the old driver as it was before; return them and their claims."""

    async def stored(*seeds, context=store_context):
        payloads = [make_payload(seed=seed) for seed in seeds]
        claims = await make({"old": OLD, "new": NEW})["old"].store(context, payloads)
        store.shelves_opened.clear()
        return payloads, claims

    return stored


def move(store, claim, *, start="old", end="new", copy=False):
    """Move a payload as the tool would."""
    key = claim.claim_data["key"]
    moved = key.replace(f"{start}/", f"{end}/", 1)
    store.items[moved] = store.items[key]
    if not copy:
        del store.items[key]


# -- where a payload is read from


async def test_a_payload_that_was_moved_is_read_from_the_new_store_and_the_old_one_is_not_asked(
    make, store, stored, retrieve_context
):
    payloads, claims = await stored("a", "b")
    for claim in claims:
        move(store, claim)
    old = make({"old": MOVED, "new": NEW})["old"]
    assert await old.retrieve(retrieve_context, claims) == payloads
    assert store.shelves_asked == ["new"]


async def test_one_that_was_not_moved_yet_is_read_from_the_old_store(make, store, stored, retrieve_context):
    payloads, claims = await stored("a")
    old = make({"old": MOVED, "new": NEW})["old"]
    assert await old.retrieve(retrieve_context, claims) == payloads
    assert store.shelves_asked == ["new", "old"]


async def test_of_several_each_is_read_from_where_it_is(make, store, stored, retrieve_context):
    payloads, claims = await stored("a", "b", "c")
    move(store, claims[1])
    old = make({"old": MOVED, "new": NEW})["old"]
    assert await old.retrieve(retrieve_context, claims) == payloads
    # All at once, then one by one to see which are there; and of the old store only those that are not.
    assert store.shelves_asked == ["new", "new", "new", "new", "old"]


async def test_while_a_store_lacks_some_it_is_asked_once_for_each_and_later_for_all_at_once_again(
    make, store, stored, retrieve_context, monkeypatch
):
    payloads, claims = await stored("a", "b", "c")
    move(store, claims[1])
    old = make({"old": MOVED, "new": NEW})["old"]
    await old.retrieve(retrieve_context, claims[:1])
    store.shelves_asked.clear()
    assert await old.retrieve(retrieve_context, claims) == payloads
    assert store.shelves_asked == ["new", "new", "new", "old"]
    move(store, claims[0])
    move(store, claims[2])
    monkeypatch.setattr(sources, "MISSES_FOR", -1)
    store.shelves_asked.clear()
    assert await old.retrieve(retrieve_context, claims) == payloads
    assert store.shelves_asked == ["new"]


async def test_what_is_stored_in_the_new_store_itself_is_read_as_ever(
    make, store, store_context, retrieve_context, make_payload
):
    new = make({"old": MOVED, "new": NEW})["new"]
    claims = await new.store(store_context, [make_payload()])
    assert await new.retrieve(retrieve_context, claims) == [make_payload()]
    assert store.shelves_asked == ["new"]


async def test_in_a_chain_the_newest_store_is_asked_first_and_one_that_is_off_never(
    make, store, stored, retrieve_context
):
    payloads, claims = await stored("a", "b", "c")
    move(store, claims[1], end="middle")
    move(store, claims[2])
    tables = {
        "old": {**OLD, "moved_to": "middle"},
        "middle": {"type": "memory", "shelf": "middle", "moved_to": "new"},
        "new": NEW,
    }
    assert await make(tables)["old"].retrieve(retrieve_context, claims) == payloads
    store.shelves_asked.clear()
    store.shelves_opened.clear()
    old = make({**tables, "middle": {**tables["middle"], "off": True}})["old"]
    assert await old.retrieve(retrieve_context, [claims[0], claims[2]]) == [payloads[0], payloads[2]]
    assert set(store.shelves_asked) == {"new", "old"}
    assert "middle" not in store.shelves_opened


async def test_a_payload_is_moved_under_its_own_namespace_or_under_none(
    make, store, stored, store_context, retrieve_context
):
    without = type(store_context)(target=None)
    for context in (store_context, without):
        payloads, claims = await stored("a", context=context)
        move(store, claims[0])
        old = make({"old": MOVED, "new": NEW})["old"]
        assert await old.retrieve(retrieve_context, claims) == payloads
    assert sorted(key.rpartition("/")[0] for key in store.items) == ["new/", "new/orders"]


# -- a store that is off


async def test_a_store_that_is_off_is_neither_opened_nor_checked_and_its_claims_are_read_from_the_new_one(
    make, store, stored, retrieve_context
):
    payloads, claims = await stored("a")
    move(store, claims[0])
    store.shelves_down.add("old")
    old = make({"old": {**MOVED, "off": True}, "new": NEW})["old"]
    async with old.kept_open(check=True):
        assert await old.retrieve(retrieve_context, claims) == payloads
    assert store.shelves_opened == ["new"]


async def test_what_was_not_moved_before_the_store_was_off_is_missing_and_the_error_says_what_to_do(
    make, stored, retrieve_context
):
    _, claims = await stored("a")
    old = make({"old": {**MOVED, "off": True}, "new": NEW})["old"]
    with pytest.raises(PayloadNotFoundError) as raised:
        await old.retrieve(retrieve_context, claims)
    assert not raised.value.non_retryable
    assert "'new'" in raised.value.message
    assert "take storage.drivers.old.off back, and run temporal-payloads migrate" in raised.value.message


async def test_a_store_that_is_off_is_not_opened_for_anything_else_either(make, store):
    old = make({"old": {**MOVED, "off": True}, "new": NEW})["old"]
    with pytest.raises(StorageMisconfiguredError, match=r"storage.drivers.old is off"):
        async with old.opened():
            pass
    assert store.shelves_opened == []


async def test_nothing_can_be_stored_in_a_store_that_is_off(make, store_context, make_payload):
    old = make({"old": {**MOVED, "off": True}, "new": NEW})["old"]
    with pytest.raises(StorageMisconfiguredError, match=r"storage.drivers.old is off"):
        await old.store(store_context, [make_payload()])


def test_a_driver_whose_client_library_is_not_installed_still_confines_claims_when_it_is_off(
    install, registry, monkeypatch
):
    install("shelf")
    tables = {"shelf": {"room": "1", "moved_to": "new", "off": True}, "new": NEW}
    monkeypatch.setitem(sys.modules, "shelf_client", None)
    settings = PayloadSettings(storage={"driver": "new", "drivers": tables})
    driver = assemble(settings, registry=registry).drivers["shelf"]
    with pytest.raises(ClaimRejectedError, match="The shelf is empty"):
        driver.confine(StorageDriverClaim(claim_data={"key": "a"}))


# -- confinement


async def test_a_claim_that_the_old_driver_rejects_is_looked_for_nowhere(
    make, store, stored, retrieve_context
):
    _, [claim] = await stored("a")
    move(store, claim)
    outside = StorageDriverClaim({**claim.claim_data, "key": claim.claim_data["key"].replace("old/", "new/")})
    for table in (MOVED, {**MOVED, "off": True}):
        old = make({"old": table, "new": NEW})["old"]
        with pytest.raises(ClaimRejectedError, match="outside this shelf"):
            await old.retrieve(retrieve_context, [outside])
    assert store.shelves_asked == []


async def test_a_claim_of_a_namespace_that_is_not_allowed_is_looked_for_nowhere(
    make, store, stored, retrieve_context
):
    _, claims = await stored("a")
    move(store, claims[0])
    old = make({"old": MOVED, "new": NEW}, namespaces=["billing"])["old"]
    with pytest.raises(ClaimRejectedError, match=r"storage.namespaces"):
        await old.retrieve(retrieve_context, claims)
    assert store.shelves_asked == []


async def test_a_driver_that_would_look_in_another_namespace_is_not_followed(
    make, store, stored, retrieve_context, monkeypatch
):
    _, claims = await stored("a")
    drivers = make({"old": {**MOVED, "off": True}, "new": NEW})
    async with drivers["new"]._inner.driver.use() as inner:
        claim_for = inner.claim_for
        monkeypatch.setattr(inner, "claim_for", lambda _, sha256: claim_for("billing", sha256))
        with pytest.raises(StorageMisconfiguredError, match="mistakes one payload for another"):
            await drivers["old"].retrieve(retrieve_context, claims)
    assert store.shelves_asked == []


# -- stores that fail


async def test_while_the_new_store_is_down_the_old_one_is_read(make, store, stored, retrieve_context, caplog):
    payloads, claims = await stored("a", "b")
    move(store, claims[1], copy=True)
    store.shelves_down.add("new")
    old = make({"old": MOVED, "new": NEW})["old"]
    assert await old.retrieve(retrieve_context, claims) == payloads
    assert store.shelves_asked == ["new", "old"]
    [record] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "'new'" in record.message
    assert "the shelf new is down" in record.message


@pytest.mark.usefixtures("leaping_clock")
async def test_a_new_store_that_gives_no_answer_leaves_the_old_one_time_to_answer(
    make, store, stored, retrieve_context, leaping_clock
):
    payloads, claims = await stored("a")
    store.shelves_frozen.add("new")
    old = make({"old": MOVED, "new": NEW}, timeout="1500ms")["old"]
    start = leaping_clock.monotonic()
    assert await old.retrieve(retrieve_context, claims) == payloads
    assert leaping_clock.monotonic() - start == pytest.approx(1.0)


async def test_a_payload_that_is_damaged_in_the_new_store_is_read_from_the_old_one(
    make, store, stored, retrieve_context, caplog
):
    payloads, claims = await stored("a")
    move(store, claims[0], copy=True)
    store.items[claims[0].claim_data["key"].replace("old", "new")] = b"damaged"
    old = make({"old": MOVED, "new": NEW})["old"]
    assert await old.retrieve(retrieve_context, claims) == payloads
    assert "the object was changed after it was stored" in caplog.text


async def test_one_that_is_damaged_there_and_gone_here_is_told_to_be_damaged(
    make, store, stored, retrieve_context
):
    _, claims = await stored("a")
    move(store, claims[0])
    store.items[claims[0].claim_data["key"].replace("old", "new")] = b"damaged"
    old = make({"old": MOVED, "new": NEW})["old"]
    with pytest.raises(PayloadIntegrityError):
        await old.retrieve(retrieve_context, claims)


@pytest.mark.parametrize("down", ["old", "new"])
async def test_while_one_of_the_stores_is_down_what_the_other_one_does_not_have_is_not_told_to_be_missing(
    make, store, stored, retrieve_context, down
):
    _, claims = await stored("a")
    store.items.clear()
    store.shelves_down.add(down)
    expiring = {"old": {**MOVED, "ttl": 60}, "new": {**NEW, "ttl": 60}}
    with pytest.raises(StorageUnavailableError, match=f"the shelf {down} is down"):
        await make(expiring)["old"].retrieve(retrieve_context, claims)


@pytest.mark.parametrize("off", [False, True])
@pytest.mark.parametrize(
    ("old_expires", "new_expires", "final"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
)
async def test_a_payload_that_no_store_has_is_gone_for_good_only_if_payloads_expire_in_both(
    make, store, stored, retrieve_context, old_expires, new_expires, final, off
):
    _, claims = await stored("a")
    store.items.clear()
    old = {**MOVED, "off": off} | ({"ttl": 60} if old_expires else {})
    new = NEW | ({"ttl": 60} if new_expires else {})
    with pytest.raises(PayloadNotFoundError) as raised:
        await make({"old": old, "new": new})["old"].retrieve(retrieve_context, claims)
    assert raised.value.non_retryable == final
    assert "'new'" in raised.value.message
    assert ("Storage driver 'old' has no payload" in raised.value.message) is not off


async def test_a_payload_that_is_moved_and_gone_from_the_old_store_while_it_is_looked_for_is_found(
    make, store, stored, retrieve_context
):
    payloads, claims = await stored("a")
    key = claims[0].claim_data["key"]

    class MovedWhenTheOldStoreIsAsked(dict[str, bytes]):
        def get(self, wanted, default=None):
            if wanted == key and key in self:
                self[key.replace("old/", "new/")] = self.pop(key)
            return super().get(wanted, default)

    store.items = MovedWhenTheOldStoreIsAsked(store.items)
    expiring = {"old": {**MOVED, "ttl": 60}, "new": {**NEW, "ttl": 60}}
    assert await make(expiring)["old"].retrieve(retrieve_context, claims) == payloads
    assert store.shelves_asked == ["new", "old", "new"]


async def test_missing_payload_overrides_that(make, store, stored, retrieve_context):
    _, claims = await stored("a")
    store.items.clear()
    tables = {"old": {**MOVED, "missing_payload": "fail"}, "new": NEW}
    with pytest.raises(PayloadNotFoundError) as raised:
        await make(tables)["old"].retrieve(retrieve_context, claims)
    assert raised.value.non_retryable


# -- the cache


async def test_concurrent_readers_of_a_moved_payload_share_one_fetch(make, store, stored, retrieve_context):
    payloads, claims = await stored("a")
    move(store, claims[0])
    old = make({"old": MOVED, "new": NEW})["old"]
    read = await asyncio.gather(*(old.retrieve(retrieve_context, claims) for _ in range(5)))
    assert read == [payloads] * 5
    assert store.shelves_asked == ["new"]


async def test_a_moved_payload_is_in_the_cache_once_for_references_to_either_store(
    make, store, stored, store_context, retrieve_context
):
    payloads, claims = await stored("a")
    move(store, claims[0])
    drivers = make({"old": MOVED, "new": NEW}, cached=True)
    await drivers["old"].retrieve(retrieve_context, claims)
    new_claim = StorageDriverClaim(
        {**claims[0].claim_data, "key": claims[0].claim_data["key"].replace("old/", "new/")}
    )
    assert await drivers["new"].retrieve(retrieve_context, [new_claim]) == payloads
    assert await drivers["old"].retrieve(retrieve_context, claims) == payloads
    assert store.shelves_asked == ["new"]


# -- what is refused


def problems(registry, tables, **storage):
    with pytest.raises(ConfigurationError) as raised:
        assemble(PayloadSettings(storage={"driver": "new", "drivers": tables, **storage}), registry=registry)
    return {problem.place: problem.message for problem in raised.value.problems}


def test_a_driver_cannot_be_moved_to_itself_nor_round_in_a_circle(registry):
    found = problems(registry, {"old": {**OLD, "moved_to": "old"}, "new": NEW})
    assert "leads back to the driver itself (old -> old)" in found["storage.drivers.old.moved_to"]
    middle = {"type": "memory", "shelf": "middle", "moved_to": "old"}
    found = problems(registry, {"old": {**OLD, "moved_to": "middle"}, "middle": middle, "new": NEW})
    assert "(old -> middle -> old)" in found["storage.drivers.old.moved_to"]
    assert "(middle -> old -> middle)" in found["storage.drivers.middle.moved_to"]


@pytest.mark.parametrize(
    ("tables", "place", "message"),
    [
        ({"old": {**OLD, "moved_to": "inline"}, "new": NEW}, "old.moved_to", "must be a driver"),
        ({"old": {**OLD, "moved_to": "nwe"}, "new": NEW}, "old.moved_to", "Did you mean 'new'?"),
        ({"old": {**OLD, "off": True}, "new": NEW}, "old.off", "needs moved_to"),
        (
            {"old": {**MOVED, "shelf": "new"}, "new": NEW},
            "old.moved_to",
            "storage.drivers.new leads to the same store",
        ),
        (
            {"old": {**MOVED, "fallback": "new"}, "new": NEW},
            "old.fallback",
            "can never be used: the driver is moved_to 'new'",
        ),
        (
            {
                "old": {**MOVED, "driver_name": "example.memory"},
                "new": {**NEW, "driver_name": "example.memory"},
            },
            "new",
            "the recorded driver name 'example.memory' is that of storage.drivers.old already",
        ),
    ],
)
def test_a_move_that_cannot_be_is_refused(registry, tables, place, message):
    assert message in problems(registry, tables)[f"storage.drivers.{place}"]


def test_nothing_new_can_be_routed_to_a_driver_that_is_moved(registry):
    found = problems(registry, {"old": MOVED, "new": NEW}, routes=[{"driver": "old", "min_size": 1}])
    assert "the driver 'old' is moved_to 'new', so nothing new can" in found["storage.routes[0].driver"]


def test_the_driver_that_others_are_moved_to_is_the_default_where_it_is_the_only_one_left(registry):
    settings = PayloadSettings(storage={"drivers": {"old": MOVED, "new": NEW}})
    assert settings.storage.default_driver == "new"


def test_a_driver_that_trusts_its_claims_cannot_be_moved(registry, install):
    install("legacy")
    tables = {"my_app.stores:PlainDriver": {"trust_claims": True, "moved_to": "new"}, "new": NEW}
    found = problems(registry, tables)
    assert "confines no claim" in found["storage.drivers.my_app.stores:PlainDriver.moved_to"]


async def test_a_driver_that_cannot_say_where_a_payload_lies_is_refused_when_it_is_opened(
    make, store, stored, retrieve_context, monkeypatch
):
    payloads, claims = await stored("a")
    drivers = make({"old": MOVED, "new": NEW})
    async with drivers["new"].kept_open():
        async with drivers["new"]._inner.driver.use() as inner:
            monkeypatch.setattr(inner, "claim_for", None)
        with pytest.raises(StorageMisconfiguredError, match="has no method claim_for"):
            async with drivers["new"].kept_open(check=True):
                pass
        # Where nobody opened it beforehand, the old store is read.
        assert await drivers["old"].retrieve(retrieve_context, claims) == payloads
