"""What came of a collection, for a program and for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temporal_payloads._cli.output import bad, counted, doubtful, good, heading, printable, say, table
from temporal_payloads._operate.collection.rules import Rule
from temporal_payloads._operate.units import in_units

if TYPE_CHECKING:
    from collections.abc import Mapping

    from temporal_payloads._operate.collection.report import Purpose, Report

_COLLECTED = {Rule.UNREFERENCED, Rule.DUE}
_MOST = 20
"""Namespaces that a person is told of."""


def parts_of_nothing(purpose: Purpose) -> dict[str, Any]:
    """Return what the document says of a collection that could not be begun."""
    return {
        "id": None,
        "purpose": purpose,
        "began": None,
        "ended": None,
        "complete": False,
        "incomplete": [],
        "namespaces": [],
        "stores": [],
        "refused": [],
    }


def as_parts(report: Report) -> dict[str, Any]:
    """Return what the document says of a collection."""
    parts = report.as_json()
    parts["namespaces"] = [
        {key: value for key, value in one.items() if key not in ("folder", "chunks")}
        | {"uncertain": _uncertain(one["uncertain"])}
        for one in report.namespaces
    ]
    parts["stores"] = [_store(key, swept) for key, swept in report.stores.items()]
    parts["refused"] = [{"driver": key, "why": why} for key, why in report.refused.items()]
    return parts


def _uncertain(of: Mapping[str, Any]) -> list[str]:
    return [*of["actions"], *([] if of["all_but"] is None else [_ANY])]


def _store(key: str, swept: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "driver": key,
        "payloads": swept["listed"],
        "bytes": swept["size"],
        "others": swept["others"],
        "rules": [
            {"rule": rule, "why": Rule[rule.upper()].value, "payloads": count, "bytes": size}
            for rule, (count, size) in sorted(swept["rules"].items())
        ],
        "changes": [
            {"action": action, "outcome": outcome, "payloads": count}
            for action, outcomes in sorted(swept["outcomes"].items())
            for outcome, count in sorted(outcomes.items())
        ],
        **{name: _by("namespace", swept[name]) for name in ("garbage", "undeclared")},
        "aside": _by("collection", swept["aside"]),
        "damaged": swept["damaged"],
    }


def _by(what: str, counts: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    return [{what: name, "payloads": count, "bytes": size} for name, (count, size) in sorted(counts.items())]


def print_report(report: Report) -> None:
    """Print what came of a collection."""
    say(heading(f"Collection {report.id}, to {report.purpose}"))
    if report.namespaces:
        table(
            ("NAMESPACE", "LISTED", "READ", "MARKS", ""),
            [
                (
                    one["namespace"],
                    f"{one['listed']:,}",
                    f"{one['read']:,}",
                    f"{one['marks']:,}",
                    bad("incomplete") if one["gaps"] else good("complete"),
                )
                for one in report.namespaces
            ],
            right={"LISTED", "READ", "MARKS"},
        )
    for one in report.namespaces:
        if one["kept"]:
            gone = counted(one["kept"], "run that is gone still counts", "runs that are gone still count")
            say(f"  {printable(one['namespace'])}: {gone}, until gc.grace after that was first seen")
    for reason in report.incomplete:
        say(bad("  incomplete: "), printable(reason))
    for key, swept in report.stores.items():
        _print_store(key, swept)
    for key, why in report.refused.items():
        told = "collected in part" if key in report.stores else "not collected"
        say(doubtful(f"  {key} was {told}: "), printable(why))
    if not report.complete:
        say("  Nothing was put aside or deleted: what could not be read may refer to any payload.")
    elif report.purpose == "plan":
        say(f"  No payload was changed. What nothing refers to is put aside by: {_COMMAND} put-aside")


_COMMAND = "temporal-payloads gc"
_ANY = "*"
"""Stands for actions of which nothing is known."""


def _print_store(key: str, swept: Mapping[str, Any]) -> None:
    say()
    say(heading(f"{key}: {counted(swept['listed'], 'payload')}, {in_units(swept['size'])}"))
    rows = []
    for rule, (count, size) in sorted(swept["rules"].items(), key=lambda one: -one[1][1]):
        why = Rule[rule.upper()]
        cell = doubtful(why.value) if why in _COLLECTED else why.value
        rows.append((f"{count:,}", in_units(size), cell))
    table(("PAYLOADS", "SIZE", "WHY THEY STAY OR GO"), rows, right={"PAYLOADS", "SIZE"})
    for action, outcomes in sorted(swept["outcomes"].items()):
        for outcome, count in sorted(outcomes.items()):
            say(f"  {action.replace('_', ' ')}: {counted(count, 'payload')} {_OUTCOMES[outcome]}")
    for name in swept["damaged"]:
        say(
            bad("  damaged: "), f"{printable(name)}, which said since when payloads are aside; they wait anew"
        )
    for namespace, (count, size) in sorted(swept["undeclared"].items())[:_MOST]:
        say(
            doubtful("  not declared: "),
            f"{counted(count, 'payload')} ({in_units(size)}) of namespace {printable(namespace)}",
        )


_OUTCOMES = {
    "done": "done",
    "changed": "left, for somebody stored or changed them meanwhile",
    "gone": "gone already",
    "refused": "refused by the store: a lock, a legal hold, or a rule keeps them as they are",
    "unknown": "of which the store's answer was lost; the next collection finds out",
}
