"""The `[gc]` section: whose payloads the stores have, and how carefully they are cleaned up."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from temporal_payloads._settings.duration import PositiveDuration
from temporal_payloads._settings.models import Words

DEFAULT_GRACE = timedelta(days=7)
LEAST_GRACE = timedelta(hours=1)
"""See `docs/collecting.md`: how long a payload can be in a store before anything shows who needs it."""


def _long_enough(grace: timedelta) -> timedelta:
    if grace < LEAST_GRACE:
        raise ValueError(
            "must be 1h or more: a request that refers to a payload can be on its way for long, and until it "
            "arrives nothing shows that the payload is needed"
        )
    return grace


class OwnerTable(BaseModel):
    """One `[[gc.owners]]` entry: namespaces of one cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    namespaces: Annotated[Words, Field(min_length=1)] = Field(
        description="The namespaces whose payloads are in the stores."
    )
    address: str | None = Field(
        None, description="The cluster's frontend, `host:port`. By default what Temporal's own settings say."
    )
    temporal_profile: str | None = Field(
        None,
        description="The profile of Temporal's own client configuration (temporal.toml) by which to connect.",
    )


class CollectionSettings(BaseModel):
    """`[gc]`: garbage collection."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    grace: Annotated[PositiveDuration, AfterValidator(_long_enough)] = Field(
        DEFAULT_GRACE,
        description="How old a payload must be to be put aside, and how long it stays aside before it can be "
        "deleted. Longer than any request that refers to a payload can be on its way: see "
        "docs/collecting.md. 1h or more.",
    )
    owners: tuple[OwnerTable, ...] = Field(
        (),
        description="Every namespace, on every cluster, whose payloads are in the stores. Payloads of "
        "namespaces that are not listed are never touched; without any nothing is collected.",
    )
    without_namespace: bool = Field(
        False,
        description="Whether payloads are collected whose keys name no namespace. All that share the stores "
        "must be among the owners then.",
    )
    state: Path | None = Field(
        None,
        description="A directory in which the collector keeps what it must know from one collection to the "
        "next. By default it is kept in the store, beside the payloads.",
    )
    requests_per_second: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Requests a second that each cluster is sent at most. By default no limit."
    )
    store_requests_per_second: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Requests a second that each store is sent at most. By default no limit."
    )
