"""TLS in front of a plain TCP server: `python tls_front.py PORT UPSTREAM_PORT CERTIFICATE_CHAIN KEY`.

The Redis server from PyPI is built without TLS. This ends TLS as stunnel would, on 127.0.0.1 on both sides.
"""

import asyncio
import contextlib
import ssl
import sys


async def serve(port: int, upstream_port: int, chain_file: str, key_file: str) -> None:
    """Pass every connection on until cancelled."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain_file, key_file)

    async def connect(client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        server_in, server_out = await asyncio.open_connection("127.0.0.1", upstream_port)
        await asyncio.gather(_copy(client_in, server_out), _copy(server_in, client_out))

    server = await asyncio.start_server(connect, "127.0.0.1", port, ssl=context)
    await server.serve_forever()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError), contextlib.closing(target):
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))
