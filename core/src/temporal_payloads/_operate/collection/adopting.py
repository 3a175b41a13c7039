"""What was kept of an owner whose files are called otherwise than before.

They are called by what tells an owner from others, see `Owner.key`, and that changes: when another way to the
same namespace is declared, or a server begins to tell which cluster it is. What only a schedule hands on is
known from these files alone, so they must not be lost for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temporal_payloads._operate.collection.state import DamagedStateError

if TYPE_CHECKING:
    from collections.abc import Collection

    from temporal_payloads._operate.collection.owners import Owner
    from temporal_payloads._operate.collection.state import Files


async def adopt(files: Files, owner: Owner, present: Collection[str]) -> None:
    """Go on with what was kept of an owner, if it was not under its present key before.

    Whoever is cut off while it is copied goes on with it: the folder is marked as the owner's at the end.

    Args:
        files: Where it is kept.
        owner: Whose it is.
        present: The keys of all owners that there are: their files stay their own.

    Raises:
        StorageError: The collector's files cannot be used.
    """
    folder = f"kept/{owner.key}/"
    told = {"namespace": owner.namespace, "namespace_id": owner.namespace_id}
    mine = told | {"address": owner.address, "profile": owner.profile}
    told_before = await _told(files, folder)
    if told_before == mine:
        return
    if told_before is None:
        names = await files.store.names("kept/")
        keys = {name.split("/")[1] for name in names if name.endswith("/owner")} - set(present)
        others = [f"kept/{key}/" for key in sorted(keys)]
        told_of = {other: await _told(files, other) or {} for other in others}
        same = [other for other in others if told.items() <= told_of[other].items()]
        # The one that was reached as this one is, if there are several.
        for other in sorted(same, key=lambda one: told_of[one] != mine)[:1]:
            for name in names:
                copy = folder + name.removeprefix(other)
                if not name.startswith(other) or name == f"{other}owner" or copy in names:
                    continue
                data = await files.store.read(name)
                if data is not None:
                    await files.store.write(copy, data)
    await files.write_json(f"{folder}owner", mine)


async def _told(files: Files, folder: str) -> dict[str, Any] | None:
    """Return what a folder says of whose files are in it."""
    try:
        document: dict[str, Any] | None = await files.read_json(f"{folder}owner")
    except DamagedStateError:
        return None
    return document
