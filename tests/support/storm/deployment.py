"""All that a storm breaks: the store, KMS, what leads to them, keys and workers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local_servers import start_moto, start_temporal
from support.storm.azure_blob import StormAzureBlob
from support.storm.filesystem import StormFilesystem
from support.storm.keys import KMS_NAMESPACE, KeyRingFile
from support.storm.postgres import StormPostgres
from support.storm.proxy import StormProxy
from support.storm.servers import StormGCS, StormRedis, StormS3, StormStore
from support.storm.worker import WorkerProcess
from temporal_payloads import PayloadSettings, open_data_converter
from temporalio.client import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.storm.plan import Plan
    from temporalio.converter import DataConverter

NAMESPACES = ("default", KMS_NAMESPACE)
TASK_QUEUE = "storm"
TRIED_SOON = ["--dynamic-config-value", 'history.workflowTaskRetryMaxInterval="1s"']
"""Else the pauses before a failed workflow task double, to minutes: a storm would be spent waiting."""
STORES: dict[str, type[StormStore[Any]]] = {
    "s3": StormS3,
    "redis": StormRedis,
    "azure_blob": StormAzureBlob,
    "filesystem": StormFilesystem,
    "gcs": StormGCS,
    "postgres": StormPostgres,
}


@dataclass(frozen=True)
class Deployment:
    """Everything, running."""

    store: StormStore[Any]
    proxy: StormProxy
    """Before the store."""
    kms_proxy: StormProxy
    keys: KeyRingFile
    steady: WorkerProcess
    """The worker that is never killed: what it keeps in memory is watched."""
    mortal: WorkerProcess
    clients: dict[str, Client]
    """By namespace. They go through the same proxies as the workers."""
    converter: DataConverter


@asynccontextmanager
async def deployed(plan: Plan, directory: Path) -> AsyncIterator[Deployment]:
    """Start servers, proxies and workers of our own; at the end all are stopped, whatever became of them."""
    async with AsyncExitStack() as stack:
        temporal = stack.enter_context(
            start_temporal(directory, namespaces=[KMS_NAMESPACE], options=TRIED_SOON)
        )
        kms_url = stack.enter_context(start_moto()).endpoint_url
        store = STORES[plan.store](directory)
        stack.push_async_callback(store.stop)
        await store.start()
        proxy = await stack.enter_async_context(StormProxy(*store.address, seed=f"{plan.seed} store"))
        kms_address = urlsplit(kms_url)
        assert kms_address.hostname
        assert kms_address.port
        kms_proxy = await stack.enter_async_context(
            StormProxy(kms_address.hostname, kms_address.port, seed=f"{plan.seed} kms")
        )
        keys = KeyRingFile(directory / "keys.toml", kms_url, plan.seed)
        settings = _settings(plan, store, proxy, keys, kms_proxy)
        configuration = {"settings": settings, "namespaces": NAMESPACES}
        steady, mortal = await asyncio.gather(
            *(
                stack.enter_async_context(
                    WorkerProcess(
                        temporal.address, TASK_QUEUE, configuration, directory / f"{name}-worker.log"
                    )
                )
                for name in ("steady", "mortal")
            )
        )
        converter = await stack.enter_async_context(
            open_data_converter(PayloadSettings.model_validate(settings))
        )
        clients = {
            namespace: await Client.connect(temporal.address, namespace=namespace, data_converter=converter)
            for namespace in NAMESPACES
        }
        yield Deployment(store, proxy, kms_proxy, keys, steady, mortal, clients, converter)


def _settings(
    plan: Plan, store: StormStore[Any], proxy: StormProxy, keys: KeyRingFile, kms_proxy: StormProxy
) -> dict[str, Any]:
    # Short limits everywhere: a fault of seconds is met many times.
    encryption = {"file": str(keys.file), "duration": "2s", "renew_before": "500ms", "keep_for": "2s"}
    return {
        "codecs": ["gzip", "encryption"],
        "require_encrypted": True,
        "codec": {"encryption": encryption},
        "key_providers": {"awskms": keys.kms_settings(f"http://127.0.0.1:{kms_proxy.port}")},
        "storage": {
            "threshold": 1024,
            "timeout": "2s" if plan.is_short else "4s",
            # What is in a cache asks neither store nor KMS.
            "cache": {"max_size": "1MiB"},
            "drivers": {store.type: store.table(proxy.port)},
        },
    }
