"""Who takes part: ways to set up a worker, from the plain SDK to all of ours.

Processes import this file before their clock starts, so what a contestant needs is imported by it alone.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from temporalio.converter import DataConverter, ExternalStorage, StorageDriver

Connection = dict[str, Any]
"""Arguments of `Client` and of `Replayer` alike: `data_converter` or `plugins`."""

THRESHOLD = 256 * 1024
"""The SDK's default, which is ours too."""

BUCKET = "benchmarks"

_STORES = {"s3": f'[storage.drivers.s3]\nbucket = "{BUCKET}"\n', "redis": "[storage.drivers.redis]\n"}
_PEER = """\
dataclasses.replace(
    DataConverter.default,
    payload_codec=SampleGzipCodec(),
    external_storage=ExternalStorage(drivers=[{driver}]),
)"""
_PEER_DRIVERS = {"s3": "S3StorageDriver(...)", "redis": "SampleRedisDriver(...)"}


@dataclass(frozen=True)
class Contestant:
    """A way to set up a worker."""

    title: str
    codecs: tuple[str, ...] = ()
    payload_converter: str | None = None
    ours: bool = True

    def settings(self, store: str, threshold: int = THRESHOLD) -> str:
        """What one writes to have it: TOML of ours, Python of the others. Where the store is comes on top."""
        if not self.ours:
            return _PEER.format(driver=_PEER_DRIVERS[store]) if self.codecs else "DataConverter.default"
        converter = f'payload_converter = "{self.payload_converter}"\n' if self.payload_converter else ""
        more = f"[storage]\nthreshold = {threshold}\n\n" if threshold != THRESHOLD else ""
        return f'codecs = ["gzip"]\n{converter}\n{more}{_STORES[store]}'


CONTESTANTS = {
    "plain": Contestant("plain SDK", ours=False),
    "peer": Contestant("plain SDK with the sample's codec and drivers", codecs=("gzip",), ours=False),
    "no converter": Contestant("ours without its converter", codecs=("gzip",)),
    "ours": Contestant("ours", codecs=("gzip",), payload_converter="msgspec"),
}


@asynccontextmanager
async def set_up(
    name: str, store: str, access: Mapping[str, str], directory: Path, threshold: int = THRESHOLD
) -> AsyncIterator[Connection]:
    """Import and build what the contestant needs; what it opens is closed with the block.

    Args:
        name: The contestant.
        store: `s3` or `redis`.
        access: How to reach the store; fields of `S3Access`, or the `url` of Redis.
        directory: Where a settings file may be written.
        threshold: From how many bytes on payloads are offloaded.
    """
    contestant = CONTESTANTS[name]
    if contestant.ours:
        yield {"plugins": [_plugin(contestant.settings(store, threshold), store, access, directory)]}
        return
    if not contestant.codecs:
        yield {"data_converter": DataConverter.default}
        return
    async with _peer_driver(store, access) as driver:
        from benchmarks.peers import SampleGzipCodec  # noqa: PLC0415  # not before the clock starts

        yield {
            "data_converter": replace(
                DataConverter.default,
                payload_codec=SampleGzipCodec(),
                external_storage=ExternalStorage(drivers=[driver], payload_size_threshold=threshold),
            )
        }


def _plugin(settings: str, store: str, access: Mapping[str, str], directory: Path) -> Any:
    from temporal_payloads import PayloadSettings, PayloadsPlugin  # noqa: PLC0415  # likewise

    file = directory / "temporal-payloads.toml"
    file.write_text(settings)
    for key, value in access.items():
        os.environ[f"TEMPORAL_PAYLOADS_STORAGE__DRIVERS__{store}__{key}".upper()] = value
    return PayloadsPlugin(PayloadSettings.load(file))


@asynccontextmanager
async def _peer_driver(store: str, access: Mapping[str, str]) -> AsyncIterator[StorageDriver]:
    if store == "s3":
        from benchmarks.access import S3Access  # noqa: PLC0415  # likewise
        from benchmarks.peers import sdk_s3_driver  # noqa: PLC0415  # likewise

        async with sdk_s3_driver(S3Access(**access)) as driver:
            yield driver
        return
    from redis.asyncio import Redis  # noqa: PLC0415  # likewise

    from benchmarks.peers import SampleRedisDriver  # noqa: PLC0415  # likewise

    async with Redis.from_url(access["url"]) as client:
        yield SampleRedisDriver(client)
