import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporal_payloads.plugin import (
    ClaimRejectedError,
    ContentAddressedDriver,
    KeyLayout,
    ParsedKey,
    StorageMisconfiguredError,
)
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverActivityInfo,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverWorkflowInfo,
)

SHA256 = "ab" * 32
EMPTY = hashlib.sha256(b"").hexdigest()
WORKFLOW = StorageDriverWorkflowInfo(namespace="prod", type="Order", id="order/1", run_id="r")
LAYOUTS = {
    "paths": KeyLayout(),
    "paths below a prefix, no longer than S3 takes": KeyLayout("team/", max_length=1024),
    "the SDK's": KeyLayout(max_length=1024, escape_final_dots=False),
    "with colons": KeyLayout("p:", separator=":", unescaped="_.-~", escape_final_dots=False),
}

names = st.none() | st.text(max_size=30) | st.sampled_from([".", "..", "a.", "null", "~", "ü/: %41"])
targets = st.none() | st.one_of(
    *(
        st.builds(kind, namespace=st.text(max_size=30), id=names, run_id=names, type=names)
        for kind in (StorageDriverWorkflowInfo, StorageDriverActivityInfo)
    )
)


def test_a_key_names_the_workflow_and_the_hash():
    key = KeyLayout("team/").write(WORKFLOW, SHA256)
    assert key == f"team/v0/ns/prod/wt/Order/wi/order%2F1/ri/r/d/sha256/{SHA256}"
    assert KeyLayout().write(None, SHA256) == f"v0/d/sha256/{SHA256}"


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@given(target=targets, other=st.none() | st.text(min_size=1, max_size=30))
def test_a_key_begins_with_a_prefix_of_its_namespace_and_of_no_other(layout, target, other):
    namespace = target.namespace or None if target else None
    try:
        key = layout.write(target, SHA256)
    except StorageMisconfiguredError:
        return  # too long for the store
    assert any(key.startswith(prefix) for prefix in layout.prefixes([namespace]))
    begins = any(key.startswith(prefix) for prefix in layout.prefixes([other]))
    assert begins == (other == namespace)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@given(target=targets)
def test_every_claim_that_is_made_is_confined_to_its_namespace(layout, target):
    claim = layout.claim(layout.write(target, SHA256), SHA256)
    confined = layout.confine(claim)
    assert (confined.claim, confined.sha256) == (claim, SHA256)
    assert confined.namespace == ((target.namespace or None) if target else None)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@given(target=targets)
def test_a_key_that_was_written_tells_for_what(layout, target):
    parsed = layout.read(layout.write(target, SHA256))
    told = (parsed.kind, parsed.type, parsed.id, parsed.run_id)
    if target is None or parsed.kind is None:  # for the latter the names were too long
        assert told == (None, None, None, None)
    else:
        kind = "workflow" if isinstance(target, StorageDriverWorkflowInfo) else "activity"
        assert told == (kind, *(name or "null" for name in (target.type, target.id, target.run_id)))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@given(one=targets, other=targets)
def test_two_targets_share_a_key_only_if_they_are_written_alike(layout, one, other):
    def said(target):
        if target is None:
            return None
        names = (target.type, target.id, target.run_id)
        return (type(target), target.namespace, *(name or "null" for name in names))

    if said(one) != said(other):
        assert layout.write(one, SHA256) != layout.write(other, SHA256)


@given(namespace=st.text("./a", min_size=1, max_size=6), id_=st.text("./a", min_size=1, max_size=6))
def test_no_part_of_a_path_is_one_that_is_resolved(namespace, id_):
    key = KeyLayout().write(StorageDriverWorkflowInfo(namespace=namespace, id=id_), SHA256)
    assert not any(part.endswith(".") for part in key.split("/"))


def test_where_a_key_would_be_too_long_the_workflow_is_left_out():
    target = StorageDriverWorkflowInfo(namespace="prod", id="ü" * 300)
    layout = KeyLayout(max_length=1024)
    assert layout.write(target, SHA256) == f"v0/ns/prod/d/sha256/{SHA256}"
    assert layout.read(f"v0/ns/prod/d/sha256/{SHA256}") == ParsedKey(namespace="prod", sha256=SHA256)
    assert len(KeyLayout().write(target, SHA256)) > 1024


def test_a_namespace_that_does_not_fit_is_an_error():
    with pytest.raises(StorageMisconfiguredError, match="no more than 1024"):
        KeyLayout(max_length=1024).write(StorageDriverWorkflowInfo(namespace="ü" * 400), SHA256)


def test_a_claim_says_where_its_key_is_and_another_place_is_rejected():
    layout = KeyLayout(fields={"container": "payloads"})
    claim = layout.claim(layout.write(WORKFLOW, SHA256), SHA256)
    assert claim.claim_data["container"] == "payloads"
    for container in ("other", None):
        data = {**claim.claim_data, "container": container}
        forged = StorageDriverClaim({name: value for name, value in data.items() if value is not None})
        with pytest.raises(ClaimRejectedError, match="this driver is for 'payloads'"):
            layout.confine(forged)


def test_what_else_a_claim_says_does_not_reach_the_driver():
    claim = KeyLayout().claim(f"v0/d/sha256/{SHA256}", SHA256)
    more = StorageDriverClaim({**claim.claim_data, "version": "1"})
    assert KeyLayout().confine(more).claim == claim


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_name_that_is_no_text_is_rejected(layout):
    key = layout.write(WORKFLOW, SHA256).replace("prod", "\ud800")
    data = {"key": key, "hash_algorithm": "sha256", "hash_value": SHA256}
    with pytest.raises(ClaimRejectedError):
        layout.confine(StorageDriverClaim(claim_data=data))


class Shelf(ContentAddressedDriver):
    """Has a payload under every key that it is asked for."""

    def type(self):
        return "shelf"

    async def write(self, items):
        raise NotImplementedError

    async def read(self, keys):
        return [b""] * len(keys)


class ShelfWithKeysOfItsOwn(Shelf):
    def key_for(self, target, sha256):
        return f"own/{sha256}"


class ShelfThatConfines(ShelfWithKeysOfItsOwn):
    def confine(self, claim):
        if not claim.claim_data["key"].startswith("own/"):
            raise ClaimRejectedError("not our own")
        return super().confine(
            StorageDriverClaim(claim_data={**claim.claim_data, "key": f"v0/d/sha256/{EMPTY}"})
        )


async def test_a_driver_by_itself_asks_its_store_for_no_key_that_it_cannot_have_written():
    def retrieve(driver, key):
        data = {"key": key, "hash_algorithm": "sha256", "hash_value": EMPTY}
        return driver.retrieve(StorageDriverRetrieveContext(), [StorageDriverClaim(claim_data=data)])

    own = f"own/{EMPTY}"
    assert await retrieve(Shelf(driver_name="shelf"), f"v0/d/sha256/{EMPTY}") == [Payload()]
    for key in (own, f"../d/sha256/{EMPTY}", f"v0/ns/../d/sha256/{EMPTY}"):
        with pytest.raises(ClaimRejectedError):
            await retrieve(Shelf(driver_name="shelf"), key)
    assert await retrieve(ShelfWithKeysOfItsOwn(driver_name="shelf"), own) == [Payload()]
    assert await retrieve(ShelfThatConfines(driver_name="shelf"), own) == [Payload()]
    with pytest.raises(ClaimRejectedError, match="not our own"):
        await retrieve(ShelfThatConfines(driver_name="shelf"), "../own")
