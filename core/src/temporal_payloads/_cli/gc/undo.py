"""`temporal-payloads gc undo`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from temporal_payloads._cli.exit_status import ExitStatus
from temporal_payloads._cli.gc.collecting import SHAPE_OF_REPORT, Resume, collect
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for
from temporal_payloads._cli.temporal import Address, TemporalConfig, TemporalProfile, connection_asked_for

EPILOG = f"""\
Exit status:
  0 it is done, 1 a store is not collected, or refused to change a payload, 2
  the settings are wrong, or there was no such collection, 3 a store
  cannot be reached

{SHAPE_OF_REPORT}
Examples:
  temporal-payloads gc undo
  temporal-payloads gc undo --collection 20261130T062500.417Z-3f9a00c41b7e
"""


def run(
    *,
    collection: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Bring back only what this collection has put aside."),
    ] = None,
    resume: Resume = False,
    as_json: Json = False,
    config: Config = None,
    profile: Profile = None,
    address: Address = None,
    temporal_config: TemporalConfig = None,
    temporal_profile: TemporalProfile = None,
) -> ExitStatus:
    """Bring back what was put aside.

    All of it, or what one collection has put aside; gc status names the collections. No history is read, and
    Temporal need not be there. What nothing refers to
    is put aside again by the next collection, and then waits a whole gc.grace.
    """
    connection = partial(connection_asked_for, address, temporal_config, temporal_profile)
    settings = settings_asked_for(config, profile)
    return collect("undo", settings, connection, as_json=as_json, resume=resume, undo_of=collection)
