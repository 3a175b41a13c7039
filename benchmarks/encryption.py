"""Encryption beside the published sample's codec, which encrypts on the event loop, and what KMS is asked."""

from __future__ import annotations

import base64
import os
import statistics
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from local_servers import start_moto, start_temporal
from temporal_payloads import PayloadSettings, PayloadsPlugin, build_data_converter
from temporal_payloads_encryption_codec import EncryptionCodec, KeyRing
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import PayloadCodec
from temporalio.worker import Worker

from benchmarks.data import json_payload, new_payload, order_payload
from benchmarks.harness import MILLION, Config, Contestant, Line, Report, StallWatch, faster, race
from benchmarks.peers import Chained, SampleEncryptionCodec, SampleGzipCodec
from benchmarks.proxy import Proxy, start_proxy
from benchmarks.servers import Servers
from benchmarks.whole.pieces import TIMEOUT, ManyPieces, fetch_piece

KEY_ID, KEY = "test-key-id", b"test-key-test-key-test-key-test!"
VARIABLE = "BENCHMARKS_ENCRYPTION_KEY"
REGION = "eu-central-1"
PIECES = 1_000


async def run(config: Config, servers: Servers) -> Report:
    """Measure everything about encryption."""
    report = Report()
    await _speed(config, report)
    await _stall(config, report)
    await _chained(config, report)
    report.lines.append(await _kms_calls(config, servers))
    return report


def _contestants(**settings: Any) -> dict[str, PayloadCodec]:
    return {
        "peer": SampleEncryptionCodec(KEY, KEY_ID),
        "ours": EncryptionCodec(KeyRing.of({KEY_ID: KEY}, KEY_ID), **settings),
    }


async def _speed(config: Config, report: Report) -> None:
    sizes = (
        {"0.3 MB": 300_000} if config.quick else {"0.3 MB": 300_000, "3 MB": 3_000_000, "30 MB": 30_000_000}
    )
    for label, size in sizes.items():
        payload = new_payload(size)
        [encoded] = await SampleEncryptionCodec(KEY, KEY_ID).encode([payload])
        for what, given, settings, wanted in (
            ("encode", payload, {}, 1),
            ("encode for a store", payload, {"remember_from": 0}, 0.7),
            ("decode", encoded, {}, 1),
        ):
            # A single call that takes a tenth of a millisecond would time what the caches have forgotten.
            calls = max(1, 3_000_000 // size)
            contestants = {
                name: Contestant(partial(_repeat, getattr(one, what.split()[0]), [given], calls))
                for name, one in _contestants(**settings).items()
            }
            times = await race(contestants, config.rounds(max(25, 100_000_000 // size // calls)))
            report.lines.append(faster(f"encryption {what}, {label}", times, wanted, size=size * calls))


async def _repeat(work: Any, payloads: Sequence[Payload], calls: int, prepared: object) -> None:
    del prepared
    for _ in range(calls):
        await work(payloads)


async def _stall(config: Config, report: Report) -> None:
    size = 3_000_000 if config.quick else 30_000_000
    payload = new_payload(size)
    stalls: dict[str, list[float]] = {}
    for name, one in _contestants().items():
        for _ in range(config.rounds(9)):
            async with StallWatch() as watch:
                await one.decode(await one.encode([payload]))
            stalls.setdefault(name, []).append(watch.longest)
    longest = {name: statistics.median(those) for name, those in stalls.items()}
    report.lines.append(
        Line(
            f"longest stall of the event loop, {size / MILLION:g} MB encrypted and decrypted",
            f"{longest['peer'] * 1e3:,.0f} ms",
            f"{longest['ours'] * 1e3:.1f} ms (worst round {max(stalls['ours']) * 1e3:.1f} ms)",
            longest["peer"] / longest["ours"],
            "under 20 ms",
            longest["ours"] < 0.020,
        )
    )


async def _chained(config: Config, report: Report) -> None:
    os.environ[VARIABLE] = base64.b64encode(KEY).decode()
    codec = {"encryption": {"active": KEY_ID, "keys": {KEY_ID: {"env": VARIABLE}}}}
    settings = PayloadSettings.model_validate({"codecs": ["gzip", "encryption"], "codec": codec})
    ours = build_data_converter(settings).payload_codec
    assert ours is not None
    peer = Chained(SampleGzipCodec(), SampleEncryptionCodec(KEY, KEY_ID))
    codecs = {"peer": peer, "ours": ours}
    size = 300_000 if config.quick else 3_000_000
    for kind, make in {"JSON": json_payload, "order batch": order_payload}.items():
        payload = make(size)
        [encoded] = await peer.encode([payload])
        for what, given, wanted in (("encode", payload, 8), ("decode", encoded, 1)):
            contestants = {
                name: Contestant(partial(_repeat, getattr(one, what), [given], 1))
                for name, one in codecs.items()
            }
            times = await race(contestants, config.rounds(25))
            name = f"gzip and encryption {what}, {kind}, {size / MILLION:g} MB"
            report.lines.append(faster(name, times, wanted, size=payload.ByteSize()))


async def _kms_calls(config: Config, servers: Servers) -> Line:
    """Count what a workflow with many payloads asks of KMS, through a client and a worker apart."""
    pieces = 20 if config.quick else PIECES
    with start_temporal(servers.directory / "temporal-kms") as server, _kms() as (proxy, settings):
        proxy.counts()
        client, workers = [
            await Client.connect(server.address, plugins=[PayloadsPlugin(settings)]) for _ in range(2)
        ]
        queue = str(uuid.uuid4())
        async with Worker(workers, task_queue=queue, workflows=[ManyPieces], activities=[fetch_piece]):
            handle = await client.start_workflow(
                ManyPieces.run, pieces, id=queue, task_queue=queue, execution_timeout=TIMEOUT
            )
            await handle.result()
        calls = sum(proxy.counts().values())
    # Each piece is asked for with a number and comes back; the workflow has an argument and a result.
    payloads = 2 * pieces + 2
    return Line(
        f"a workflow with {payloads:,} payloads and a key in KMS: calls of KMS",
        f"{payloads:,} (one each)",
        f"{calls}",
        payloads / calls,
        "at most 5: client and worker make a data key and open the other's, and the worker tries its own",
        calls <= 5,
    )


@contextmanager
def _kms() -> Iterator[tuple[Proxy, PayloadSettings]]:
    """Yield a KMS whose calls are counted, and settings with a key in it."""
    with start_moto() as moto:
        credentials = {"access_key_id": "test", "secret_access_key": "test"}
        admin: Any = botocore.session.get_session().create_client(
            "kms",
            region_name=REGION,
            endpoint_url=moto.endpoint_url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        key = admin.create_key()["KeyMetadata"]["Arn"]
        admin.close()
        port = urlsplit(moto.endpoint_url).port
        assert port is not None
        with start_proxy(port, round_trip=0.001) as proxy:
            provider = {"endpoint_url": f"http://127.0.0.1:{proxy.port}", "region": REGION, **credentials}
            yield (
                proxy,
                PayloadSettings.model_validate(
                    {
                        "codecs": ["gzip", "encryption"],
                        "codec": {"encryption": {"active": f"awskms:///{key}"}},
                        "key_providers": {"awskms": provider},
                    }
                ),
            )
