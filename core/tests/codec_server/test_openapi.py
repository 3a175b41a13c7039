"""The checked-in description is that of the server, and random requests by it find no fault of the server."""

import asyncio
import json
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS
from temporal_payloads.codec_server import create_app
from temporal_payloads.codec_server._app import PREFIX
from temporal_payloads.codec_server._errors import Code
from temporal_payloads.codec_server._serve import listening

FILE = Path(__file__).parents[3] / "docs" / "openapi.json"
DOCUMENT = json.loads(FILE.read_text())
schema = schemathesis.openapi.from_dict(DOCUMENT)
ACCEPTANCE = CHECKS.get_by_names(["negative_data_rejection", "positive_data_acceptance"])


def test_it_describes_every_route(make_settings, registry):
    app = create_app(make_settings(), registry=registry)
    routes = {
        (route.method.lower(), route.resource.canonical.replace(PREFIX, "/").replace("/{prefix}", "/"))
        for route in app.router.routes()
        if route.method != "HEAD" and route.resource is not None
    }
    described = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert described == routes


def test_it_lists_every_code():
    assert DOCUMENT["components"]["schemas"]["Error"]["properties"]["code"]["enum"] == [
        code.value for code in Code
    ]


@pytest.fixture(scope="module")
def address(make_settings, registry_module):
    """A server in a thread of its own."""
    server_settings = make_settings(codec_server={"port": 0})
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, str]] = Future()

    async def run():
        stop = asyncio.Event()
        app = create_app(server_settings, registry=registry_module)
        async with listening(app, server_settings.codec_server) as url:
            started.set_result((asyncio.get_running_loop(), stop, url))
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=[run()])
    thread.start()
    loop, stop, url = started.result(timeout=10)
    yield url
    loop.call_soon_threadsafe(stop.set)
    thread.join()


@schema.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_request_by_the_description_is_answered_otherwise_or_with_a_server_error(case, address):
    # Protobuf JSON ignores fields it does not know and has names of its own for extensions, and what a
    # payload holds is beyond the description: whether a body is accepted says nothing.
    case.call_and_validate(base_url=address, excluded_checks=ACCEPTANCE)


def test_the_guide_explains_every_code():
    guide = (FILE.parent / "codec-server.md").read_text()
    assert [code for code in Code if f"`{code}`" not in guide] == []
