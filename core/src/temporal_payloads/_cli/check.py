"""`temporal-payloads check`: are the settings right, do the stores answer, and will that stay so?"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from temporal_payloads._build.assembly import Assembly, build
from temporal_payloads._cli.check_report import (
    CheckedDriver,
    Compared,
    Found,
    as_parts,
    print_drivers,
    print_payload_converter,
    print_peers,
    print_settings,
)
from temporal_payloads._cli.codecs_found import (
    checked_codecs,
    codecs_with_check,
    named_codecs,
    print_codecs,
    print_keys,
)
from temporal_payloads._cli.document import document, errors_in_document, shown_error
from temporal_payloads._cli.exit_status import ExitStatus, WrongUseError
from temporal_payloads._cli.findings import print_examination
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for
from temporal_payloads._cli.output import complain, heading, say, say_json
from temporal_payloads._cli.peers import PEER_OPTION, STDIN, differences, read_peer
from temporal_payloads._cli.progress import telling_progress, waiting_for
from temporal_payloads._cli.temporal import (
    Address,
    Namespaces,
    TemporalConfig,
    TemporalIfThere,
    TemporalProfile,
)
from temporal_payloads._operate.doctor.examination import Examination, Wanted, examine
from temporal_payloads._settings.models import DriverTable
from temporal_payloads._settings.settings import without_cache
from temporal_payloads._storage.diagnosing import Use

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from temporal_payloads._storage.managed_driver import ManagedDriver

EPILOG = """\
Before a new key writes, or a new codec, every process that reads must have it. What a process has depends on
its own variables and files, so it is asked itself: run check --json there, and compare with that here. The
output holds no secret. Keys are compared by fingerprints, from which a key cannot be found out: an
HMAC-SHA256 under the key itself, cut to 64 bits. A key that is a text could be guessed, so it has none.

What loses payloads one day is looked for in the stores: rights that the role lacks, a clock that is off, a
server that evicts, a lifecycle rule or an expiry that is shorter than what Temporal keeps histories for. A
role needs other rights as a worker, as a reader and as the collector: --use says which are looked at; without
it, that a role may not write is a warning. What cannot be seen with the rights of this role is skipped, and
said to be.

--write stores a payload with each driver, and sends a value through the whole converter; it reads them back,
and removes them again. Their keys bear the workflow type temporal-payloads-check.

Exit status:
  0 all is well, warnings aside
  1 a problem was found: a codec, a key provider or a store cannot be used, or
    will lose payloads; or a peer could not read what is written here (or the
    other way round)
  2 the settings are wrong, or a peer's are
  3 a store does not answer, or Temporal, if it was asked for

--json prints:
  version, ok, settings, payload_converter, codecs, require_encrypted, drivers,
    routes, threshold, peers, findings, codec_samples, error (or null),
    problems
  settings: file, file_named_by, profile, profile_chosen_by, variables, warnings
  payload_converter: name, class, sandbox_passthrough
  codecs: name, type, decode_only, role, encodings, keys, checked,
    error (or null)
  codecs.error: type, message
  codecs.keys: id, source, active, writes_for, reads_for, fingerprint
  drivers: key, name, type, retrieve_only, fallback, moved_to, off,
    trusts_claims, seconds, error (or null), warning
  drivers.error: type, message
  routes: driver, and the conditions that it has
  peers: peer, differences
  findings: level (ok, skipped, warning, problem), check, message, place, advice
  codec_samples: sample, codec (empty: all), size, encoded_size,
    encode_seconds, decode_seconds
  error: type, message (why Temporal could not be asked)
  problems: message, place, origin (of each in the settings)

Examples:
  temporal-payloads check
  temporal-payloads check --config /etc/temporal-payloads.toml --profile prod
  temporal-payloads check --json | jq '(.codecs, .drivers)[] | select(.error)'
  kubectl exec deploy/billing -- temporal-payloads check --json > billing.json
  temporal-payloads check --peer billing.json --peer codec-server.json
  temporal-payloads check --write --namespace orders
  temporal-payloads check --use collector --verbose
  temporal-payloads check --codec-server http://127.0.0.1:8081
"""
CODEC_SERVER = "Codec server"
"""What the help puts its options under."""
CODEC_AUTH_VARIABLE = "TEMPORAL_CODEC_AUTH"
"""As for Temporal's own CLI."""


