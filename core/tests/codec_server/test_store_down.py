"""What the server does while a store is down: fallbacks on `/encode`, and a `/readyz` that asks the store."""

import dataclasses
from contextlib import asynccontextmanager

from temporal_payloads._storage.references import is_reference, read_reference
from temporal_payloads.plugin import StorageUnavailableError, hookimpl


async def test_what_a_driver_cannot_store_its_fallback_does(serve, make, registry):
    @asynccontextmanager
    async def nobody_there(settings, context):
        raise StorageUnavailableError("nobody there")
        yield

    class Down:
        @hookimpl
        def temporal_payloads_driver(self):
            return dataclasses.replace(registry.driver("memory"), open=nobody_there)

    registry.register_driver("down", Down())
    drivers = {"down": {"driver_name": "down", "fallback": "memory"}, "memory": {}}
    api = await serve(codecs=[], storage={"driver": "down", "drivers": drivers, "threshold": 1024})
    sent = [make.plain("x"), make.plain("y" * 5000), make.plain("z" * 5000)]
    got = await api.payloads("encode", sent)
    assert [is_reference(payload) for payload in got] == [False, True, True]
    assert [read_reference(payload).driver_name for payload in got[1:]] == ["memory", "memory"]
    assert await api.payloads("decode", got) == sent


async def test_readyz_asks_the_store_itself_while_its_circuit_is_open(serve, make, store):
    storage = {"driver": "memory", "threshold": 1024, "circuit": {"failures": 1, "open_for": "1h"}}
    api = await serve(codecs=[], storage=storage)
    store.failure = StorageUnavailableError("down")
    assert (await api.post("encode", [make.plain("x" * 5000)])).status == 503
    store.failure = None
    assert (await api.post("encode", [make.plain("x" * 5000)])).status == 503
    assert (await api.client.get("/readyz")).status == 200
