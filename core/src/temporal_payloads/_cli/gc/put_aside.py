"""`temporal-payloads gc put-aside`."""

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
  everything could be read that may refer to a payload: then nothing was put
  aside

{SHAPE_OF_REPORT}
Examples:
  temporal-payloads gc put-aside
  temporal-payloads gc put-aside --resume      go on after an interruption
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
    """Put payloads aside that nothing refers to.

    What is put aside can still be read, and whoever stores it again brings it back. (Of a bucket with
    versions it looks missing meanwhile, which workers wait for; with missing_payload = "fail" they would not,
    and such a bucket is refused.) Nothing is lost until gc delete, a whole gc.grace later, has found again
    that nothing refers to it; until then gc undo brings it back.

    What was put aside before, and is referred to now, is brought back.
    """
    connection = partial(connection_asked_for, address, temporal_config, temporal_profile)
    return collect(
        "put-aside", settings_asked_for(config, profile), connection, as_json=as_json, resume=resume
    )
