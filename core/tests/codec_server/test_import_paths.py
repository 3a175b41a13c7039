"""The codec server over a driver of somebody's own, which the settings name by its import path."""

import importlib
import logging

import pytest
from temporal_payloads import PayloadSettings
from temporal_payloads.codec_server import create_app


@pytest.fixture
def serve_driver(install, serve_app):
    """Start a server whose only driver is that of the table."""
    install("legacy")
    importlib.import_module("my_app.stores").SHELF.clear()

    async def serve(table, **server):
        storage = {"threshold": 0, "drivers": {"mine": table}, "cache": {"max_size": 0}}
        return await serve_app(create_app(PayloadSettings(storage=storage, codec_server=server)))

    return serve


@pytest.mark.parametrize("name", ["ConfinedDriver", "ShelfDriver", "made", "opened"])
async def test_payloads_of_a_driver_that_confines_its_claims_are_shown_to_their_namespace(
    serve_driver, make, name
):
    api = await serve_driver({"type": f"my_app.stores:{name}"})
    references = await api.payloads("encode", [make.plain("secret")], namespace="orders")
    assert references != [make.plain("secret")]
    assert await api.payloads("decode", references, namespace="orders") == [make.plain("secret")]
    status, code, _ = await api.error("download", references, namespace="billing")
    assert (status, code) == (403, "reference_rejected")


async def test_payloads_of_a_driver_whose_claims_are_trusted_are_shown_to_nobody(serve_driver, make, caplog):
    """Whatever else the server may show: nothing says into which namespace such a claim leads."""
    caplog.set_level(logging.INFO)
    table = {"type": "my_app.stores:PlainDriver", "trust_claims": True}
    api = await serve_driver(table, keys_without_namespace=True)
    references = await api.payloads("encode", [make.plain("secret")], namespace="orders")
    status, code, message = await api.error("download", references, namespace="orders")
    assert (status, code) == (403, "reference_rejected")
    assert "'mine' trusts its claims, which may lead into any namespace" in message
    [left] = await api.payloads("decode", references, namespace="orders")
    assert make.reason_of(left) == ("reference_rejected", message.removeprefix("payloads[0]: "))
    assert left == references[0]
    assert "give the driver a method confine(claim)" in caplog.text
