"""The URIs of KMS keys, as temporal-proxy and Go's cloud libraries take them.

`awskms:///arn:aws:kms:eu-central-1:111122223333:key/1234abcd-...`, `awskms:///alias/orders?region=eu-central-1`,
`awskms://alias/orders`, `awskms://1234abcd-...`; with `context_NAME=value` for an encryption context. See
https://gocloud.dev/howto/secrets/#aws.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEME = "awskms"
_ARN = re.compile(r"arn:[a-z-]+:kms:(?P<region>[a-z0-9-]+):\d{12}:(?:key|alias)/[A-Za-z0-9/_-]+")
_KEY_ID = re.compile(r"(?:mrk-)?[A-Za-z0-9-]{8,64}")
_ALIAS = re.compile(r"alias/[A-Za-z0-9/_-]+")
_CONTEXT = "context_"
_IGNORED = {"awssdk"}
"""What says which of Go's AWS libraries to use."""


@dataclass(frozen=True)
class KmsKey:
    """A key of KMS."""

    id: str
    """Its id, ARN or alias."""
    region: str | None
    """Where it is, if the URI says so."""
    context: dict[str, str] = field(default_factory=dict)
    """The encryption context of everything that it wraps."""

    @property
    def is_alias(self) -> bool:
        """Whether it may be another key tomorrow."""
        return self.id.startswith("alias/") or ":alias/" in self.id


def is_same_alias(one: str, other: str) -> bool:
    """Tell whether two names are those of one alias; `alias/orders` has neither account nor region."""
    if one.startswith("arn:") and other.startswith("arn:"):
        return one == other
    return one.rpartition(":")[2] == other.rpartition(":")[2]


def parse(uri: str) -> KmsKey:
    """Return the key that a URI names.

    Raises:
        ValueError: It names none, or has a parameter that is not known.
    """
    parts = urlsplit(uri)
    if parts.scheme != SCHEME:
        raise ValueError(f"its scheme must be {SCHEME}")
    if parts.fragment or "@" in parts.netloc:
        raise ValueError("it must be awskms:///ARN, awskms:///alias/NAME or awskms:///KEY-ID, and parameters")
    key_id = unquote(f"{parts.netloc}{parts.path}").strip("/")
    arn = _ARN.fullmatch(key_id)
    if not arn and not _ALIAS.fullmatch(key_id) and not _KEY_ID.fullmatch(key_id):
        raise ValueError("it must be awskms:///ARN, awskms:///alias/NAME or awskms:///KEY-ID")
    region = arn["region"] if arn else None
    context = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "region":
            if region not in (None, value):
                raise ValueError(f"its region parameter is {value!r}, and its ARN is of {region!r}")
            region = value
        elif name.startswith(_CONTEXT) and name != _CONTEXT:
            context[name.removeprefix(_CONTEXT)] = value
        elif name not in _IGNORED:
            raise ValueError(f"it has the parameter {name!r}; region and context_NAME are known")
    return KmsKey(key_id, region, context)
