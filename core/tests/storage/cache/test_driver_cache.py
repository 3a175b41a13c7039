"""The cache as a driver's user sees it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr
from temporal_payloads import PayloadSettings, build_data_converter, cache_statistics
from temporal_payloads._storage.key_layout import Target
from temporal_payloads.plugin import (
    ConfinedClaim,
    ContentAddressedDriver,
    DriverContext,
    DriverPlugin,
    PayloadNotFoundError,
    PluginRegistry,
    StorageEvent,
    hookimpl,
)
from temporalio.converter import DataConverter

Restart = Callable[[], None]


class ShelfSettings(BaseModel):
    url: SecretStr
    pool_size: int = 1


class Shelf(ContentAddressedDriver):
    """A store in memory that counts what it is asked for."""

    def __init__(self, name: str, store: dict[str, bytes], reads: list[str]) -> None:
        super().__init__(driver_name=name)
        self._store = store
        self._reads = reads

    def key_for(self, target: Target, sha256: str) -> str:
        del target
        return f"v0:ns:default:{sha256}"

    async def write(self, items: Mapping[str, bytes]) -> None:
        self._store.update(items)

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        self._reads.extend(keys)
        return [self._store.get(key) for key in keys]


class World:
    """Stores by their address, and what was seen of them."""

    def __init__(self) -> None:
        self.stores: dict[str, dict[str, bytes]] = {}
        self.reads: list[str] = []
        self.events: list[StorageEvent] = []
        self.identity: Callable[[ShelfSettings], Mapping[str, object]] | None = None

    @hookimpl
    def temporal_payloads_storage_event(self, event: StorageEvent) -> None:
        self.events.append(event)

    @hookimpl
    def temporal_payloads_driver(self) -> DriverPlugin[ShelfSettings]:
        @asynccontextmanager
        async def open_driver(settings: ShelfSettings, context: DriverContext) -> AsyncIterator[Shelf]:
            address = settings.url.get_secret_value().rpartition("@")[2]
            yield Shelf(context.name, self.stores.setdefault(address, {}), self.reads)

        return DriverPlugin(
            api_version=1,
            settings=ShelfSettings,
            driver_type="shelf",
            driver_name="shelf",
            open=open_driver,
            confine=lambda _settings, claim: ConfinedClaim(
                claim=claim, sha256=claim.claim_data["hash_value"], namespace="default"
            ),
            identity=self.identity,
        )

    def converter(
        self, url: str = "shelf://user:secret@one", pool_size: int = 1, **cache: object
    ) -> DataConverter:
        registry = PluginRegistry()
        registry.register_driver("shelf", self)
        shelf = {"url": url, "pool_size": pool_size}
        settings = PayloadSettings.model_validate(
            {"storage": {"threshold": 0, "cache": cache, "drivers": {"shelf": shelf}}}
        )
        return build_data_converter(settings, registry=registry)


@pytest.fixture
def world(new_process: Restart) -> World:
    del new_process
    return World()


async def test_a_restarted_worker_reads_what_it_stored_from_disk(
    world: World, tmp_path: Path, new_process: Restart
) -> None:
    stored = await world.converter(dir=tmp_path).encode(["payload"])
    new_process()
    restarted = world.converter(dir=tmp_path)
    assert await restarted.decode(stored) == ["payload"]
    assert world.reads == []
    assert world.events[-1].cache_hits == 1

    for file in (tmp_path / "v1").iterdir():
        file.unlink()
    assert await restarted.decode(stored) == ["payload"]  # from memory, where the first time put it
    assert world.reads == []


async def test_a_restarted_worker_reads_what_it_fetched_from_disk(
    world: World, tmp_path: Path, new_process: Restart
) -> None:
    stored = await world.converter(max_size=0).encode(["payload"])
    await world.converter(dir=tmp_path).decode(stored)
    assert len(world.reads) == 1
    new_process()
    await world.converter(dir=tmp_path).decode(stored)
    assert len(world.reads) == 1


async def test_the_disk_alone_will_do(world: World, tmp_path: Path, new_process: Restart) -> None:
    stored = await world.converter(max_size=0, dir=tmp_path).encode(["payload"])
    new_process()
    converter = world.converter(max_size=0, dir=tmp_path)
    for _ in range(2):
        assert await converter.decode(stored) == ["payload"]
    assert world.reads == []
    disk = cache_statistics()[0].disk
    assert disk is not None
    assert disk.hits == 2


async def test_without_a_directory_and_with_size_zero_there_is_no_cache(world: World) -> None:
    converter = world.converter(max_size=0)
    stored = await converter.encode(["payload"])
    await converter.decode(stored)
    await converter.decode(stored)
    assert len(world.reads) == 2
    assert cache_statistics() == []


async def test_two_servers_that_differ_only_in_their_secret_url_share_nothing(
    world: World, tmp_path: Path
) -> None:
    await world.converter("shelf://user:secret@one", dir=tmp_path).encode(["payload"])
    one = await world.converter("shelf://user:secret@one", dir=tmp_path).encode(["payload"])
    with pytest.raises(PayloadNotFoundError):
        await world.converter("shelf://user:secret@two", dir=tmp_path).decode(one)


async def test_a_changed_password_does_not_empty_the_cache(
    world: World, tmp_path: Path, new_process: Restart
) -> None:
    stored = await world.converter("shelf://user:old@one", dir=tmp_path).encode(["payload"])
    new_process()
    await world.converter("shelf://user:new@one", dir=tmp_path).decode(stored)
    assert world.reads == []


def address(settings: ShelfSettings) -> Mapping[str, object]:
    return {"address": settings.url.get_secret_value().rpartition("@")[2]}


async def test_tuning_a_driver_does_not_empty_the_cache(
    world: World, tmp_path: Path, new_process: Restart
) -> None:
    world.identity = address
    stored = await world.converter(pool_size=1, dir=tmp_path).encode(["payload"])
    new_process()
    await world.converter(pool_size=2, dir=tmp_path).decode(stored)
    assert world.reads == []


async def test_two_stores_of_different_identity_share_nothing(world: World, tmp_path: Path) -> None:
    world.identity = address
    await world.converter("shelf://one", dir=tmp_path).encode(["payload"])
    one = await world.converter("shelf://one", dir=tmp_path).encode(["payload"])
    with pytest.raises(PayloadNotFoundError):
        await world.converter("shelf://two", dir=tmp_path).decode(one)


async def test_a_plugin_that_gives_no_identity_is_told_apart_by_all_its_settings(
    world: World, tmp_path: Path
) -> None:
    stored = await world.converter(pool_size=1, dir=tmp_path).encode(["payload"])
    await world.converter(pool_size=2, dir=tmp_path).decode(stored)
    assert len(world.reads) == 1


async def test_the_statistics_of_both_tiers_can_be_read(
    world: World, tmp_path: Path, new_process: Restart
) -> None:
    stored = await world.converter(dir=tmp_path).encode(["payload"])
    new_process()
    converter = world.converter(dir=tmp_path)
    await converter.decode(stored)
    await converter.decode(stored)
    (told,) = cache_statistics()
    assert (told.memory.hits, told.memory.misses, told.memory.entries) == (1, 1, 1)
    assert told.disk is not None
    assert (told.disk.hits, told.disk.misses) == (1, 0)
