"""The claims of the SDK's drivers for buckets, as input; and buckets that are named by namespace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.converter import StorageDriverClaim

from temporal_payloads._plugins.contract import ConfinedClaim
from temporal_payloads._storage.errors import ClaimRejectedError

if TYPE_CHECKING:
    from temporal_payloads._storage.key_layout import ParsedKey

_QUOTED = 200
"""Characters of a claim that an error quotes."""


@dataclass(frozen=True, kw_only=True)
class BucketClaims:
    """How one of the SDK's drivers for buckets writes its claims, in all languages.

    Example::

        layout = KeyLayout(max_length=1024, escape_final_dots=False)
        claims = BucketClaims(store="S3", name_fields=["key"], read_name=layout.read)

        def confine(settings: ShelfSettings, claim: StorageDriverClaim) -> ConfinedClaim:
            return claims.confine(claim, lambda namespace: settings.prefix)
    """

    store: str
    """How errors call it."""
    name_fields: Sequence[str]
    """What a claim may call the name of an object in its bucket; the first is the canonical one."""
    read_name: Callable[[str], ParsedKey | None]
    """Returns what such a name says. If the SDK writes none like it: None, or a ValueError that says why."""

    def confine(self, claim: StorageDriverClaim, bucket_for: Callable[[str | None], str]) -> ConfinedClaim:
        """Return the claim in its canonical spelling if the SDK's driver could have made it.

        A namespace of `null` is returned as such: the SDK writes it for an empty namespace too, but a
        namespace may also have that name, and its payloads are not for everybody.

        Args:
            claim: Untrusted input.
            bucket_for: Returns the bucket of a namespace's payloads, or raises ValueError, which says why
                there is none.

        Raises:
            ClaimRejectedError: The driver could not have made it.
        """
        try:
            return self._confine(claim.claim_data, bucket_for)
        except ValueError as error:
            raise ClaimRejectedError(f"{self.store} claim rejected: {error}") from error

    def _confine(self, data: Mapping[str, str], bucket_for: Callable[[str | None], str]) -> ConfinedClaim:
        name = _one_of(data, *self.name_fields)
        # The TypeScript SDK wrote the second spellings up to 1.21.1; the histories live on.
        algorithm = _one_of(data, "hash_algorithm", "hashAlgorithm")
        sha256 = _one_of(data, "hash_value", "hashValue")
        if algorithm != "sha256":
            raise ValueError("its hash_algorithm is not sha256")
        found = self.read_name(name)
        if found is None:
            raise ValueError(
                f"{self.name_fields[0]} {name[:_QUOTED]!r} is not one that the SDK's driver writes"
            )
        if sha256 != found.sha256:
            raise ValueError(f"its hash_value is not the hash in its {self.name_fields[0]}")
        bucket, expected = data.get("bucket", ""), bucket_for(found.namespace)
        if bucket != expected:
            raise ValueError(
                f"it points into bucket {bucket[:_QUOTED]!r}, and this driver is for {expected!r}"
            )
        canonical = {"bucket": bucket, self.name_fields[0]: name}
        canonical |= {"hash_algorithm": "sha256", "hash_value": sha256}
        return ConfinedClaim(
            claim=StorageDriverClaim(claim_data=canonical), sha256=sha256, namespace=found.namespace
        )


def bucket_of_namespace(bucket: str, namespace: str | None, is_name: Callable[[str], bool]) -> str:
    """Return the bucket of a namespace's payloads, where the setting may hold `{namespace}`.

    Args:
        bucket: As the setting has it.
        namespace: The Temporal namespace; None or empty if the payload has none.
        is_name: Whether a text is a name that buckets can have.

    Raises:
        ValueError: There is no such bucket; the message says why.

    Example::

        assert bucket_of_namespace("payloads-{namespace}", "orders", str.isascii) == "payloads-orders"
    """
    if "{namespace}" not in bucket:
        return bucket
    if not namespace:
        raise ValueError(f"bucket {bucket!r} needs a namespace, and the payload has none")
    named = bucket.replace("{namespace}", namespace)
    if not is_name(named):
        raise ValueError(f"bucket {bucket!r} with namespace {namespace!r} is not a bucket's name")
    return named


def _one_of(data: Mapping[str, str], *spellings: str) -> str:
    found = {data[name] for name in spellings if name in data}
    if not found:
        raise ValueError(f"it needs {spellings[0]}")
    if len(found) > 1:
        raise ValueError(f"its {' and '.join(name for name in spellings if name in data)} differ")
    return found.pop()
