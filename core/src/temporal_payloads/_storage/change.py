"""What came of a change to a payload in a store."""

from typing import Literal

Change = Literal["done", "changed", "gone", "refused", "unknown"]
"""What came of a change to one payload in a store.

`done`: it was made. `changed`: the payload is no longer in the state in which it was listed, for somebody
stored or changed it meanwhile; nothing was done. `gone`: the store does not have it any more. `refused`: the
store does not let this one be changed, for a lock, a legal hold or a rule on it; nothing was done. `unknown`:
the answer was lost, so that the change may have been made or not; the next collection finds out.

Example::

    async def undo(driver: CollectableDriver, aside: list[ListedPayload]) -> dict[str, Change]:
        changes = await driver.restore(aside)
        return {one.key.sha256: change for one, change in zip(aside, changes, strict=True)}
"""
