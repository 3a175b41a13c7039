"""A page of references through the codec server, beside a server in the style of the public sample.

Each server runs in a process of its own, on the same store, and they take turns.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import ExternalStorage

from benchmarks.access import S3Access
from benchmarks.harness import MILLION, Config, Contestant, Line, Report, duration, race
from benchmarks.peers import SampleGzipCodec, sdk_s3_driver
from benchmarks.servers import Servers

NAMESPACE = "benchmark"
STORED_SIZE = 300_000
REFERENCES = 100
HEADERS = {"Content-Type": "application/json", "X-Namespace": NAMESPACE}


@dataclass(frozen=True)
class CodecServer:
    address: str
    process_id: int

    def forget_the_peak(self) -> int:
        """Start to watch the memory, and return the bytes that are in use now."""
        Path(f"/proc/{self.process_id}/clear_refs").write_text("5")
        return self._memory("VmRSS")

    @property
    def peak(self) -> int:
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        lines = Path(f"/proc/{self.process_id}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


async def run(config: Config, servers: Servers) -> Report:
    """Measure time and memory of `/decode` for a page, as the CLI asks for it."""
    async with AsyncExitStack() as stack:
        contestants = {
            "peer": stack.enter_context(_sample_server(servers.s3)),
            "ours": stack.enter_context(_our_server(servers.s3)),
        }
        session = await stack.enter_async_context(aiohttp.ClientSession())
        page = await _store_page(session, contestants["ours"])
        # Before the race: a server that has done it before already holds the memory that it needs.
        memory = {}
        for name, server in contestants.items():
            before = server.forget_the_peak()
            await _decode(session, server, page, None)
            memory[name] = server.peak - before
        times = await race(
            {
                name: Contestant(partial(_decode, session, server, page))
                for name, server in contestants.items()
            },
            config.rounds(7),
        )
    what = f"a page of {REFERENCES} references of {STORED_SIZE // 1000} KB through the codec server"
    time_ratio, memory_ratio = times["peer"] / times["ours"], memory["peer"] / max(memory["ours"], 1)
    return Report(
        lines=[
            Line(
                what,
                duration(times["peer"]),
                duration(times["ours"]),
                time_ratio,
                "no more",
                time_ratio >= 1,
            ),
            Line(
                f"memory for {what}",
                f"{memory['peer'] / MILLION:.0f} MB",
                f"{memory['ours'] / MILLION:.0f} MB",
                memory_ratio,
                "no more",
                memory_ratio >= 1,
            ),
        ]
    )


async def _store_page(session: aiohttp.ClientSession, server: CodecServer) -> bytes:
    references = []
    for _ in range(0, REFERENCES, 10):
        # A third more than what is to be stored, for that much gzip takes off base64.
        texts = [base64.b64encode(os.urandom(STORED_SIZE)).decode() for _ in range(10)]
        payloads = [
            Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(text).encode()) for text in texts
        ]
        body = json_format.MessageToJson(Payloads(payloads=payloads)).encode()
        async with session.post(
            f"{server.address}/encode", data=io.BytesIO(body), headers=HEADERS
        ) as response:
            document = await response.json()
            assert response.status == 200, document
            references += document["payloads"]
    assert all(reference["externalPayloads"] for reference in references)
    return json.dumps({"payloads": references}).encode()


async def _decode(session: aiohttp.ClientSession, server: CodecServer, page: bytes, _: object) -> None:
    async with session.post(f"{server.address}/decode", data=page, headers=HEADERS) as response:
        size = len(await response.read())
        assert response.status == 200
        assert size > REFERENCES * STORED_SIZE


@contextmanager
def _our_server(access: S3Access) -> Iterator[CodecServer]:
    lines = [
        'codecs = ["gzip"]',
        "[storage.drivers.s3]",
        *(f"{name} = {json.dumps(value)}" for name, value in access.options().items()),
        "[storage.cache]",
        "max_size = 0  # every round asks the store",
        "[codec_server.limits]",
        'response_size = "64MiB"',
    ]
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "temporal-payloads.toml"
        file.write_text("\n".join(lines))
        command = [sys.executable, "-m", "temporal_payloads", "codec-server", "--port", "0"]
        with running([*command, "--config", str(file)]) as server:
            yield server


@contextmanager
def _sample_server(access: S3Access) -> Iterator[CodecServer]:
    command = [sys.executable, "-m", "benchmarks.codec_server", json.dumps(asdict(access))]
    with running(command) as server:
        yield server


@contextmanager
def running(command: Sequence[str]) -> Iterator[CodecServer]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with process:
        assert process.stdout is not None
        try:
            yield CodecServer(process.stdout.readline().split()[-1], process.pid)
        finally:
            process.terminate()


async def _serve_like_the_sample(access: S3Access) -> None:
    """Everything in one batch, parsed and written as a whole, on the event loop."""
    codec = SampleGzipCodec()

    def route(
        convert: Callable[[list[Payload]], Awaitable[Sequence[Payload]]],
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            message = json_format.Parse(await request.read(), Payloads())
            payloads = await convert(list(message.payloads))
            text = json_format.MessageToJson(Payloads(payloads=payloads))
            return web.Response(text=text, content_type="application/json")

        return handle

    async with sdk_s3_driver(access) as driver:
        storage = ExternalStorage(drivers=[driver])

        async def decode(payloads: list[Payload]) -> Sequence[Payload]:
            return await codec.decode(await storage._retrieve_payload_sequence(payloads))  # noqa: SLF001  # as there

        app = web.Application()
        app.add_routes([web.post("/decode", route(decode))])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Serve as the peer, in a process of its own."""
    asyncio.run(_serve_like_the_sample(S3Access(**json.loads(sys.argv[1]))))


if __name__ == "__main__":
    main()
