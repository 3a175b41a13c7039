"""Storage drivers that somebody has already, as plugins without settings of their own."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, Self

from pydantic import Field, model_validator
from temporalio.converter import StorageDriver, StorageDriverClaim

from temporal_payloads._plugins.bare import NoSettings, made_without_arguments
from temporal_payloads._plugins.contract import (
    PLUGIN_API_VERSION,
    PROJECT,
    ConfinedClaim,
    DriverContext,
    DriverPlugin,
)


class TrustedClaims(NoSettings):
    """The settings of a driver that does not tell which claims are its own."""

    trust_claims: bool = Field(
        False, description="Whether claims are followed wherever they lead, for the driver confines none."
    )

    @model_validator(mode="after")
    def _must_be_said(self) -> Self:
        if not self.trust_claims:
            raise ValueError(
                "nothing tells which claims the driver may follow, and a claim is input, which can be "
                "forged. Give the driver a method confine(claim) that returns a ConfinedClaim or raises a "
                "ClaimRejectedError. Or set trust_claims = true: then whoever can write into a history can "
                "read all that the driver can, and the codec server shows none of its payloads"
            )
        return self


def bare_driver(named: object, import_path: str) -> DriverPlugin[Any] | None:
    """Describe a `StorageDriver` class or object, or a function that opens one; None for others.

    A class is made without arguments: once to be asked, and once for each event loop. A function is called
    without arguments, once for each event loop, and returns an async context manager of a driver. What a
    plugin would tell, they may tell by attributes: `confine`, a function of a claim, `expiry`, and
    `max_payload_size`.

    Args:
        named: What the import path leads to.
        import_path: As the settings have it. The cache tells drivers apart by it, for objects of one class
            may lead to stores that have nothing to do with each other.

    Raises:
        TypeError: The class cannot be made, or one of the attributes is not what a plugin tells.
    """
    open_driver: Callable[[Any, DriverContext], AbstractAsyncContextManager[StorageDriver]]
    if isinstance(named, type) and issubclass(named, StorageDriver):
        driver_class = named

        def make() -> StorageDriver:
            return made_without_arguments(driver_class, "DriverPlugin")

        try:
            told: object = make()
        except Exception as error:
            raise TypeError(f"it cannot be made: {type(error).__name__}: {error}") from error
        open_driver = _made_by(make)
    elif isinstance(named, StorageDriver):
        driver = told = named
        open_driver = _held(driver)
    elif inspect.isroutine(named) and not hasattr(named, f"{PROJECT}_impl"):
        told = named
        open_driver = _opened_by(named)
    else:
        return None
    expiry = getattr(told, "expiry", None)
    if expiry is not None and not isinstance(expiry, timedelta):
        raise TypeError("its attribute expiry must be a timedelta, or None")
    largest = getattr(told, "max_payload_size", None)
    if largest is not None and (not isinstance(largest, int) or largest <= 0):
        raise TypeError("its attribute max_payload_size must be a number of bytes, or None")
    confine = getattr(told, "confine", None)
    return DriverPlugin(
        api_version=PLUGIN_API_VERSION,
        settings=TrustedClaims if confine is None else NoSettings,
        driver_type=told.type() if isinstance(told, StorageDriver) else _path(named).rpartition(".")[2],
        driver_name=told.name() if isinstance(told, StorageDriver) else "",
        open=open_driver,
        confine=_trusting if confine is None else _confined_by(confine),
        identity=lambda _: {"import_path": import_path},
        expiry=lambda _: expiry,
        max_payload_size=lambda _: largest,
    )


def _path(named: object) -> str:
    of = named if isinstance(named, type) or inspect.isroutine(named) else type(named)
    return f"{of.__module__}.{of.__qualname__}"


def _made_by(
    make: Callable[[], StorageDriver],
) -> Callable[[Any, DriverContext], AbstractAsyncContextManager[StorageDriver]]:
    @asynccontextmanager
    async def open_driver(_settings: NoSettings, _context: DriverContext) -> AsyncIterator[StorageDriver]:
        # In a thread: making a client may read files, or import its library.
        yield await asyncio.to_thread(make)

    return open_driver


def _held(
    driver: StorageDriver,
) -> Callable[[Any, DriverContext], AbstractAsyncContextManager[StorageDriver]]:
    @asynccontextmanager
    async def open_driver(_settings: NoSettings, _context: DriverContext) -> AsyncIterator[StorageDriver]:
        yield driver

    return open_driver


def _opened_by(
    function: Callable[..., Any],
) -> Callable[[Any, DriverContext], AbstractAsyncContextManager[StorageDriver]]:
    @asynccontextmanager
    async def open_driver(_settings: NoSettings, _context: DriverContext) -> AsyncIterator[StorageDriver]:
        opening = function()
        if not isinstance(opening, AbstractAsyncContextManager):
            if inspect.iscoroutine(opening):
                opening.close()
            raise TypeError(
                f"{_path(function)} returns {type(opening).__name__}, and not an async context manager; "
                "mark it with contextlib.asynccontextmanager, and yield the driver"
            )
        async with opening as driver:
            if not isinstance(driver, StorageDriver):
                raise TypeError(f"{_path(function)} yields {type(driver).__name__}, and no StorageDriver")
            yield driver

    return open_driver


def _confined_by(
    confine: Callable[[StorageDriverClaim], object],
) -> Callable[[NoSettings, StorageDriverClaim], ConfinedClaim]:
    def confined(_settings: NoSettings, claim: StorageDriverClaim) -> ConfinedClaim:
        found = confine(claim)
        if not isinstance(found, ConfinedClaim):
            raise TypeError(f"its confine returns {type(found).__name__}, and not a ConfinedClaim")
        return found

    return confined


def _trusting(_settings: NoSettings, claim: StorageDriverClaim) -> ConfinedClaim:
    """Take the claim as it is. Nothing in it need be a hash: what it leads to is known by the whole of it."""
    text = json.dumps(sorted(claim.claim_data.items()))
    return ConfinedClaim(claim=claim, sha256=hashlib.sha256(text.encode()).hexdigest(), namespace=None)
