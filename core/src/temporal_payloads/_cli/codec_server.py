"""`temporal-payloads codec-server`: decode payloads for the Web UI and the CLI."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from temporal_payloads._cli.document import document, errors_in_document
from temporal_payloads._cli.exit_status import ExitStatus, UnfinishedError, WrongUseError
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for
from temporal_payloads._cli.output import say, say_json

if TYPE_CHECKING:
    from temporal_payloads._settings.codec_server import CodecServerSettings

HIGHEST_PORT = 65535
"""Of TCP."""

EPILOG = """\
Exit status:
  0 stopped by SIGINT or SIGTERM, 2 the settings are wrong, 3 the address or a
  store cannot be used

--json prints, once the server answers, or when it cannot:
  version, ok, address (or null), error, problems
  error: type, message (why it cannot serve, or null)
  problems: message, place, origin (of each in the settings)

Examples:
  temporal-payloads codec-server
  temporal-payloads codec-server --port 0     take a free port, and print it
  temporal-payloads codec-server --config /etc/payloads.toml --json-logs

Then, for everybody who uses a development server:
  temporal server start-dev --ui-codec-endpoint http://127.0.0.1:8081
For one command of the CLI:
  temporal workflow show --workflow-id ID --output json \\
      --codec-endpoint http://127.0.0.1:8081
"""


def run(
    *,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Listen here, instead of at codec_server.host.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=HIGHEST_PORT,
            help="Listen at this port, instead of codec_server.port; 0 takes a free one.",
        ),
    ] = None,
    json_logs: Annotated[bool, typer.Option(help="Log a JSON object a line.")] = False,
    as_json: Json = False,
    config: Config = None,
    profile: Profile = None,
) -> ExitStatus:
    """Decode payloads for the Web UI and the CLI.

    Serves POST /encode, /decode and /download for Temporal's Web UI and CLI, with the codecs and the storage
    that the workers use. [codec_server] in the settings says where, and to whom.
    """
    with errors_in_document(as_json, address=None):
        try:
            from temporal_payloads.codec_server import create_app, serve  # noqa: PLC0415  # needs the extra
            from temporal_payloads.codec_server._logs import configure_logging  # noqa: PLC0415  # likewise
            from temporal_payloads.codec_server._process import set_up_process  # noqa: PLC0415  # likewise
        except ImportError as error:
            raise WrongUseError(str(error)) from error
    configure_logging(as_json=json_logs)
    set_up_process()

    def tell(address: str) -> None:
        if as_json:
            say_json(document(ok=True, address=address))
        else:
            say(f"Codec server at {address}")

    with errors_in_document(as_json, address=None):
        settings = settings_asked_for(config, profile)
        app = create_app(settings, file=config)
        listening = _overridden(settings.codec_server, host, port)
        try:
            asyncio.run(serve(app, listening, when_ready=tell))
        except BrokenPipeError:
            raise  # of our own output, when nobody reads it
        except OSError as error:
            raise UnfinishedError(
                f"cannot listen on {listening.host} port {listening.port}: {error.strerror or error}"
            ) from error
    return ExitStatus.FINE


def _overridden(settings: CodecServerSettings, host: str | None, port: int | None) -> CodecServerSettings:
    given = {"host": host, "port": port}
    return settings.model_copy(update={name: value for name, value in given.items() if value is not None})
