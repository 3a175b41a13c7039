"""`temporal-payloads gc plan`."""

from __future__ import annotations

from functools import partial

from temporal_payloads._cli.exit_status import ExitStatus
from temporal_payloads._cli.gc.collecting import SHAPE_OF_REPORT, Resume, collect
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for
from temporal_payloads._cli.temporal import Address, TemporalConfig, TemporalProfile, connection_asked_for

EPILOG = f"""\
Exit status:
  0 there is no garbage, 1 there is, or a store is not collected, 2 the settings
  are wrong, 3 Temporal or a store cannot be reached, or not everything could be
  read that may refer to a payload

{SHAPE_OF_REPORT}
Examples:
  temporal-payloads gc plan
  temporal-payloads gc plan --json | jq '.stores[].garbage'
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
    """Say what would be collected, and change no payload.

    Everything that the namespaces in [[gc.owners]] hold is read, for what it refers to: runs that are open
    and runs that are retained, schedules, batch operations, activities. Then the stores are listed. What is
    not referred to, and is older than gc.grace, would be put aside; what has been aside for gc.grace, and is
    still not referred to, would be deleted.

    What was read of runs that have ended is kept in the collector's own files (in a store, or in gc.state),
    so that the next collection reads only what is new; the plan is written down there too, for gc status.
    """
    connection = partial(connection_asked_for, address, temporal_config, temporal_profile)
    return collect("plan", settings_asked_for(config, profile), connection, as_json=as_json, resume=resume)
