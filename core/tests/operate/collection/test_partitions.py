"""Records that do not fit into memory, marks in as many bytes as they have, and the files between steps."""

import hashlib
import tracemalloc

import pytest
from temporal_payloads._operate import partitions
from temporal_payloads._operate.collection.state import DamagedStateError, Files
from temporal_payloads._operate.marks import (
    PARTS,
    Marks,
    mark_of_claim,
    mark_of_hash,
    mark_of_open_run,
)
from temporal_payloads._operate.partitions import Partitions
from temporalio.converter import StorageDriverClaim


def key(number):
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


def claim(**data):
    return StorageDriverClaim(claim_data=data)


def test_records_come_back_from_their_parts(tmp_path):
    found = Partitions(tmp_path)
    for number in range(5000):
        found.add(key(number), str(number).encode())
    read = {int(record): each for part in found.parts for each, record in found.part(part)}
    assert read == {number: key(number) for number in range(5000)}
    assert all(each[0] == part for part in found.parts for each, _ in found.part(part))
    assert found.count == 5000


def test_records_may_be_added_after_some_were_read(tmp_path):
    found = Partitions(tmp_path)
    found.add(bytes(16), b"one")
    assert [record for _, record in found.part(0)] == [b"one"]
    found.add(bytes(16), b"two")
    assert [record for _, record in found.part(0)] == [b"one", b"two"]
    assert not list(found.part(1))


def test_a_part_that_is_too_large_to_be_sorted_is_split_again(tmp_path, monkeypatch):
    monkeypatch.setattr(partitions, "_SORTED", 500)
    found = Partitions(tmp_path)
    keys = {bytes([7]) + key(number)[1:] for number in range(2000)} | {bytes([7]) * 16}
    for each in [*keys, *keys, *[bytes([7]) * 16] * 100]:
        found.add(each)
    assert list(found.keys(7)) == sorted(keys)
    assert not list(found.keys(8))


def test_memory_does_not_grow_with_the_records(tmp_path):
    found = Partitions(tmp_path)
    tracemalloc.start()
    try:
        for number in range(60_000):
            found.add(key(number), bytes(1000))
        for part in found.parts:
            for _ in found.part(part):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * 1024 * 1024  # 60 MB went through it


def test_marks_are_found_and_nothing_else_is():
    marks = Marks.of([key(number) for number in range(0, 1000, 2)] * 2)
    assert len(marks) == 500
    assert all((key(number) in marks) is (number % 2 == 0) for number in range(1000))
    assert key(1) not in Marks()
    assert Marks(marks.data).data == marks.data


def test_marks_that_were_cut_off_are_no_marks():
    with pytest.raises(ValueError, match="16 bytes each"):
        Marks(bytes(17))


def test_marks_of_one_payload_lie_in_one_part():
    sha256 = hashlib.sha256(b"p").hexdigest()
    one, other = claim(key="a", bucket="b"), claim(bucket="b", key="a")
    assert mark_of_claim(one, sha256) == mark_of_claim(other, sha256)
    assert mark_of_claim(one, sha256) != mark_of_claim(claim(key="a", bucket="c"), sha256)
    assert mark_of_claim(one, sha256)[0] == mark_of_hash(sha256)[0] == int(sha256[:2], 16) < PARTS


def test_claims_that_differ_in_where_a_name_ends_have_marks_of_their_own():
    sha256 = "0" * 64
    assert mark_of_claim(claim(a="b", c="d"), sha256) != mark_of_claim(claim(a='b", "c": "d'), sha256)
    assert mark_of_open_run("a", "workflow", "b", "c") != mark_of_open_run("a", "workflow", "b/c", "")


def test_what_no_text_can_hold_can_be_marked():
    assert len(mark_of_claim(claim(key="\ud800"), "0" * 64)) == 16
    assert len(mark_of_open_run("orders", "workflow", "\ud800")) == 16


# -- the collector's files


async def test_a_directory_keeps_what_it_is_given(directory_state):
    await directory_state.write("marks/orders/3f", b"one")
    await directory_state.write("marks/orders/3f", b"two")
    await directory_state.write("marks/orders-too/00", b"x")
    assert await directory_state.read("marks/orders/3f") == b"two"
    assert await directory_state.names("marks/orders/") == ["marks/orders/3f"]
    assert await directory_state.names("marks/") == ["marks/orders-too/00", "marks/orders/3f"]
    assert await directory_state.names("marks/orders/3") == ["marks/orders/3f"]
    await directory_state.remove("marks/orders/3f")
    await directory_state.remove("marks/orders/3f")
    assert await directory_state.read("marks/orders/3f") is None
    assert await directory_state.names("nothing/") == []


async def test_a_directory_keeps_nothing_outside_of_itself(directory_state):
    for name in ("../outside", "/etc/passwd", "a/../b", "a//b", "", ".hidden", "a/.b", "a b"):
        with pytest.raises(ValueError, match="is no name of a file of state"):
            await directory_state.write(name, b"x")


async def test_a_file_that_is_not_as_it_was_written_is_damaged(directory_state):
    files = Files(directory_state)
    await files.write_json("a", {"b": [1, 2]})
    assert await files.read_json("a") == {"b": [1, 2]}
    data = await directory_state.read("a")
    for damaged in (data[:-1], data[:10], b"", bytes([data[0] ^ 1]) + data[1:]):
        await directory_state.write("a", damaged)
        with pytest.raises(DamagedStateError, match="The collector's file a is damaged"):
            await files.read_json("a")
