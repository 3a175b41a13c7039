"""The state in which a collection puts an object aside before it deletes it.

An object that was written as a multipart upload of one single part has an ETag that ends in `-1`. No writer
of ours makes one, and each that finds one writes the object again; so it tells whether somebody stored the
payload after it was put aside. An ordinary ETag does not: it is the same whenever the same bytes are written.

That ETag, too, is the same each time. So the object's metadata hold a random mark, by which one time that it
was put aside is told from another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_aiobotocore_s3.type_defs import HeadObjectOutputTypeDef

MARK = "temporal-payloads-aside"
"""What the mark is called in the object's metadata."""


def is_aside(etag: str) -> bool:
    """Tell whether an object with this ETag may be put aside: whoever stores it must write it again."""
    return etag.strip('"').endswith("-1")


def tag_of(found: HeadObjectOutputTypeDef) -> str:
    """Return the state of an object: its ETag, and the mark if it is put aside."""
    etag, mark = found["ETag"], found["Metadata"].get(MARK)
    return f"{etag} {mark}" if is_aside(etag) and mark else etag


def is_marked(tag: str) -> bool:
    """Tell whether this is the state of an object that a collection put aside.

    The ETag alone does not tell: other writers, such as the SDK's driver with a payload of exactly 8 MiB, may
    upload an object as one part too.
    """
    return is_aside(etag_of(tag)) and " " in tag


def etag_of(tag: str) -> str:
    """Return the ETag in such a state."""
    return tag.partition(" ")[0]
