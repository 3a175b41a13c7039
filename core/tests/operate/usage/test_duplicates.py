import hashlib

import pytest
from temporal_payloads._operate.usage.duplicates import DuplicateCounter, Duplicates


def sha256(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def test_what_is_there_again_is_counted_exactly_while_hashes_are_few():
    counter = DuplicateCounter(kept=100)
    for number in range(100):
        for _ in range(number % 3 + 1):  # once, twice, three times
            counter.add(sha256(number), 10)
    assert counter.counted() == Duplicates(payloads=99, bytes=990, share=1)


def test_nothing_is_there_again_in_an_empty_store():
    assert DuplicateCounter().counted() == Duplicates(payloads=0, bytes=0, share=1)


def test_what_is_too_much_to_remember_is_estimated_and_said_to_be():
    counter = DuplicateCounter(kept=2_000)
    for _ in range(2):  # the second time after all others, when most hashes have been forgotten
        for number in range(50_000):
            counter.add(sha256(number), 1000)
    found = counter.counted()
    assert found.share in (1 / 32, 1 / 64)
    # The numbers are the same in each run: so far off is this sample.
    assert found.payloads == pytest.approx(50_000, rel=0.05)
    assert found.bytes == pytest.approx(50_000_000, rel=0.05)


def test_a_store_without_duplicates_has_none_in_any_sample():
    counter = DuplicateCounter(kept=500)
    for number in range(20_000):
        counter.add(sha256(number), 1000)
    assert counter.counted().payloads == 0
    assert counter.counted().share < 1
