"""Drivers whose payloads are moved to another driver's store: `moved_to`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from temporal_payloads._build.identity import identity_of
from temporal_payloads._plugins.bare_driver import TrustedClaims
from temporal_payloads._plugins.contract import DriverPlugin
from temporal_payloads._settings.models import DriverTable
from temporal_payloads._settings.problems import Place, dotted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from temporal_payloads._build.findings import Findings


class PlannedDriver(NamedTuple):
    """A driver that can be made."""

    plugin: DriverPlugin[Any]
    options: BaseModel
    name: str
    place: Place
    table: DriverTable


def destinations_first(planned: Mapping[str, PlannedDriver]) -> list[str]:
    """Return the keys, those of drivers that payloads are moved to before those that they are moved from."""
    ordered: dict[str, None] = {}
    for key in planned:
        way = [key]
        while (after := planned[way[-1]].table.moved_to) and after in planned and after not in way:
            way.append(after)
        ordered |= dict.fromkeys(each for each in reversed(way) if each not in ordered)
    return list(ordered)


def check_move(one: PlannedDriver, planned: Mapping[str, PlannedDriver], findings: Findings) -> None:
    """Report why a driver's payloads cannot be read from the store that they are said to be moved to."""
    destination = planned.get(one.table.moved_to or "")
    if destination is None or destination is one:
        return
    for each in (one, destination):
        if isinstance(each.options, TrustedClaims):
            findings.add(
                (*one.place, "moved_to"),
                f"payloads are moved by their hashes, and {dotted(each.place)} confines no claim, so that "
                "nothing tells which one a claim stands for. Give that driver a method confine(claim)",
            )
    if _store_of(one) == _store_of(destination):
        findings.add(
            (*one.place, "moved_to"),
            f"{dotted(destination.place)} leads to the same store; there is nothing to move",
        )


def _store_of(planned: PlannedDriver) -> tuple[str, dict[str, Any]]:
    return planned.plugin.driver_type, identity_of(planned.options, planned.plugin.identity)
