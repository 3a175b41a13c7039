"""Payloads, of which one layer after the other is taken off."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from temporal_payloads._codecs.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.api.common.v1 import Payload

    from temporal_payloads._codecs.named import NamedCodec


@dataclass
class Layers:
    """Payloads on their way in. Each codec takes one layer off a payload at most."""

    payloads: list[Payload]
    watch: Watch = field(default_factory=Watch)
    """What calls the codecs."""
    encrypted: set[int] = field(default_factory=set)
    """Those of which one layer was encrypted."""
    _taken: set[tuple[int, str]] = field(default_factory=set)

    async def take_off(self, codec: NamedCodec, indexes: Sequence[int] | None = None) -> bool:
        """Decode these, by default all, with the codec. Returns whether that changed a payload."""
        given = range(len(self.payloads)) if indexes is None else indexes
        left = [index for index in given if (index, codec.name) not in self._taken]
        if not left:
            return False
        before = [self.payloads[index] for index in left]
        after = await self.watch.decode(codec, before)
        changed = False
        for index, old, new in zip(left, before, after, strict=True):
            if not codec.has_changed(old, new):
                continue
            changed = True
            self.payloads[index] = new
            self._taken.add((index, codec.name))
            if codec.role == "encrypt" and codec.may_decode(old):
                self.encrypted.add(index)
        return changed

    async def take_off_any(self, codecs: Sequence[NamedCodec], *, before: Sequence[NamedCodec] = ()) -> bool:
        """Decode with those of the codecs that have encoded a payload, in whichever order they did.

        Args:
            codecs: The codecs.
            before: Those that are still going to decode. What bears the encoding of one is left to it, for
                not every codec leaves alone what another one has encoded under the same name. One of
                `codecs` that does need not wait.

        Returns whether that changed a payload.
        """
        changed, again = False, bool(codecs)
        while again:
            again = False
            for codec in codecs:
                indexes = [
                    index
                    for index, payload in enumerate(self.payloads)
                    if (index, codec.name) not in self._taken
                    and codec.may_decode(payload)
                    and (codec.tells_apart(payload) or not any(each.names(payload) for each in before))
                ]
                again |= bool(indexes) and await self.take_off(codec, indexes)
            changed |= again
        return changed
