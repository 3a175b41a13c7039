import sys
import tracemalloc

from temporal_payloads._storage.cache.memory import ENTRY_OVERHEAD, MemoryCache


def test_the_least_recently_used_payload_goes_first() -> None:
    cache = MemoryCache(4 * (1000 + ENTRY_OVERHEAD))
    keys = [("store", "ns", str(n)) for n in range(5)]
    for key in keys[:4]:
        cache.put(key, b"x" * 1000)
    cache.get(keys[0])
    cache.put(keys[4], b"x" * 1000)
    assert [cache.get(key) is not None for key in keys] == [True, False, True, True, True]


def test_a_payload_that_is_touched_is_kept_and_counts_as_no_hit() -> None:
    cache = MemoryCache(2 * (1000 + ENTRY_OVERHEAD))
    keys = [("store", "ns", str(n)) for n in range(3)]
    for key in keys[:2]:
        cache.put(key, b"x" * 1000)
    assert cache.touch(keys[0]) == 1000
    assert cache.touch(keys[2]) is None
    assert (cache.statistics.hits, cache.statistics.misses) == (0, 0)
    cache.put(keys[2], b"x" * 1000)
    assert [cache.get(key) is not None for key in keys] == [True, False, True]


def test_a_payload_over_half_of_the_cache_is_not_kept() -> None:
    cache = MemoryCache(10_000)
    assert not cache.accepts(5_000)
    cache.put(("store", "ns", "large"), b"x" * 5_000)
    assert cache.get(("store", "ns", "large")) is None


def test_a_cache_of_size_zero_keeps_nothing() -> None:
    cache = MemoryCache(0)
    cache.put(("store", "ns", "a"), b"")
    assert cache.get(("store", "ns", "a")) is None


def test_a_payload_that_is_put_twice_counts_once() -> None:
    cache = MemoryCache(10_000)
    cache.put(("store", "ns", "a"), b"x" * 100)
    cache.put(("store", "ns", "a"), b"x" * 100)
    assert cache.statistics.size == 100 + ENTRY_OVERHEAD
    assert cache.statistics.entries == 1


def test_one_store_or_namespace_never_sees_another_s_payload() -> None:
    cache = MemoryCache(10_000)
    cache.put(("store", "ns", "a"), b"secret")
    assert cache.get(("other", "ns", "a")) is None
    assert cache.get(("store", "other", "a")) is None
    assert cache.get(("store", None, "a")) is None


def test_the_statistics_tell_hits_misses_and_evictions() -> None:
    cache = MemoryCache(2 * (100 + ENTRY_OVERHEAD))
    for name in "abc":
        cache.put(("store", None, name), b"x" * 100)
    cache.get(("store", None, "a"))
    cache.get(("store", None, "c"))
    told = cache.statistics
    assert (told.hits, told.misses, told.evictions, told.entries) == (1, 1, 1, 2)
    assert told.size <= told.max_size


def test_tiny_payloads_do_not_take_more_memory_than_the_bound() -> None:
    bound = 2 * 1024 * 1024
    tracemalloc.start()
    try:
        cache = MemoryCache(bound)
        before = tracemalloc.get_traced_memory()[0]
        for n in range(20_000):
            cache.put(("store", "".join(["ns", str(n)]), f"{n:064}"), b"%d" % n)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert cache.statistics.evictions > 0
    assert used <= bound, sys.version
