"""The settings of a `[payload_converters.NAME]` table of the type `msgspec`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class MsgspecSettings(BaseModel):
    """There is nothing to set: what is written and read is what the SDK writes and reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
