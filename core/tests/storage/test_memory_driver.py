"""The driver `memory`, configured as any other."""

import asyncio
import json
import multiprocessing
import uuid

import pytest
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads._cli import main
from temporal_payloads.plugin import (
    ClaimRejectedError,
    PayloadNotFoundError,
    PluginRegistry,
    StorageUnavailableError,
)
from temporal_payloads.testing import DriverConformance


@pytest.fixture(autouse=True)
def nothing_announced(monkeypatch):
    monkeypatch.setattr("temporal_payloads._build.drivers._announced", set())


@pytest.fixture
def name():
    """A store that no other test uses."""
    return uuid.uuid4().hex


class TestTheMemoryDriver(DriverConformance):
    entry_point = "memory"

    @pytest.fixture
    def plugin(self):
        return PluginRegistry().driver("memory")

    @pytest.fixture
    def settings(self, plugin, name):
        return plugin.settings(store=name)


def converter(name, **changes):
    table = {"store": name, **changes}
    return build_data_converter(
        PayloadSettings(storage={"threshold": 0, "cache": {"max_size": 0}, "drivers": {"memory": table}})
    )


async def offloaded(converter, *values):
    payloads = await converter.encode(values)
    assert all(payload.external_payloads for payload in payloads)
    return payloads


async def test_a_converter_reads_what_another_stored_in_the_same_store(name):
    stored = await offloaded(converter(name), "an order")
    assert await converter(name).decode(stored) == ["an order"]


def test_payloads_stay_when_an_event_loop_ends(name):
    writer = converter(name)
    stored = asyncio.run(offloaded(writer, "an order"))
    assert asyncio.run(converter(name).decode(stored)) == ["an order"]


async def test_a_reference_to_another_store_is_refused(name):
    stored = await offloaded(converter(name), "an order")
    with pytest.raises(ClaimRejectedError, match=f"store '{name}', and this driver is for 'another'"):
        await converter("another").decode(stored)


async def test_a_full_store_says_so_and_has_all_that_it_had(name):
    small = converter(name, max_size="1KiB")
    stored = await offloaded(small, "an order")
    with pytest.raises(StorageUnavailableError, match=r"is full: it has .* Raise max_size") as error:
        await small.encode(["x" * 1100])
    assert not error.value.non_retryable
    assert await small.decode(stored) == ["an order"]
    assert await small.encode(["an order"]) == stored
    await offloaded(converter(name, max_size="1MiB"), "x" * 1100)


async def test_a_payload_that_is_there_needs_no_more_room(name):
    stored = await offloaded(converter(name, max_size="1KiB"), "x" * 900)
    assert await offloaded(converter(name, max_size="1KiB"), "x" * 900) == stored


async def test_of_several_payloads_all_or_none_are_stored(name):
    small = converter(name, max_size="1KiB")
    with pytest.raises(StorageUnavailableError):
        await small.encode(["x" * 600, "y" * 600])
    await offloaded(small, "z" * 900)


async def decode(name, stored, answers):
    try:
        answers.put(await converter(name).decode(stored))
    except Exception as error:  # noqa: BLE001  # whatever it is
        answers.put((type(error).__name__, str(error), getattr(error, "non_retryable", None)))


def in_another_process(name, stored, answers):
    asyncio.run(decode(name, stored, answers))


def test_another_process_is_told_where_payloads_in_memory_are_and_waits(name):
    stored = asyncio.run(offloaded(converter(name), "an order"))
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    process = spawn.Process(target=in_another_process, args=(name, stored, answers))
    process.start()
    kind, message, non_retryable = answers.get(timeout=60)
    process.join()
    assert kind == PayloadNotFoundError.__name__
    assert "another process stored it" in message
    assert "use another driver than 'memory'" in message
    assert non_retryable is False


def test_whoever_builds_a_converter_is_warned_once(name, caplog):
    for _ in range(2):
        converter(name)
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "storage driver 'memory' (storage.drivers.memory)" in record.message
    assert "they are lost when this one ends" in record.message


def test_check_warns_whoever_has_it_configured(set_variables, capsys):
    set_variables(STORAGE__DRIVER="memory")
    assert main(["check"]) == 0
    printed = capsys.readouterr()
    assert "memory  memory       memory  store and retrieve  answers" in printed.out
    assert "warning: storage.drivers.memory: it keeps payloads in the memory of this process" in printed.err
    assert main(["check", "--json"]) == 0
    [driver] = json.loads(capsys.readouterr().out)["drivers"]
    assert driver["warning"].startswith("it keeps payloads in the memory of this process")
