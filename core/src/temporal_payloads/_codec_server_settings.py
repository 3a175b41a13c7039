"""The `[codec_server]` section; apart from the server, so that settings load without its extra."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CodecServerSettings(BaseModel):
    """What `temporal-payloads codec-server` serves, where, and to whom."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8081, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    allowed_origins: tuple[str, ...] = Field(
        ("http://localhost:8233", "http://127.0.0.1:8233"),
        description="Origins (scheme, host, port) of the Web UIs that may call the server.",
    )
    namespaces: dict[str, str] = Field(
        default_factory=dict, description="Which profile serves a namespace, as namespace = profile."
    )
