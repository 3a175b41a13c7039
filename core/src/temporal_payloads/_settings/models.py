"""The models of the settings' tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from temporal_payloads._settings.duration import PositiveDuration

INLINE = "inline"
"""The driver name, in settings, that keeps a payload in the history."""


def _words(value: object) -> object:
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
"""A list of names; in a variable also `a,b`."""
Patterns = Annotated[tuple[str, ...], BeforeValidator(_one_or_more)]
"""One shell-style pattern or a list of them; `*` matches everything, case counts."""
Size = Annotated[ByteSize, Field(ge=0)]


class Masked:
    """Stands for a value that may be secret."""

    def __repr__(self) -> str:
        return "**********"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PluginTable(_Table):
    """A table whose further keys are the plugin's own settings."""

    model_config = ConfigDict(extra="allow")

    type: str | None = Field(
        None,
        description="Which plugin; the table's key unless given. `DISTRIBUTION:NAME` chooses between two. Or "
        "the import path, `module:name`, of what nobody has packaged.",
    )

    @property
    def options(self) -> dict[str, Any]:
        """The plugin's own settings, not yet validated."""
        return dict(self.model_extra or {})

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        # Only the plugin's model knows which of its settings are secret.
        for name, value in super().__repr_args__():
            yield name, Masked() if name in self.options else value


class KeyProviderTable(PluginTable):
    """One `[key_providers.SCHEME]` table; the scheme is that of the keys' URIs."""

    timeout: PositiveDuration = Field(
        timedelta(seconds=10), description="Limit of one call to the provider, its retries included."
    )


class DriverTable(PluginTable):
    """One `[storage.drivers.KEY]` table."""

    driver_name: str | None = Field(
        None,
        min_length=1,
        description="The name that references record. By default the plugin's conventional name where the "
        "table's key is the type, else the key. It stands in histories: never change it, alias it.",
    )
    retrieve_only: bool = Field(
        False, description="Payloads stored earlier are still read; nothing new is written to this driver."
    )
    read_aliases: Words = Field(
        (), description="Earlier recorded names whose references this driver reads as its own."
    )
    fallback: str | None = Field(
        None,
        description="The driver that stores new payloads while this one's store is out of reach: a driver "
        "table's key. References name the driver that has the payload.",
    )
    missing_payload: Literal["retry", "fail"] | None = Field(
        None,
        description="What becomes of a workflow or activity whose payload the store does not have: `retry` "
        "lets it wait, `fail` ends it. By default `fail` where payloads expire, else `retry`.",
    )
    moved_to: str | None = Field(
        None,
        description="The driver whose store this one's payloads are moved to: a driver table's key. They are "
        "looked for there first, then here, and nothing new is written here.",
    )
    off: bool = Field(
        False,
        description="The store is not used any more: it is never opened, and its payloads are read from "
        "`moved_to` alone. The rest of the table stays, for it says which references may be followed.",
    )

    @property
    def takes_new_payloads(self) -> bool:
        """Whether anything new may be written to this driver."""
        return not self.retrieve_only and self.moved_to is None


class Route(_Table):
    """One `[[storage.routes]]` entry: all its conditions hold, and no earlier route's do."""

    driver: str = Field(description="The driver table's key, or `inline`.")
    workflow_type: Patterns = Field((), description="Patterns of workflow types.")
    activity_type: Patterns = Field(
        (),
        description="Patterns of activity types. Only standalone activities store under their own type; the "
        "payloads of a workflow's activities belong to the workflow.",
    )
    namespace: Patterns = Field((), description="Patterns of namespaces.")
    min_size: Size | None = Field(None, description="Serialized size from which the route matches.")
    max_size: Size | None = Field(None, description="Serialized size up to which the route matches.")


