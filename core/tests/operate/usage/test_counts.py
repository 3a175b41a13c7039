from datetime import UTC, date, datetime, timedelta

import pytest
from temporal_payloads._operate.usage.counts import MOST_GROUPS, OTHER_NAMESPACES, Group, StoreCounts, Tally
from temporal_payloads._operate.usage.report import store_as_json

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def counts():
    return StoreCounts("s3", now=NOW)


def test_payloads_are_counted_by_namespace_and_type_the_largest_first(counts, listed):
    counts.add(listed(1, size=10))
    counts.add(listed(2, size=20, type_="Refund"))
    counts.add(listed(3, size=5, namespace="billing", type_="Invoice"))
    counts.add(listed(4, size=1, namespace=None))
    assert counts.total == Tally(4, 36)
    assert counts.by_namespace() == {"orders": Tally(2, 30), "billing": Tally(1, 5), None: Tally(1, 1)}
    assert list(counts.by_namespace()) == ["orders", "billing", None]
    assert counts.by_type()[0] == (Group("orders", "workflow", "Refund"), Tally(1, 20))
    assert counts.by_type()[-1] == (Group(None, None, None), Tally(1, 1))


@pytest.mark.parametrize(
    ("age", "name"),
    [
        (timedelta(0), "under a day"),
        (timedelta(days=1), "1 to 7 days"),
        (timedelta(days=29), "7 to 30 days"),
        (timedelta(days=30), "30 to 90 days"),
        (timedelta(days=364), "90 days to a year"),
        (timedelta(days=4000), "over a year"),
        (timedelta(minutes=-5), "under a day"),  # by a clock that is ahead of ours
    ],
)
def test_each_age_has_its_place(counts, listed, age, name):
    counts.add(listed(age=age))
    assert counts.by_age() == {name: Tally(1, 100)}


def test_an_age_that_the_store_does_not_tell_is_unknown(counts, listed):
    counts.add(listed(known_age=False))
    assert counts.by_age() == {"unknown": Tally(1, 100)}
    assert not counts.days


def test_the_last_days_are_told_apart(counts, listed):
    for days in (0, 1, 1, 89, 91):
        counts.add(listed(age=timedelta(days=days)))
    assert counts.days == {
        date(2026, 11, 30): Tally(1, 100),
        date(2026, 11, 29): Tally(2, 200),
        date(2026, 9, 2): Tally(1, 100),
    }


def test_sizes_are_told_apart_by_powers_of_two(counts, listed):
    for size in (0, 1023, 1024, 70_000):
        counts.add(listed(size=size))
    document = store_as_json(counts)
    assert [(one["under"], one["payloads"]) for one in document["sizes"]] == [
        (1024, 2),
        (2048, 1),
        (131072, 1),
    ]


def test_what_is_put_aside_is_part_of_the_whole(counts, listed):
    counts.add(listed(1, aside=True))
    counts.add(listed(2))
    assert (counts.total, counts.aside) == (Tally(2, 200), Tally(1, 100))


def test_types_beyond_those_told_apart_are_counted_together_in_their_namespace(counts, listed):
    for number in range(MOST_GROUPS + 10):
        counts.add(listed(number, type_=f"Type{number}"))
    assert len(counts.groups) == MOST_GROUPS + 1
    assert counts.groups[Group("orders", None, None)] == Tally(10, 1000)
    counts.add(listed(1, namespace="billing"))
    assert counts.by_namespace() == {
        "orders": Tally(MOST_GROUPS + 10, (MOST_GROUPS + 10) * 100),
        "billing": Tally(1, 100),
    }
    assert counts.total.payloads == MOST_GROUPS + 11


def test_namespaces_beyond_those_told_apart_are_counted_as_others_and_not_as_none(
    counts, listed, monkeypatch
):
    monkeypatch.setattr("temporal_payloads._operate.usage.counts.MOST_NAMESPACES", 2)
    for namespace in ("a", "b", "c", "d", None, "a"):
        counts.add(listed(1, namespace=namespace))
    assert counts.by_namespace() == {
        "a": Tally(2, 200),
        "b": Tally(1, 100),
        OTHER_NAMESPACES: Tally(2, 200),
        None: Tally(1, 100),
    }
