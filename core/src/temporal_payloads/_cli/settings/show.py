"""`temporal-payloads settings show`: every setting, and where it comes from."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from temporal_payloads._build.effective import DEFAULT, effective_settings
from temporal_payloads._cli.document import document, sources_as_json
from temporal_payloads._cli.exit_status import ExitStatus
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for
from temporal_payloads._cli.output import complain, say_json, table, warn
from temporal_payloads._errors import ConfigurationError
from temporal_payloads._plugins.registry import PluginRegistry

EPILOG = """\
A setting that is wrong is left out, as are those of a plugin that is not installed; what is wrong is said
after the table.

Exit status:
  0, or 2 if the settings are wrong

--json prints:
  version, ok, sources, settings, error (null), problems
  sources: file, file_named_by, profile, profile_chosen_by, variables, warnings
  settings: setting, value, origin (a file and profile, a variable, or default)
  problems: message, place, origin (of each in the settings)

Examples:
  temporal-payloads settings show
  temporal-payloads settings show --changed --profile prod
  temporal-payloads settings show --json | jq '.settings[] | select(.value)'
"""


def run(
    *,
    changed: Annotated[bool, typer.Option("--changed", help="Only what is set, and no defaults.")] = False,
    as_json: Json = False,
    config: Config = None,
    profile: Profile = None,
) -> ExitStatus:
    """Show every setting that is in effect, and where it comes from.

    The file, the profile and the variables are merged, plugins' tables are read by their plugins, and
    defaults filled in. Secrets are hidden. No store is asked.
    """
    settings = settings_asked_for(config, profile)
    found, findings = effective_settings(settings, PluginRegistry())
    shown = [each for each in found if not changed or each.origin != DEFAULT]
    problem: ConfigurationError | None = None
    try:
        findings.raise_all()
    except ConfigurationError as error:
        problem = error
    if as_json:
        parts: dict[str, Any] = {
            "sources": sources_as_json(settings),
            "settings": [asdict(each) for each in shown],
        }
        say_json(document(ok=problem is None, problems=problem.problems if problem else (), **parts))
    else:
        for warning in settings.sources.warnings():
            warn(warning)
        rows = ((each.setting, _text(each.value), each.origin) for each in shown)
        table(("SETTING", "VALUE", "FROM"), rows)
        if problem is not None:
            complain(str(problem))
    return ExitStatus.FINE if problem is None else ExitStatus.WRONG_USE


def _text(value: Any) -> str:
    """Return a value as the file has it, nearly: JSON is TOML for what has a value at all."""
    return "-" if value is None else json.dumps(value, ensure_ascii=False)
