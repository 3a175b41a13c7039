"""The model of the whole settings file, and the sources that fill it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pydantic import Field, PrivateAttr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from temporal_payloads._errors import Problem
from temporal_payloads._settings.codec_server import CodecServerSettings
from temporal_payloads._settings.collection import CollectionSettings
from temporal_payloads._settings.models import KeyProviderTable, PluginTable, StorageSettings, Words
from temporal_payloads._settings.observability import ObservabilitySettings
from temporal_payloads._settings.problems import Origins
from temporal_payloads._settings.provenance import Sources

_filled_from: ContextVar[tuple[PydanticBaseSettingsSource, ...]] = ContextVar("_filled_from", default=())


class RootTable(BaseSettings):
    """What stands at the root of the settings; filled by its constructor, and inside `reading` by sources."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    codecs: Words = Field((), description="Codecs in the order in which they encode; they decode in reverse.")
    decode_only: Words = Field(
        (),
        description="Codecs that are no longer written: payloads of theirs are still read, in whatever "
        "layer of an encoded payload they stand.",
    )
    raw_encodings: Words = Field(
        (),
        description="Encodings `binary/...` that neither codecs nor the payload converter read, and that "
        "workflows take as they are, as `RawValue`. Others are refused until a codec for them is configured.",
    )
    require_encrypted: bool = Field(
        False,
        description="Payloads that come in clear are refused, retryably; one that would leave in clear is an "
        "error.",
    )
    payload_converter: str | None = Field(
        None,
        description="A payload converter plugin; or the import path, `module:name`, of a PayloadConverter "
        "class or of a DataConverter that has one.",
    )
    encode_failures: bool | None = Field(
        None,
        description="Whether failure messages and stack traces go through the codecs and the storage too. By "
        "default they do if a codec encrypts.",
    )
    codec: dict[str, PluginTable] = Field(default_factory=dict)
    payload_converters: dict[str, PluginTable] = Field(default_factory=dict)
    key_providers: dict[str, KeyProviderTable] = Field(default_factory=dict)
    storage: StorageSettings = StorageSettings()
    observability: ObservabilitySettings = ObservabilitySettings()
    codec_server: CodecServerSettings = CodecServerSettings()
    gc: CollectionSettings = CollectionSettings()

    _origins: Origins = PrivateAttr(default_factory=Origins)
    _sources: Sources = PrivateAttr(default_factory=Sources)
    _problems: tuple[Problem, ...] = PrivateAttr(default=())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the sources that `load` chose; none for the plain constructor."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings, *_filled_from.get())

    @property
    def origins(self) -> Origins:
        """Where each value was set: a file, a variable, or nowhere for values given in code."""
        return self._origins

    @property
    def sources(self) -> Sources:
        """What was read to fill the settings."""
        return self._sources

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with values that were left out. Settings that `load` returns have none."""
        return self._problems


@contextmanager
def reading(sources: tuple[PydanticBaseSettingsSource, ...]) -> Iterator[None]:
    """Let models that are made in the block be filled from these sources, the strongest first."""
    token = _filled_from.set(sources)
    try:
        yield
    finally:
        _filled_from.reset(token)