class CacheSettings(_Table):
    """`[storage.cache]`: retrieved and just-stored payloads, as they are in the store."""

    max_size: Size = Field(ByteSize(64 * 1024 * 1024), description="Bytes kept in memory; 0 for none.")
    dir: Path | None = Field(
        None,
        description="A local directory in which payloads are kept for the next start of the process, and for "
        "other processes of the same user on the machine. They are kept as they are in the store, compressed "
        "and encrypted, until room is needed; deleting them in the store does not delete them here.",
    )
    dir_max_size: Size = Field(
        ByteSize(1024 * 1024 * 1024), description="Bytes kept in that directory; 0 for none."
    )


class CircuitSettings(_Table):
    """`[storage.circuit]`: when a store that is down is left alone; each driver has a circuit of its own."""

    failures: int = Field(
        5,
        ge=0,
        description="Calls in a row that found the store out of reach, or had no answer in time, after which "
        "it is left alone; 0 for never.",
    )
    within: PositiveDuration = Field(
        timedelta(minutes=5), description="In how long a time so many calls must have failed."
    )
    open_for: PositiveDuration = Field(
        timedelta(seconds=10),
        description="How long it is left alone before one call tries it again. Meanwhile payloads are stored "
        "by the fallback, or fail at once; what is in the cache is read from there.",
    )


def _off(value: object) -> object:
    # In a variable it is text; what else means no where true and false belong does so here too.
    if value is False or (isinstance(value, str) and value.lower() in ("false", "no", "off", "0")):
        return {"failures": 0}
    if not isinstance(value, dict | CircuitSettings):
        raise ValueError("must be a table, or false")
    return value


class _OrFalse:
    """Tells the JSON Schema what `_off` takes."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"enum": [False]}]}


class StorageSettings(_Table):
    """`[storage]`: which payloads leave the history, and where they go."""

    driver: str | None = Field(
        None,
        description="Where payloads go that no route matches: a driver table's key, or `inline`. By default "
        "the only driver, if there is one.",
    )
    threshold: Size = Field(
        ByteSize(256 * 1024), description="Serialized size, after codecs, from which a payload is offloaded."
    )
    concurrency: int = Field(32, ge=1, description="Storage operations at once in a workflow task.")
    timeout: PositiveDuration = Field(
        timedelta(seconds=30), description="Limit of one store or retrieve, retries included."
    )
    inline_limit: Annotated[ByteSize, Field(gt=0)] | None = Field(
        None,
        description="The most bytes, after codecs and storage, that the values of one message may have in "
        "the history; more fails at once, in words that tell what it is. Set it to a little less than the "
        "server's limit, which is 2 MiB unless configured otherwise. By default the server decides.",
    )
    namespaces: Annotated[Words, Field(min_length=1)] | None = Field(
        None,
        description="Temporal namespaces whose payloads are stored and read; a payload's key says whose it "
        "is. By default those of all namespaces that share the store.",
    )
    cache: CacheSettings = CacheSettings()
    circuit: Annotated[CircuitSettings, BeforeValidator(_off), _OrFalse()] = CircuitSettings()
    drivers: dict[str, DriverTable] = Field(default_factory=dict)
    routes: tuple[Route, ...] = Field((), description="Where new payloads go; the first match wins.")

    @property
    def writable_drivers(self) -> list[str]:
        """The drivers that are named anywhere and take new payloads; those without settings have no table."""
        named = [
            *self.drivers,
            *([self.driver] if self.driver else []),
            *(route.driver for route in self.routes),
            *(table.fallback for table in self.drivers.values() if table.fallback),
        ]
        read_only = {key for key, table in self.drivers.items() if not table.takes_new_payloads}
        return [name for name in dict.fromkeys(named) if name != INLINE and name not in read_only]

    @property
    def default_driver(self) -> str:
        """Where payloads go that no route matches: a driver, or `INLINE`."""
        if self.driver is not None:
            return self.driver
        writable = self.writable_drivers
        return writable[0] if len(writable) == 1 else INLINE

    @property
    def stored_from(self) -> int | None:
        """Bytes of an encoded payload from which it may be offloaded; None if none is ever."""
        destinations = {self.default_driver, *(route.driver for route in self.routes)}
        return int(self.threshold) if destinations - {INLINE} else None
