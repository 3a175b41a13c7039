"""The table of failures tells the truth: each class is in it, and core does with it what the table says."""

import re
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import temporal_payloads.plugin
from pydantic import BaseModel, ConfigDict
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads._storage.references import Reference
from temporal_payloads.plugin import (
    ConfinedClaim,
    DriverPlugin,
    PluginRegistry,
    StorageError,
    hookimpl,
)
from temporalio.converter import StorageDriver, StorageDriverClaim
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

PAGE = Path(__file__).parents[2] / "docs/failures.md"
ROWS = {
    name: (inbound, outbound)
    for name, inbound, outbound in re.findall(
        r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE
    )
}
CLASSES = {
    name: each
    for name, each in vars(temporal_payloads.plugin).items()
    if isinstance(each, type) and issubclass(each, StorageError)
}
REFERENCE = Reference("failing", StorageDriverClaim(claim_data={}), 1).to_payload()


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    expires: bool = False


class Failing(StorageDriver):
    """Raises what it is told to, out and in."""

    def __init__(self, error):
        self._error = error

    def name(self):
        return "failing"

    async def store(self, context, payloads):
        raise self._error

    retrieve = store


@pytest.fixture(params=CLASSES)
def name(request):
    return request.param


@pytest.fixture(params=[None, True], ids=["", "called final"])
def error(name, request):
    """An error of each class, as it is and as a third party may raise it."""
    return CLASSES[name]("it failed", non_retryable=request.param)


@pytest.fixture
def convert():
    """Make a converter whose driver raises an error, in a store whose payloads expire or do not."""

    def make(error, *, expires=False):
        @asynccontextmanager
        async def open_driver(settings, context):
            yield Failing(error)

        class Plugin:
            @hookimpl
            def temporal_payloads_driver(self):
                return DriverPlugin(
                    api_version=1,
                    settings=Settings,
                    driver_type="failing",
                    driver_name="failing",
                    open=open_driver,
                    confine=lambda _, claim: ConfinedClaim(claim=claim, sha256="0" * 64, namespace=None),
                    expiry=lambda settings: timedelta(days=1) if settings.expires else None,
                )

        registry = PluginRegistry()
        registry.register_driver("failing", Plugin())
        storage = {"threshold": 0, "drivers": {"failing": {"expires": expires}}, "cache": {"max_size": 0}}
        return build_data_converter(PayloadSettings(storage=storage), registry=registry)

    return make


async def final(work):
    with pytest.raises(ApplicationError) as caught:
        await work()
    return caught.value.non_retryable


async def final_in_an_activity(converter):
    return await final(lambda: ActivityEnvironment().run(converter.encode, ["value"]))


def test_every_class_is_in_the_table_and_nothing_else():
    assert set(ROWS) == set(CLASSES)


async def test_on_the_way_in_core_does_what_the_table_says(name, error, convert):
    assert ROWS[name][0] in {"retried", "retried, unless payloads expire"}
    assert not await final(lambda: convert(error).decode([REFERENCE]))
    may_expire = await final(lambda: convert(error, expires=True).decode([REFERENCE]))
    assert may_expire == (ROWS[name][0] == "retried, unless payloads expire")


async def test_on_the_way_out_core_does_what_the_table_says(name, error, convert):
    assert ROWS[name][1] in {"retried", "fails an activity", "-"}
    assert not await final(lambda: convert(error).encode(["value"]))
    assert await final_in_an_activity(convert(error)) == (ROWS[name][1] == "fails an activity")


async def test_what_third_parties_say_of_their_errors_does_not_end_anything(convert):
    converter = convert(ApplicationError("no", type="AccessDenied", non_retryable=True))
    assert not await final(lambda: converter.decode([REFERENCE]))
    assert not await final(lambda: converter.encode(["value"]))
    assert not await final_in_an_activity(converter)
