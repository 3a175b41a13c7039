"""An application's settings in its tests: nothing is asked of a store or a key provider."""

import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from temporal_payloads import ConfigurationError, PayloadSettings, build_data_converter
from temporal_payloads.plugin import PayloadIntegrityError, StorageEvent, StorageUnavailableError, hookimpl
from temporal_payloads.testing import TEST_KEY, PayloadsInMemory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import StorageDriver

LARGE = "an order " * 1000
SETTINGS = """
    codecs = ["gzip", "encryption"]

    [codec.encryption]
    active = "2026-11"
    keys = { 2026-11 = { env = "PAYLOADS_KEY_2026_11" } }

    [storage]
    driver = "s3"
    threshold = "1KiB"

    [storage.cache]
    dir = "cache"

    [storage.drivers.s3]
    bucket = "orders"

    [storage.drivers.archive]
    type = "redis"
    url = "redis://redis.internal:6379/0"
    ttl = "30d"
    max_payload_size = "4KiB"

    [[storage.routes]]
    driver = "archive"
    min_size = "1MiB"

    [profile.kms.codec.encryption]
    active = "awskms:///alias/orders"
"""


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whoever connects has used what is not in memory."""

    def refuse(*arguments):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


@pytest.fixture
def settings(write_settings, monkeypatch):
    monkeypatch.setenv("PAYLOADS_KEY_2026_11", TEST_KEY)
    write_settings(SETTINGS)
    return PayloadSettings.load()


def only_archive(settings):
    storage = settings.storage.model_copy(update={"driver": "archive", "routes": ()})
    return settings.model_copy(update={"storage": storage, "codecs": (), "codec": {}})


async def test_payloads_are_encoded_and_offloaded_as_the_settings_say(settings):
    payloads = PayloadsInMemory(settings)
    small, large = await payloads.converter.encode(["an order", "".join(map(str, range(2000)))])
    assert small.metadata["encoding"] == b"binary/encrypted"
    assert large.external_payloads
    assert b'"driverName":"aws.s3driver"' in large.data.replace(b" ", b"")
    assert await payloads.converter.decode([small, large]) == ["an order", "".join(map(str, range(2000)))]


async def test_each_has_stores_of_its_own(settings):
    archive = only_archive(settings)
    stored = await PayloadsInMemory(archive).converter.encode([LARGE[:2000]])
    with pytest.raises(Exception, match="has no payload under key"):
        await PayloadsInMemory(archive).converter.decode(stored)


async def test_what_is_built_from_the_parts_has_the_same_stores(settings):
    payloads = PayloadsInMemory(only_archive(settings))
    stored = await payloads.converter.encode([LARGE[:2000]])
    other = build_data_converter(payloads.settings, registry=payloads.registry)
    assert await other.decode(stored) == [LARGE[:2000]]


async def test_the_drivers_limits_hold(settings):
    payloads = PayloadsInMemory(only_archive(settings))
    with pytest.raises(Exception, match="max_payload_size of 4096 bytes of storage driver 'archive'"):
        await payloads.converter.encode([LARGE])


async def test_a_store_takes_no_more_than_it_may(settings):
    payloads = PayloadsInMemory(only_archive(settings), max_size=3000)
    await payloads.converter.encode(["a" * 2000])
    with pytest.raises(StorageUnavailableError, match="'archive' in the memory of this process is full"):
        await payloads.converter.encode(["b" * 2000])


async def test_nothing_is_cached_on_disk(settings, tmp_path):
    payloads = PayloadsInMemory(only_archive(settings))
    await payloads.converter.decode(await payloads.converter.encode([LARGE[:2000]]))
    assert not (tmp_path / "cache").exists()


async def test_observers_of_the_application_hear_of_the_stores(settings):
    heard: list[StorageEvent] = []

    class Observer:
        @hookimpl
        def temporal_payloads_storage_event(self, event):
            heard.append(event)

    payloads = PayloadsInMemory(only_archive(settings))
    payloads.registry.register_observer(Observer())
    await payloads.converter.encode([LARGE[:2000]])
    assert [(event.operation, event.driver) for event in heard] == [("store", "archive")]


def test_a_base_converter_is_built_upon(settings):
    payloads = PayloadsInMemory(settings, base=pydantic_data_converter)
    assert payloads.converter.payload_converter_class is pydantic_data_converter.payload_converter_class


def test_settings_are_checked_as_in_production(settings):
    storage = settings.storage.model_copy(update={"drivers": {"redis": settings.storage.drivers["s3"]}})
    with pytest.raises(ConfigurationError, match=r"storage\.drivers\.redis\.bucket.*: there is no such"):
        PayloadsInMemory(settings.model_copy(update={"storage": storage}))


def test_a_key_that_a_test_does_not_have_is_told_with_what_to_do(settings, monkeypatch):
    monkeypatch.delenv("PAYLOADS_KEY_2026_11")
    with pytest.raises(ConfigurationError, match="the variable PAYLOADS_KEY_2026_11 is not set") as error:
        PayloadsInMemory(settings)
    [note] = error.value.__notes__
    assert "the fixture payload_variables, keys as temporal_payloads.testing.TEST_KEY" in note


async def test_keys_of_a_provider_are_made_up(settings):
    kms = PayloadSettings.load(profile="kms")
    payloads = PayloadsInMemory(kms)
    [encrypted] = await payloads.converter.encode(["an order"])
    assert encrypted.metadata["encryption-key-id"] == b"awskms:///alias/orders"
    assert await PayloadsInMemory(kms).converter.decode([encrypted]) == ["an order"]
    encrypted.metadata["encryption-key-id"] = b"awskms:///alias/others"
    others = kms.codec["encryption"].model_copy(update={"active": "awskms:///alias/others"})
    with pytest.raises(PayloadIntegrityError, match="not wrapped by the key that stands for"):
        await PayloadsInMemory(kms.model_copy(update={"codec": {"encryption": others}})).converter.decode(
            [encrypted]
        )


def test_nobody_is_warned_of_payloads_in_memory(caplog):
    PayloadsInMemory(PayloadSettings(storage={"driver": "memory"}))
    assert caplog.records == []


MADE: list[str] = []


class Shelf(StorageDriver):
    def __init__(self):
        MADE.append("class")

    def name(self):
        return "shelf"

    async def store(self, context, payloads):
        raise AssertionError("the store itself was asked")

    retrieve = store


@asynccontextmanager
async def open_shelf():
    MADE.append("function")
    yield Shelf()


@pytest.mark.parametrize(("named", "made"), [("Shelf", ["class"]), ("open_shelf", [])])
async def test_of_an_import_path_a_class_is_made_to_be_asked_and_a_function_is_not_called(named, made):
    MADE.clear()
    table = {"type": f"{__name__}:{named}", "trust_claims": True, "driver_name": "shelf"}
    payloads = PayloadsInMemory(PayloadSettings(storage={"threshold": 0, "drivers": {"shelf": table}}))
    [stored] = await payloads.converter.encode([LARGE])
    assert stored.external_payloads
    assert await payloads.converter.decode([stored]) == [LARGE]
    assert made == MADE


OFFLOADS = """
import asyncio, sys
from temporal_payloads import PayloadSettings
from temporal_payloads.testing import PayloadsInMemory

converter = PayloadsInMemory(PayloadSettings.load()).converter
[payload] = asyncio.run(converter.encode([list(range(2000))]))
assert payload.external_payloads
print(*sorted({"aioboto3", "aiobotocore", "redis"} & set(sys.modules)))
"""


def test_no_client_library_is_imported(settings):
    done = subprocess.run(
        [sys.executable, "-c", OFFLOADS], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
