"""`temporal-payloads settings fingerprint`: do two deployments agree?"""

from __future__ import annotations

from temporal_payloads._build.assembly import build
from temporal_payloads._build.fingerprint import fingerprint_of, shared_parts
from temporal_payloads._cli.document import document, errors_in_document
from temporal_payloads._cli.exit_status import ExitStatus
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for
from temporal_payloads._cli.output import say, say_json

EPILOG = """\
It is made of the codecs in their order, by type, encodings and what their readers need (dictionaries, the ids
of keys and their fingerprints, never the keys); of decode_only; of the payload converter; of encode_failures;
and of the drivers by recorded name, type, what tells their stores from others, read_aliases, and moved_to.

What may differ does not count: what only says which way new payloads go (routes, threshold, default driver,
fallback, retrieve_only, which key writes, levels of compression), and what concerns one process (credentials,
timeouts, caches, limits).

Two that differ need not be wrong: while a key or a codec is added, those who have it already have another
fingerprint. Compare the parts then, or let check --peer say whether each reads what the other writes.

Exit status:
  0, or 2 if the settings are wrong

--json prints:
  version, ok, fingerprint (or null), parts (or null), error (null), problems
  parts: payload_converter, encode_failures, codecs, decode_only, drivers
  parts.payload_converter: type, settings
  parts.codecs: type, encodings, settings, keys
  parts.codecs.keys: id, fingerprint
  parts.decode_only: type, encodings, settings, keys
  parts.decode_only.keys: id, fingerprint
  parts.drivers: name, type, store, read_aliases, moved_to
  problems: message, place, origin (of each in the settings)

Examples:
  temporal-payloads settings fingerprint
  kubectl exec deploy/billing -- temporal-payloads settings fingerprint
  temporal-payloads settings fingerprint --json | jq .parts > here.json
"""


def run(*, as_json: Json = False, config: Config = None, profile: Profile = None) -> ExitStatus:
    """Print a short hash of all that readers and writers must agree on.

    Workers with PayloadsPlugin and the codec server log the same hash when they start. Where it is the same,
    each reads what the other writes. No secret goes into it, and no store is asked.
    """
    settings = settings_asked_for(config, profile)
    with errors_in_document(as_json, fingerprint=None, parts=None):
        parts = shared_parts(build(settings))
    if as_json:
        say_json(document(ok=True, fingerprint=fingerprint_of(parts), parts=parts))
    else:
        say(fingerprint_of(parts))
    return ExitStatus.FINE
