"""The state in which a collection puts an object aside before it deletes it.

An object that was written as a multipart upload of one single part has an ETag that ends in `-1`. No writer
of ours makes one, and each that finds one writes the object again; so it tells whether somebody stored the
payload after it was put aside. An ordinary ETag does not: it is the same whenever the same bytes are written.
"""

from __future__ import annotations


def is_aside(etag: str) -> bool:
    """Tell whether an object with this ETag is put aside."""
    return etag.strip('"').endswith("-1")
