"""The settings of a `[codec.NAME]` table of the type `encryption`, and of a key ring's file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from temporal_payloads.plugin import Duration, PositiveDuration

from temporal_payloads_encryption_codec._key_text import is_key, read_key

LONGEST_KEY_ID = 2048
"""Characters: a key's URI may be long, and the id stands in every payload."""


def is_uri(key_id: str) -> bool:
    """Whether a key's id is the URI of a key that a provider keeps."""
    return "://" in key_id


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _some(ids: tuple[str, ...]) -> tuple[str, ...]:
    if not ids:
        raise ValueError("names no key: list at least one, or leave the pattern out")
    return ids


def _as_table(value: object) -> object:
    return {"key": value} if isinstance(value, str) else value


def _no_key(value: str | Path) -> str | Path:
    """Refuse a key where the name of a place is meant: names are shown."""
    try:
        read_key(str(value))
    except ValueError:
        return value
    # A name of 43 characters reads as a key too.
    if _is_there(value):
        return value
    raise ValueError(
        "is a key itself, or names what is not there: name the variable (env) or the file (file) that has it"
    )


def _is_there(value: str | Path) -> bool:
    if isinstance(value, str):
        return value in os.environ
    try:
        return value.exists()
    except OSError:
        return False


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name):
        raise ValueError("must be the name of a variable: letters, digits and _")
    return name


KeyId = Annotated[str, Field(min_length=1, max_length=LONGEST_KEY_ID)]
KeyIds = Annotated[tuple[KeyId, ...], BeforeValidator(_as_list), AfterValidator(_some)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class KeyTable(_Table):
    """Where a key is found. A key that a provider keeps has its URI for an id, and an empty table."""

    env: Annotated[str, AfterValidator(_variable), AfterValidator(_no_key)] | None = Field(
        None, min_length=1, description="The variable that has the key."
    )
    file: Annotated[Path, AfterValidator(_no_key)] | None = Field(
        None,
        description="A file that has the key and nothing else, and goes on having that key: a new key gets a "
        "new id. To add one under running processes, use a key ring's file.",
    )


class KeyInSettings(KeyTable):
    """A key in the settings, which name the place that has it."""

    @model_validator(mode="before")
    @classmethod
    def _no_key_in_clear(cls, table: object) -> object:
        if isinstance(table, str) or (isinstance(table, dict) and "key" in table):
            raise ValueError(
                "a key does not stand in the settings. Give env or file: the variable or the file that has it"
            )
        return table


class KeyInFile(KeyTable):
    """A key in a key ring's file, which may have it itself: `id = "base64"`."""

    key: SecretStr | None = None


class _Ring(_Table):
    active: KeyId | None = Field(
        None,
        description="The id of the key that writes where `namespaces` names no other. A URI "
        "(`awskms:///alias/orders`) is a key that a key provider keeps.",
    )
    namespaces: dict[str, KeyIds] = Field(
        default_factory=dict,
        description="Patterns of namespaces, and the key of each; of several keys the first one writes, the "
        "others are read. The first pattern that matches counts. A codec server decrypts with a key that "
        "stands here for these namespaces alone.",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_key_for_a_name(cls, values: Any) -> Any:
        # Before everything else, whose errors have the names of keys in their places.
        for setting, name in _names_in(values) if isinstance(values, dict) else ():
            if isinstance(name, str) and is_key(name):
                raise ValueError(
                    f"{setting}: a key stands where a name belongs. Names are shown, and ids of keys stand "
                    "in every payload: give the key an id, such as a date"
                )
        return values


def _names_in(values: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield what names something in a ring that is not validated yet, each with the setting that it is in."""
    yield "active", values.get("active")
    if isinstance(keys := values.get("keys"), dict):
        for key_id, table in keys.items():
            yield "keys", key_id
            yield from (("keys", name) for name in (table if isinstance(table, dict) else ()))
    if isinstance(namespaces := values.get("namespaces"), dict):
        for pattern, ids in namespaces.items():
            yield "namespaces", pattern
            yield from (
                ("namespaces", key_id) for key_id in (ids if isinstance(ids, list | tuple) else [ids])
            )


class RingFile(_Ring):
    """A key ring's file, in TOML."""

    active: KeyId
    keys: dict[KeyId, Annotated[KeyInFile, BeforeValidator(_as_table)]] = Field(default_factory=dict)


class EncryptionSettings(_Ring):
    """The settings of a codec of type `encryption`."""

    keys: dict[KeyId, KeyInSettings] = Field(
        default_factory=dict,
        description="The keys by their ids, which stand in payloads: each with `env` or `file`, or an "
        "empty table for one that a provider keeps. What neither `active` nor `namespaces` names is read and "
        "never written.",
    )
    file: Path | None = Field(
        None,
        description="A TOML file that has `active`, `keys` and `namespaces` instead of this table; there, "
        "a key may also be given as text. It is read again when it changes.",
    )
    bind: Literal["namespace"] | None = Field(
        None,
        description="Bind each new payload to its namespace: it is decrypted in no other. The samples' "
        "codecs cannot read it.",
    )
    accept_unbound: bool = Field(
        True, description="Whether payloads that are bound to no namespace are read although `bind` is set."
    )
    deterministic: bool = Field(
        False,
        description="Encrypt equal payloads to equal bytes in all processes that have the same key, so that "
        "they are stored once. Whoever sees the bytes learns which payloads are equal. With a provider's key "
        "only while the same data key writes.",
    )
    duration: PositiveDuration = Field(
        timedelta(hours=1), description="How long a data key of a provider's key writes at most."
    )
    renew_before: Annotated[Duration, Field(ge=timedelta(0))] = Field(
        timedelta(minutes=15),
        description="How long before its end a data key is renewed, in the background.",
    )
    keep_for: PositiveDuration = Field(
        timedelta(hours=1),
        description="How long a data key that was opened is kept in memory: so long payloads are "
        "still decrypted after access to the provider's key was withdrawn.",
    )
    kept_data_keys: int = Field(
        1000, ge=1, description="How many data keys that were opened are kept at most."
    )

    @field_validator("accept_unbound")
    @classmethod
    def _needs_bind(cls, accept_unbound: bool, info: ValidationInfo) -> bool:
        # Alone it would refuse nothing, and somebody counts on it. A bind that is wrong is told itself.
        if not accept_unbound and info.data.get("bind", "wrong") is None:
            raise ValueError(
                'false needs bind = "namespace": without it, all payloads are unbound and are read'
            )
        return accept_unbound

    @model_validator(mode="after")
    def _one_ring(self) -> Self:
        if self.file is not None and (self.active or self.keys or self.namespaces):
            raise ValueError(
                "active, keys and namespaces stand in the file that is named, or here; not in both"
            )
        if self.file is None and self.active is None:
            raise ValueError("active is missing: the id of the key that writes (or file, a key ring's file)")
        if self.renew_before >= self.duration:
            raise ValueError("renew_before must be shorter than duration")
        return self
