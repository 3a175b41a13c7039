"""The keys of payloads: those of the published Redis sample, so that its drivers and ours find each other's.

For a workflow `{prefix}:v0[:ns:{namespace}]:wt:{type}:wi:{id}:ri:{run id}:d:sha256:{hex}`, for an activity
the same with `at`/`ai`, and `{prefix}:v0:d:sha256:{hex}` where neither is known.
"""

from temporal_payloads.plugin import KeyLayout

DEFAULT_KEY_PREFIX = "temporalio:payloads"


def key_layout(key_prefix: str) -> KeyLayout:
    """Return the layout below this prefix; as in the sample, colons at its end don't count."""
    stripped = key_prefix.rstrip(":")
    return KeyLayout(
        f"{stripped}:" if stripped else "", separator=":", unescaped="_.-~", escape_final_dots=False
    )
