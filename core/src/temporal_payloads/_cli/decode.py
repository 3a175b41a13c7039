"""`temporal-payloads decode`: payloads from a file, without a Temporal server."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.history.v1 import History

from temporal_payloads._build.assembly import Assembly, build
from temporal_payloads._cli.document import document, errors_in_document
from temporal_payloads._cli.exit_status import ExitStatus, UnfinishedError, WrongUseError
from temporal_payloads._cli.exports import STDIN, json_text, read_file, say_data
from temporal_payloads._cli.inspection_report import event_of, payload_as_json, status_of
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for, size
from temporal_payloads._cli.output import complain, printable, say, say_json
from temporal_payloads._cli.progress import telling_progress
from temporal_payloads._operate.histories import placed_payloads_in
from temporal_payloads._operate.inspection.exported import messages_of, workflow_id_of
from temporal_payloads._operate.inspection.inspection import Inspected, Inspector, Totals, placed
from temporal_payloads._operate.inspection.values import value_of, with_values
from temporal_payloads._settings.settings import without_cache

EPILOG = """\
It reads what Temporal's tools and codec servers write: the JSON of a payload, a list of them,
{"payloads": [...]}, or a history; or the bytes of a payload, also in base64.

It prints JSON: a payload's value, an array of the values of several, or the history with the value
of each payload in its place. What is not JSON inside has its encoding and its bytes in base64. What
cannot be read stays as it is, and standard error says why. As all of it is printed at once, it stops
where payloads decode to more than --max-size.

Exit status:
  0 everything was decoded, 1 something could not be, 2 the command line,
  the input or the settings are wrong, 3 a store cannot be reached, or it
  decodes to more than --max-size

--json prints:
  version, ok, kind, payloads, error, problems
  payloads: number, event_id, event, time, field, state, why, inline_bytes,
    reference, layers, encoding, message_type, bytes, value
  payloads.reference: driver, claim, key, bytes, layers (or null)
  payloads.reference.layers: codec, encoding, key, bytes (with the layer)
  payloads.layers: codec, encoding, key, bytes (with the layer)
  error: type, message (why it could not be done, or null)
  problems: message, place, origin (of each in the settings)

kind is payload, payloads or history. The states are those of temporal-payloads
inspect.

Examples:
  temporal workflow show -w order-1 --output json | temporal-payloads decode
  temporal-payloads decode payload.json --raw > picture.png
  temporal-payloads decode payloads.json --json | jq '.payloads[].value'
"""

MAX_SIZE = 256 * 1024 * 1024
"""Bytes that payloads may decode to, unless `--max-size` says otherwise."""


def run(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The export; by default the standard input.")
    ] = STDIN,
    *,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the bytes inside of a single payload as they are.")
    ] = False,
    namespace: Annotated[
        str, typer.Option(metavar="NAME", help="Where it comes from, for keys that are of a namespace.")
    ] = "",
    max_size: Annotated[
        int | None,
        typer.Option(
            parser=size,
            metavar="SIZE",
            help=f"Bytes that all of it may decode to (1GiB); by default {MAX_SIZE >> 20} MiB.",
        ),
    ] = None,
    as_json: Json = False,
    config: Config = None,
    profile: Profile = None,
) -> ExitStatus:
    """Decode payloads, or an exported history, from a file or the standard input.

    Takes every codec off, and fetches what references lead to. It needs the settings, and no Temporal
    server.
    """
    settings = settings_asked_for(config, profile)
    with errors_in_document(as_json, kind=None, payloads=[]):
        if raw and as_json:
            raise WrongUseError("give --raw or --json, and not both")
        assembly = build(without_cache(settings))
        exported = read_file(file)
        if raw and not isinstance(exported, Payload):
            raise WrongUseError("--raw is for a single payload")
    decoded = _Decoded(MAX_SIZE if max_size is None else max_size)
    with (
        errors_in_document(as_json, kind=_KINDS[type(exported)], payloads=[]),
        telling_progress(lambda: f"decoded {len(decoded.payloads):,} payloads ..."),
    ):
        found = asyncio.run(_decode(assembly, exported, namespace, decoded))
    totals = Totals()
    for one in found:
        totals.add(one)
    status = status_of(totals)
    if as_json:
        values = {number: value_of(payload) for number, payload in decoded.payloads.items()}
        payloads = [payload_as_json(one) | {"value": values.get(one.number)} for one in found]
        say_json(document(ok=status is ExitStatus.FINE, kind=_KINDS[type(exported)], payloads=payloads))
        return status
    if raw:
        for payload in decoded.payloads.values():
            say_data(payload.data)
    else:
        say(json_text(_as_values(exported, decoded.payloads)))
    for one in found:
        if not one.well:
            where = f" in {event_of(one)} {printable(one.where)}" if isinstance(exported, History) else ""
            complain(f"payload {one.number}{where} is {one.state}: {printable(one.why)}")
    return status


_KINDS = {Payload: "payload", Payloads: "payloads", History: "history"}


@dataclass
class _Decoded:
    """What was decoded up to now, by the payloads' numbers."""

    max_size: int
    payloads: dict[int, Payload] = field(default_factory=dict)
    _size: int = 0

    async def take(self, one: Inspected, payload: Payload) -> None:
        """Keep a payload.

        Raises:
            UnfinishedError: There are more bytes than may be kept.
        """
        self._size += payload.ByteSize()
        if self._size > self.max_size:
            raise UnfinishedError(
                f"its payloads decode to more than {self.max_size:,} bytes: with payload {one.number} they "
                f"have {self._size:,}. --max-size allows more; temporal-payloads inspect --history FILE "
                "--save DIR writes payloads one by one, and takes no more memory for it"
            )
        self.payloads[one.number] = payload


async def _decode(
    assembly: Assembly, exported: Payload | Payloads | History, namespace: str, decoded: _Decoded
) -> list[Inspected]:
    external = assembly.converter.external_storage
    inspector = Inspector(
        assembly.codecs.chain,
        external.drivers if external else (),
        namespace,
        workflow_id_of(exported) if isinstance(exported, History) else "",
        concurrency=assembly.settings.storage.concurrency,
        take=decoded.take,
    )
    async with aclosing(inspector.inspect(placed(messages_of(exported)))) as inspected:
        return [one async for one in inspected]


def _as_values(exported: Payload | Payloads | History, decoded: dict[int, Payload]) -> Any:
    places = enumerate((place for place, _ in placed_payloads_in(exported)), 1)
    values = [(place, value_of(decoded[number])) for number, place in places if number in decoded]
    if isinstance(exported, Payload):
        return values[0][1] if values else with_values(exported, ())
    document = with_values(exported, values)
    return document if isinstance(exported, History) else document["payloads"]
