"""What is known of AWS's regions without asking anybody."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache

from botocore.loaders import create_loader
from botocore.regions import EndpointResolver


def doubt(region: str) -> str:
    """Return in parentheses that AWS has no such region, or nothing if it has one.

    It is a hint and no more: AWS opens regions that an installed botocore does not know, and other stores
    have regions of their own.
    """
    regions = _regions()
    if region in regions:
        return ""
    near = " or ".join(map(repr, get_close_matches(region.lower(), regions, n=2, cutoff=0.8)))
    hint = f"; did you mean {near}?" if near else ""
    return f" ({region!r} is no AWS region that botocore knows{hint})"


# Reading the list takes a tenth of a second, and nobody needs it before something is wrong.
@cache
def _regions() -> tuple[str, ...]:
    resolver = EndpointResolver(create_loader().load_data("endpoints"))
    return tuple(
        region
        for partition in resolver.get_available_partitions()
        for region in resolver.get_available_endpoints("s3", partition)
    )
