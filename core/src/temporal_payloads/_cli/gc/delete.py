"""`temporal-payloads gc delete`."""

from __future__ import annotations

from functools import partial

from temporal_payloads._cli.exit_status import ExitStatus
from temporal_payloads._cli.gc.collecting import SHAPE_OF_REPORT, Resume, collect
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for
from temporal_payloads._cli.temporal import Address, TemporalConfig, TemporalProfile, connection_asked_for

EPILOG = f"""\
Exit status:
  0 it is done, 1 a store is not collected, or refused to change a payload, 2
  the settings are wrong, 3 Temporal or a store cannot be reached, or not
  everything could be read that may refer to a payload: then nothing was deleted

{SHAPE_OF_REPORT}
Examples:
  temporal-payloads gc delete
  temporal-payloads gc delete --json | jq '.stores[].changes'
"""


def run(
    *,
    resume: Resume = False,
    as_json: Json = False,
    config: Config = None,
    profile: Profile = None,
    address: Address = None,
    temporal_config: TemporalConfig = None,
    temporal_profile: TemporalProfile = None,
) -> ExitStatus:
    """Delete what has been aside for the grace, and that nothing refers to.

    Only what a collection has put aside at least gc.grace before this one begins, and what is still aside,
    is deleted. What is referred to now is brought back.
    """
    connection = partial(connection_asked_for, address, temporal_config, temporal_profile)
    return collect("delete", settings_asked_for(config, profile), connection, as_json=as_json, resume=resume)
