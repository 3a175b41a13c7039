import itertools

import pytest
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import build

_numbers = itertools.count(1)


@pytest.fixture
def store_name():
    """The name of a store in memory that no other test has."""
    return f"doctor-{next(_numbers)}"


@pytest.fixture
def assemble(store_name, registry):
    """Build from settings with the driver `memory`, on which `check` stores what is large."""

    def made(*, storage=None, **settings):
        storage = {"threshold": 1024, "cache": {"max_size": 0}, **(storage or {})}
        storage.setdefault("drivers", {"memory": {"shelf": store_name}})
        storage.setdefault("driver", next(iter(storage["drivers"]), None))
        return build(PayloadSettings(storage=storage, **settings), registry=registry)

    return made


@pytest.fixture
def levels():
    """Return the levels of findings by what was looked at, the worst where there are several."""

    def by_check(findings):
        order = ["ok", "skipped", "warning", "problem"]
        found: dict[str, str] = {}
        for finding in findings:
            found[finding.check] = max(found.get(finding.check, "ok"), finding.level, key=order.index)
            assert bool(finding.advice) <= (finding.level in ("warning", "problem")), finding
        return found

    return by_check


@pytest.fixture
def only():
    """Return the one finding of what was looked at."""

    def one(findings, check):
        [found] = [finding for finding in findings if finding.check == check]
        return found

    return one
