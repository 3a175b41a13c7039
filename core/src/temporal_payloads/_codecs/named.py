"""A codec, with what the settings and its plugin tell of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from temporalio.converter import PayloadCodec, SerializationContext, WithSerializationContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from temporalio.api.common.v1 import Payload

    from temporal_payloads._plugins.contract import CodecRole


@dataclass(frozen=True)
class NamedCodec:
    """A codec, and what the chain knows of it."""

    name: str
    """Its name in the settings."""
    codec: PayloadCodec
    encodings: frozenset[str] = frozenset()
    """The `encoding` values that it writes; empty if that is not known."""
    role: CodecRole = "transform"
    identity: Callable[[], Mapping[str, object]] = field(default=dict, compare=False, repr=False)
    """Returns what whoever reads its payloads must have set alike."""

    def may_decode(self, payload: Payload) -> bool:
        """Whether the payload may be one that this codec has encoded."""
        return not self.encodings or self.names(payload)

    def names(self, payload: Payload) -> bool:
        """Whether the payload bears one of the codec's encodings."""
        return encoding_of(payload) in self.encodings

    def tells_apart(self, payload: Payload) -> bool:
        """Whether it can tell its own payloads from others of the same encoding."""
        return self.names(payload) and hasattr(self.codec, "why_left_alone")

    def has_changed(self, given: Payload, got: Payload) -> bool:
        """Whether the codec gave back something else than it was given."""
        # One whose encodings are not known may copy what it leaves alone.
        return got is not given and bool(self.encodings or got != given)

    def bound_to(self, context: SerializationContext) -> NamedCodec:
        """Return it with the context, or itself if it wants none."""
        if not isinstance(self.codec, WithSerializationContext):
            return self
        bound = self.codec.with_context(context)
        return self if bound is self.codec else replace(self, codec=bound)


def encoding_of(payload: Payload) -> str:
    """Return the encoding that a payload bears, as text."""
    return payload.metadata.get("encoding", b"").decode(errors="replace")
