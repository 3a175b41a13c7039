"""`temporal-payloads codec-server`: decode payloads for the Web UI and the CLI."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from temporal_payloads._cli.options import settings_asked_for, whole_number
from temporal_payloads._cli.output import ALL_WELL, CONFIGURATION_WRONG, UNREACHABLE, complain, say
from temporal_payloads._storage.errors import StorageError

if TYPE_CHECKING:
    from temporal_payloads._settings.codec_server import CodecServerSettings

HIGHEST_PORT = 65535
"""Of TCP."""

_DESCRIPTION = """\
Serves POST /encode, /decode and /download for Temporal's Web UI and CLI, with the codecs and the storage
that the workers use. [codec_server] in the settings says where, and to whom.
"""
_EPILOG = """\
exit status: 0 stopped by SIGINT or SIGTERM, 1 the address or a store cannot be used, 2 the settings are wrong

examples:
  temporal-payloads codec-server
  temporal-payloads codec-server --port 0          take a free port, and print it
  temporal-payloads codec-server --config /etc/temporal-payloads.toml --profile prod --json-logs

Then, for everybody who uses a development server:
  temporal server start-dev --ui-codec-endpoint http://127.0.0.1:8081
for one command of the CLI:
  temporal workflow show --workflow-id ID --output json --codec-endpoint http://127.0.0.1:8081
"""


def add_to(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], settings: argparse.ArgumentParser
) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "codec-server",
        parents=[settings],
        help="decode payloads for the Web UI and the CLI",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", help="address to listen on, instead of codec_server.host")
    parser.add_argument(
        "--port",
        type=whole_number(up_to=HIGHEST_PORT),
        help="port to listen on, instead of codec_server.port; 0 takes a free one",
    )
    parser.add_argument("--json-logs", action="store_true", help="log a JSON object a line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    try:
        from temporal_payloads.codec_server import create_app, serve  # noqa: PLC0415  # needs the extra
        from temporal_payloads.codec_server._logs import configure_logging  # noqa: PLC0415  # likewise
        from temporal_payloads.codec_server._process import set_up_process  # noqa: PLC0415  # likewise
    except ImportError as error:
        complain(str(error))
        return CONFIGURATION_WRONG
    configure_logging(as_json=arguments.json_logs)
    set_up_process()
    settings = settings_asked_for(arguments)
    app = create_app(settings, file=arguments.config)
    listening = _overridden(settings.codec_server, arguments)
    try:
        asyncio.run(serve(app, listening, when_ready=lambda address: say(f"Codec server at {address}")))
    except BrokenPipeError:
        raise  # of our own output, when nobody reads it
    except OSError as error:
        complain(f"cannot listen on {listening.host} port {listening.port}: {error.strerror or error}")
        return UNREACHABLE
    except StorageError as error:
        complain(str(error))
        return UNREACHABLE
    return ALL_WELL


def _overridden(settings: CodecServerSettings, arguments: argparse.Namespace) -> CodecServerSettings:
    given = {"host": arguments.host, "port": arguments.port}
    return settings.model_copy(update={name: value for name, value in given.items() if value is not None})
