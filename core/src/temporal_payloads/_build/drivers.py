"""The drivers that the settings name, each as core's driver around the plugin's own."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from temporal_payloads._build.credentials import check_destination
from temporal_payloads._build.identity import identity_of
from temporal_payloads._build.moves import PlannedDriver, check_move, destinations_first
from temporal_payloads._build.opening import import_in_thread
from temporal_payloads._concurrency.per_loop import PerLoop
from temporal_payloads._errors import ConfigurationError, Problem, UnknownPluginError, did_you_mean
from temporal_payloads._plugins.bare_driver import TrustedClaims
from temporal_payloads._plugins.contract import DriverContext
from temporal_payloads._plugins.events import CircuitEvent
from temporal_payloads._settings.models import INLINE, DriverTable
from temporal_payloads._settings.problems import Place, dotted
from temporal_payloads._storage.asking import AskedDriver
from temporal_payloads._storage.cache.payload_cache import shared_cache
from temporal_payloads._storage.circuit import Circuit
from temporal_payloads._storage.content_addressed import DEFAULT_MAX_PAYLOAD_SIZE
from temporal_payloads._storage.managed_driver import ManagedDriver
from temporal_payloads._storage.namespaces import AllowedNamespaces
from temporal_payloads._storage.operations import DriverIdentity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from temporalio.converter import StorageDriver

    from temporal_payloads._build.findings import Findings
    from temporal_payloads._observe.observers import Observers
    from temporal_payloads._plugins.contract import DriverPlugin
    from temporal_payloads._plugins.registry import PluginRegistry
    from temporal_payloads._settings.models import StorageSettings

logger = logging.getLogger("temporal_payloads")

_announced: set[str] = set()


def managed_drivers(
    storage: StorageSettings,
    registry: PluginRegistry,
    findings: Findings,
    observers: Observers,
    *,
    bounded_reads: bool = False,
) -> dict[str, ManagedDriver]:
    """Return the drivers by the keys of their tables, without those that have problems. None is opened.

    With `bounded_reads` no payload is read that is larger than what its driver stores.
    """
    planned = _planned(storage, registry, findings)
    drivers: dict[str, ManagedDriver] = {}
    for key in destinations_first(planned):
        one = planned[key]
        check_move(one, planned, findings)
        try:
            drivers[key] = make_driver(
                one,
                storage=storage,
                observers=observers,
                bounded_reads=bounded_reads,
                moved_to=drivers.get(one.table.moved_to or ""),
                takes_moved=any(other.table.moved_to == key for other in planned.values()),
            )
        except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
            findings.add(one.place, f"the driver cannot be made: {type(error).__name__}: {error}")
    return {key: drivers[key] for key in planned if key in drivers}


def _planned(
    storage: StorageSettings, registry: PluginRegistry, findings: Findings
) -> dict[str, PlannedDriver]:
    """Return what is known of the drivers, of those whose settings are right."""
    planned: dict[str, PlannedDriver] = {}
    recorded: dict[str, str] = {}
    for key, table, named_at in _tables(storage, registry, findings):
        place: Place = ("storage", "drivers", key)
        try:
            plugin = registry.driver(table.type or key)
        except ConfigurationError as error:
            findings.add_error(error, named_at)
            continue
        name = table.driver_name or _name_by_default(key, table, plugin, registry)
        if not name:
            findings.add(
                named_at,
                f"{key!r} does not tell the name that references record. Give it a table whose key is that "
                f'name: [storage.drivers.NAME] with type = "{key}"',
            )
            continue
        for each in (name, *table.read_aliases):
            if each in recorded:
                findings.add(
                    place,
                    f"the recorded driver name {each!r} is that of {recorded[each]} already; references "
                    "could not tell the two apart; give one of them another driver_name or read_aliases",
                )
            recorded[each] = dotted(place)
        missing = None if key in storage.drivers else named_at
        options = findings.validated(place, table, plugin.settings, named_at=missing)
        if not table.off:  # then nothing is sent anywhere
            check_destination(place, table, plugin, findings, options)
        if options is None:
            continue
        if isinstance(options, TrustedClaims) and storage.namespaces is not None:
            findings.add(
                (*place, "trust_claims"),
                "storage.namespaces cannot hold for this driver: a claim that is trusted does not say whose "
                "payload it is. Give the driver a method confine(claim)",
            )
            continue
        planned[key] = PlannedDriver(plugin, options, name, place, table)
    return planned


def _name_by_default(
    key: str, table: DriverTable, plugin: DriverPlugin[Any], registry: PluginRegistry
) -> str:
    """Return the name that references record where the settings give none; empty if nothing tells it."""
    its_type = table.type or key
    if not registry.is_import_path("driver", its_type):
        its_type = its_type.rpartition(":")[2]
    return plugin.driver_name if its_type == key else key


def _tables(
    storage: StorageSettings, registry: PluginRegistry, findings: Findings
) -> list[tuple[str, DriverTable, Place]]:
    """Return each driver, its table, and where it is named; a name without a table gets one."""
    tables: list[tuple[str, DriverTable, Place]] = []
    for key, table in storage.drivers.items():
        if findings.left_out("storage", "drivers", key, "type"):
            continue
        place: Place = ("storage", "drivers", key)
        tables.append((key, table, (*place, "type") if table.type else place))
    uses: dict[str, Place] = {storage.driver: ("storage", "driver")} if storage.driver else {}
    for index, route in enumerate(storage.routes):
        uses.setdefault(route.driver, ("storage", "routes", index, "driver"))
    for key, table in storage.drivers.items():
        if table.fallback:
            uses.setdefault(table.fallback, ("storage", "drivers", key, "fallback"))
        if table.moved_to:
            uses.setdefault(table.moved_to, ("storage", "drivers", key, "moved_to"))
    installed = {offer.name for offer in registry.offers("driver")} if uses else set()
    for name, place in uses.items():
        if name == INLINE or name in storage.drivers or findings.left_out("storage", "drivers", name):
            continue
        if storage.drivers and name not in installed and not registry.is_import_path("driver", name):
            configured = ", ".join(storage.drivers)
            hint = did_you_mean(name, {*storage.drivers, *installed, INLINE})
            problem = Problem(
                f"there is no driver {name!r}: no table [storage.drivers.{name}] (but: {configured}) "
                f"and no installed plugin (but: {', '.join(sorted(installed)) or 'none'}).{hint}"
            )
            findings.add_error(UnknownPluginError(problem), place)
        else:
            tables.append((name, DriverTable(), place))
    return tables


def make_driver(
    planned: PlannedDriver,
    *,
    storage: StorageSettings,
    observers: Observers,
    bounded_reads: bool = False,
    moved_to: ManagedDriver | None = None,
    takes_moved: bool = False,
) -> ManagedDriver:
    """Make a driver; nothing is opened.

    Args:
        planned: What is known of it.
        storage: The settings of all drivers.
        observers: Told of each operation when it has ended.
        bounded_reads: Whether no payload is to be read that is larger than what the driver stores.
        moved_to: The driver that the table's `moved_to` names.
        takes_moved: Whether another driver's `moved_to` names this one.
    """
    plugin, options, table = planned.plugin, planned.options, planned.table
    name, place = planned.name, dotted(planned.place)
    max_payload_size = plugin.max_payload_size(options) or DEFAULT_MAX_PAYLOAD_SIZE
    context = DriverContext(
        name=name,
        place=place,
        concurrency=storage.concurrency,
        retrieve_only=not table.takes_new_payloads,
        largest_read=int(max_payload_size) if bounded_reads else None,
    )
    expiry = plugin.expiry(options)
    trusts_claims = isinstance(options, TrustedClaims)
    store = json.dumps(identity_of(options, plugin.identity), sort_keys=True)
    told_apart_by = json.dumps([name, plugin.driver_type, store])
    identity = DriverIdentity(
        name=name,
        type=plugin.driver_type,
        place=place,
        fingerprint=hashlib.sha256(told_apart_by.encode()).hexdigest(),
        store=store,
    )
    return ManagedDriver(
        identity,
        AskedDriver(
            PerLoop(partial(_open, plugin, options, context)),
            Circuit(
                storage.circuit,
                str(identity),
                lambda is_open: observers.notify(CircuitEvent(driver=name, is_open=is_open)),
            ),
            retries_itself=plugin.retries,
        ),
        has_fallback=table.fallback is not None,
        confine=partial(plugin.confine, options),
        namespaces=AllowedNamespaces(storage.namespaces),
        timeout=storage.timeout,
        # What a trusted claim leads to nothing verifies, so that nothing tells whether it is what was kept.
        cache=None if trusts_claims else shared_cache(storage.cache),
        # Where payloads expire, storing again is what keeps them.
        dedupe=expiry is None,
        missing_is_final=None if table.missing_payload is None else table.missing_payload == "fail",
        notify=observers.notify,
        wants=observers.wants,
        max_payload_size=int(max_payload_size),
        concurrency=storage.concurrency,
        moved_to=moved_to,
        off=table.off,
        takes_moved=takes_moved,
        warning=None if table.off else plugin.warning(options),
        trusts_claims=trusts_claims,
        expiry=expiry,
    )


def announce_warnings(drivers: Iterable[ManagedDriver]) -> None:
    """Log what must be known of the stores: once in a process, however many converters are built."""
    for driver in drivers:
        if driver.warning and (told := f"Of {driver!r}: {driver.warning}") not in _announced:
            _announced.add(told)
            logger.warning("%s", told)


@asynccontextmanager
async def _open(
    plugin: DriverPlugin[Any], options: BaseModel, context: DriverContext
) -> AsyncIterator[StorageDriver]:
    await import_in_thread(plugin.imports)
    async with plugin.open(options, context) as driver:
        yield driver
