"""A codec server from the same settings as the workers, for Temporal's Web UI and CLI.

`temporal-payloads codec-server` runs it. `create_app` makes it an aiohttp application, to be mounted in a
service of one's own; `serve` runs such an application the way the command does. The guide is
`docs/codec-server.md`, the HTTP interface `docs/openapi.json`.
"""

try:
    import aiohttp as _aiohttp
    import jwt as _jwt
except ImportError as error:
    raise ImportError(
        f"the codec server needs {error.name}; run: pip install 'temporal-payloads[codec-server]'",
        name=error.name,
    ) from error

from temporal_payloads.codec_server._app import create_app
from temporal_payloads.codec_server._serve import serve

__all__ = ["create_app", "serve"]

del _aiohttp, _jwt