def run(
    *,
    peers: Annotated[
        list[str] | None,
        typer.Option(
            PEER_OPTION,
            metavar="FILE",
            help="Compare with what check --json prints in another deployment (-: standard input); may be "
            "repeated.",
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Store payloads, read them back, and remove them again.")
    ] = False,
    use: Annotated[
        Use | None,
        typer.Option(
            metavar="USE",
            help="Whose rights are needed: worker (by default), reader or collector.",
        ),
    ] = None,
    codec_server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Also ask the codec server there whether it decodes what is encoded here. {namespace} "
            "stands "
            "for the namespace.",
            rich_help_panel=CODEC_SERVER,
        ),
    ] = None,
    codec_auth: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            envvar=CODEC_AUTH_VARIABLE,
            show_envvar=False,
            help=f"What it is sent as Authorization. Better in {CODEC_AUTH_VARIABLE}: others can see "
            "arguments.",
            rich_help_panel=CODEC_SERVER,
        ),
    ] = None,
    ui_origin: Annotated[
        str | None,
        typer.Option(
            metavar="ORIGIN",
            help="Of the Web UI that uses it; else the first of codec_server.allowed_origins.",
            rich_help_panel=CODEC_SERVER,
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Also show what is fine.")] = False,
    as_json: Json = False,
    config: Config = None,
    profile: Profile = None,
    address: Address = None,
    namespaces: Namespaces = None,
    temporal_config: TemporalConfig = None,
    temporal_profile: TemporalProfile = None,
) -> ExitStatus:
    """Check the settings, that every store answers, and what may lose payloads.

    Loads the settings, shows the codecs and their keys (never the keys themselves), asks each store and each
    key provider whether it is there and lets us in, and looks for what loses payloads one day. No payload is
    stored, unless --write says so.

    Temporal is asked how long it keeps histories and how large a payload may be, if it can be reached.
    """
    settings = without_cache(settings_asked_for(config, profile))
    parts = as_parts(settings, None, Found(named_codecs(settings)))
    with errors_in_document(as_json, **parts):
        if codec_server is not None and urlsplit(codec_server).scheme not in ("http", "https"):
            raise WrongUseError("--codec-server must be a URL that begins with http:// or https://")
        if codec_server is None and (ui_origin or (codec_auth and not os.environ.get(CODEC_AUTH_VARIABLE))):
            raise WrongUseError("--codec-auth and --ui-origin need --codec-server")
    if not as_json:
        print_settings(settings)
    with errors_in_document(as_json, **parts):
        assembly = build(settings)
        reports = {name: read_peer(name) for name in peers or ()}
        temporal = TemporalIfThere(address, namespaces, temporal_config, temporal_profile)
    found = asyncio.run(_check(assembly)) if as_json else _check_and_print(assembly)
    wanted = Wanted(
        use=use or "worker",
        use_named=use is not None,
        write=write,
        namespaces=temporal.namespaces,
        namespaces_named=temporal.namespaces_named,
        codec_server=codec_server,
        codec_authorization=codec_auth or "",
        ui_origin=ui_origin,
    )
    with telling_progress(lambda: "looking at stores, codecs and Temporal ..."):
        unusable = {driver.key for driver in found.drivers if driver.error}
        found.examination = asyncio.run(_examine(assembly, unusable, wanted, temporal))
    found.error = temporal.error
    if not as_json:
        print_examination(found.examination, verbose=verbose)
    here = document(ok=True, **as_parts(settings, assembly, found))
    for name, peer in reports.items():
        shown = "the standard input" if name == STDIN else name
        found.peers.append(Compared(shown, differences(here, peer, shown)))
    if as_json:
        ok = found.status is ExitStatus.FINE
        say_json(document(ok=ok, error=found.error, **as_parts(settings, assembly, found)))
    else:
        print_peers(found.peers)
        if found.error:
            complain(found.error["message"])
    return found.status


async def _check(assembly: Assembly) -> Found:
    codecs, drivers = await asyncio.gather(
        checked_codecs(assembly, lambda _: None), _check_drivers(assembly, lambda _: None)
    )
    return Found(codecs, drivers)


def _check_and_print(assembly: Assembly) -> Found:
    print_payload_converter(assembly)
    say(heading("Codecs"))
    with waiting_for(codecs_with_check(assembly)) as answered:
        codecs = asyncio.run(checked_codecs(assembly, answered))
    print_codecs(codecs)
    print_keys(codecs)
    say(heading("Drivers"))
    with waiting_for(assembly.drivers) as answered:
        drivers = asyncio.run(_check_drivers(assembly, answered))
    print_drivers(assembly.settings, drivers)
    return Found(codecs, drivers)


async def _check_drivers(assembly: Assembly, answered: Callable[[str], None]) -> list[CheckedDriver]:
    checks = (_check_one(assembly, key, driver, answered) for key, driver in assembly.drivers.items())
    return list(await asyncio.gather(*checks))


async def _check_one(
    assembly: Assembly, key: str, driver: ManagedDriver, answered: Callable[[str], None]
) -> CheckedDriver:
    table = assembly.settings.storage.drivers.get(key, DriverTable())
    start = time.monotonic()
    error: dict[str, str] | None = None
    try:
        async with driver.kept_open(check=True):
            pass
    except Exception as failure:  # noqa: BLE001  # a driver may raise anything
        error = shown_error(failure)
    answered(key)
    return CheckedDriver(
        key=key,
        name=driver.name(),
        type=driver.type(),
        retrieve_only=not table.takes_new_payloads,
        fallback=table.fallback,
        moved_to=table.moved_to,
        off=table.off,
        trusts_claims=driver.trusts_claims,
        seconds=round(time.monotonic() - start, 3),
        error=error,
        warning=driver.warning,
    )


async def _examine(
    assembly: Assembly, unusable: Collection[str], wanted: Wanted, temporal: TemporalIfThere
) -> Examination:
    clients, no_temporal = await temporal.clients()
    usable = {key: driver for key, driver in assembly.drivers.items() if key not in unusable}
    async with AsyncExitStack() as stack:
        for driver in usable.values():
            await stack.enter_async_context(driver.kept_open())
        return await examine(assembly, usable, wanted, clients=clients, no_temporal=no_temporal)
