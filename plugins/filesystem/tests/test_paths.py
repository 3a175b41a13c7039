"""Where in the directory a payload's file is."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporal_payloads.plugin import ClaimRejectedError
from temporal_payloads_filesystem import FilesystemStorageDriver
from temporal_payloads_filesystem._paths import LAYOUT, LONGEST_NAME, Place, key_of, place_of
from temporalio.converter import StorageDriverActivityInfo, StorageDriverClaim, StorageDriverWorkflowInfo

SHA256 = "0123456789abcdef" * 4


def key(namespace="default", id="order-1", run_id="run-1", type="order"):  # noqa: A002  # Temporal's names
    target = StorageDriverWorkflowInfo(namespace=namespace, id=id, run_id=run_id, type=type)
    return LAYOUT.write(target, SHA256)


def path(**names):
    folders, name = place_of(key(**names))
    return "/".join((*folders, name))


def test_a_workflow_s_payload_is_under_its_names():
    expected = f"v0/ns=default/wt=^order^batch/wi=order-17/ri=run-1/{SHA256}"
    assert path(type="OrderBatch", id="order-17") == expected


def test_an_activity_s_payload_is_under_the_activity_s_names():
    target = StorageDriverActivityInfo(namespace="default", id="7", run_id=None, type="resize")
    assert place_of(LAYOUT.write(target, SHA256)).folders == (
        "v0",
        "ns=default",
        "at=resize",
        "ai=7",
        "ri=null",
    )


def test_a_payload_of_nobody_is_under_the_version():
    assert place_of(LAYOUT.write(None, SHA256)) == (("v0",), SHA256)


def test_a_name_is_escaped_so_that_it_is_one_folder():
    assert path(id="../a b/ü").split("/")[3] == "wi=..%2fa%20b%2f%c3%bc"


NAMES = (
    "a",
    "A",
    "^a",
    "%41",
    "%5ea",
    "null",
    "NULL",
    "..",
    ".",
    "a.",
    "a..",
    "a/b",
    "a=b",
    "a+",
    "é",
    "É",
    "e\u0301",
    *("x" * length for length in (135, 136, 137, 138, 300, 1000)),
    "X" * 1000,
    "x" * 135 + ".." + "x" * 300,
    "." * 1000,
    "ö" * 500,
)


@pytest.mark.parametrize("part", ["namespace", "id", "run_id", "type"])
def test_no_two_names_share_a_path_where_case_is_ignored(part):
    keys = {
        key(**{part: name}) for name in NAMES
    }  # of very long names the layout leaves out all but namespaces
    assert len(keys) >= len(NAMES) - 1
    assert len({"/".join(place_of(key)[0]).casefold() for key in keys}) == len(keys)


def test_no_path_leads_through_the_file_or_the_folder_of_another():
    """A piece of a long name is no whole name, and a folder's name is no hash."""
    names = [*NAMES, SHA256, SHA256 * 3]
    paths = [path(namespace=one, id=other) for one, other in itertools.product(names, repeat=2)]
    files = set(paths)
    folders = {"/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 1)}
    assert not files & folders


@pytest.mark.parametrize("part", ["namespace", "id", "run_id", "type"])
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_every_name_on_a_path_is_one_that_file_systems_take(part, name):
    for step in (*(found := place_of(key(**{part: name}))).folders, found.name):
        assert 0 < len(step.encode()) <= LONGEST_NAME
        assert step not in {".", ".."}
        assert step == step.lower()
        assert set(step).isdisjoint("/\\\0:*?\"<>| '")


def test_the_longest_names_that_temporal_takes_have_a_path():
    longest = "ö" * 500
    found = path(namespace=longest, id=longest, run_id=longest, type=longest)
    assert found.startswith("v0/ns=%c3%b6")


@pytest.mark.parametrize(
    "key", [f"../d/sha256/{SHA256}", "../d/sha256/secret", f"v0/ns/../d/sha256/{SHA256}", "secret"]
)
async def test_a_driver_made_by_hand_reads_nothing_outside_its_directory(
    tmp_path, directory, retrieve_context, key
):
    for name in (SHA256, "secret"):
        (tmp_path / name).write_bytes(b"")
    driver = FilesystemStorageDriver(directory, create=True)
    data = {"key": key, "hash_algorithm": "sha256", "hash_value": SHA256}
    with pytest.raises(ClaimRejectedError, match="none that this driver writes"):
        await driver.retrieve(retrieve_context, [StorageDriverClaim(claim_data=data)])
    await driver.aclose()


@given(
    target=st.builds(
        StorageDriverWorkflowInfo,
        namespace=st.text(max_size=200),
        id=st.text(max_size=200),
        run_id=st.none() | st.text(max_size=100),
        type=st.none() | st.text(max_size=100),
    )
)
def test_a_place_tells_the_key_that_led_to_it(target):
    key = LAYOUT.write(target, SHA256)
    assert key_of(place_of(key)) == key


@pytest.mark.parametrize(
    "folders",
    [
        ("v1",),
        ("v0", "ns=A"),
        ("v0", "ns=A", "wt=t", "wi=i", "ri=r"),
        ("v0", "ns=%5E", "wt=t", "wi=i", "ri=r"),
        ("v0", "ns=a+", "wt=t", "wi=i", "ri=r"),
        ("v0", "ns=a", "wt=t", "wi=i", "ri=r", "xx=y"),
        ("v0", "a", "wt=t", "wi=i", "ri=r"),
        ("v0", "ns=a", "wt=t", "wi=i", "ri="),
    ],
)
def test_a_place_that_no_key_leads_to_has_none(folders):
    assert key_of(Place(folders, SHA256)) is None
