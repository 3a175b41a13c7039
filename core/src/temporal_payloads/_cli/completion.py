"""What a shell offers for the value of an option: names that stand in the settings' file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import typer


def profile_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the profiles of the file that the command line names so far."""
    return _matching(_table(_file(ctx), "profile"), incomplete)


def driver_keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the keys of the drivers' tables in that file."""
    file = _file(ctx)
    found = dict.fromkeys(_table(file, "storage", "drivers"))
    for profile in _table(file, "profile").values():
        found |= dict.fromkeys(_table(profile, "storage", "drivers"))
    return _matching(found, incomplete)


def _file(ctx: typer.Context) -> dict[str, Any]:
    """Return what the file has. What is wrong with it, the command says when it is called."""
    from temporal_payloads._settings.choices import Caller, choose_file  # noqa: PLC0415  # slow to import

    file = choose_file(ctx.params.get("config"), Caller())
    try:
        return tomllib.loads(Path(file.value).read_text(encoding="utf-8")) if file else {}
    except (OSError, ValueError):
        return {}


def _table(values: Any, *path: str) -> dict[str, Any]:
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else {}


def _matching(names: dict[str, Any], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
