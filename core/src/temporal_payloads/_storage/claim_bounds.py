"""How large a claim may be. It is input: what a stranger wrote is measured before anything looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads._storage.errors import ClaimRejectedError

if TYPE_CHECKING:
    from temporalio.converter import StorageDriverClaim

MAX_CLAIM_SIZE = 16 * 1024
"""Characters of all names and values. A claim is a key and a few short strings. The longest key holds four
names (namespace, type, id, run id). Temporal's server takes up to 1,000 bytes for each, which
percent-encoding can make 3,000 characters: 12,000 in all. The rest is for a prefix, a bucket and a hash."""
MAX_CLAIM_ENTRIES = 32
"""Names in a claim; drivers use four or so."""


def bounded(claim: StorageDriverClaim) -> StorageDriverClaim:
    """Return the claim if it is no larger than a driver makes them.

    Raises:
        ClaimRejectedError: It is larger. The message does not quote it.
    """
    data = claim.claim_data
    if len(data) > MAX_CLAIM_ENTRIES:
        raise ClaimRejectedError(
            f"A storage claim has {len(data)} entries; at most {MAX_CLAIM_ENTRIES} are accepted"
        )
    size = sum(len(name) + len(value) for name, value in data.items())
    if size > MAX_CLAIM_SIZE:
        raise ClaimRejectedError(
            f"A storage claim has {size} characters; at most {MAX_CLAIM_SIZE} are accepted"
        )
    return claim
