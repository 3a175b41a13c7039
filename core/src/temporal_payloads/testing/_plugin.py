"""What plugins of every kind have in common: how they register, and their settings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, get_args
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretBytes, SecretStr

from temporal_payloads._plugins.contract import PLUGIN_API_VERSION
from temporal_payloads._plugins.kinds import AnyPlugin, KindName
from temporal_payloads._plugins.registry import PluginRegistry
from temporal_payloads._settings.models import DriverTable
from temporal_payloads.testing._promises import broken_by
from temporal_payloads.testing._watching import all_that_is_said

SOUNDS_SECRET = re.compile(r"(^|_)(password|passphrase|secret|token)($|_)")
SOUNDS_LIKE_EXPIRY = re.compile(r"^(ttl|expiry|expires?_after|expire_in|max_age|retention|lifetime)$")
SHORTEST_SECRET = 6
"""Characters of a secret that can be told from a word that happens to be in a text."""
IMPORTED_BY_REGISTRATION = """
import json, sys
kind, entry_point, sys.path[:] = json.loads(sys.argv[1])
from temporal_payloads.plugin import PluginRegistry
getattr(PluginRegistry(), kind)(entry_point)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


class PluginConformance:
    """The part of the kit that is the same for every kind of plugin."""

    entry_point: ClassVar[str]
    """The name under which the installed distribution offers the plugin."""
    client_modules: ClassVar[Sequence[str]] = ()
    """Top-level modules of the libraries that the plugin works with, which registration must not import."""
    kind: ClassVar[KindName]

    @broken_by(
        "an entry point of the wrong group, or an installation from before it was declared: install "
        "the distribution again."
    )
    def test_the_entry_point_leads_to_this_plugin(self, plugin: AnyPlugin) -> None:
        """The installed distribution offers the plugin under the name that settings use."""
        installed = getattr(PluginRegistry(), self.kind)(self.entry_point)
        assert type(installed) is type(plugin), f"it leads to a {type(installed).__name__}"
        assert installed.settings is plugin.settings, (
            f"it leads to a plugin with {installed.settings.__name__}, not {plugin.settings.__name__}"
        )

    @broken_by(
        "an import at the head of `_plugin.py`, `_settings.py` or the package itself. Import in "
        "`open` or `create`."
    )
    def test_registration_imports_no_client_library(self) -> None:
        """Loading the plugin is cheap: its libraries are imported when it is opened or created."""
        done = subprocess.run(  # noqa: S603  # this interpreter, and our own program
            [
                sys.executable,
                "-c",
                IMPORTED_BY_REGISTRATION,
                json.dumps([self.kind, self.entry_point, sys.path]),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        imported = sorted(set(self.client_modules) & set(json.loads(done.stdout)))
        assert not imported, f"registration imported {', '.join(imported)}"

    @broken_by("a constant of core's in place of the number, or a plugin for another release of core.")
    def test_it_is_written_for_this_plugin_api(self, plugin: AnyPlugin) -> None:
        """The plugin states the number of the plugin API that it was written for."""
        assert plugin.api_version == PLUGIN_API_VERSION, f"api_version is {plugin.api_version!r}"

    @broken_by(
        'a model, or a nested one, without `model_config = ConfigDict(extra="forbid", frozen=True, ...)`.'
    )
    def test_settings_are_frozen_and_take_no_unknown_keys(self, plugin: AnyPlugin) -> None:
        """A misspelt key is an error, in nested tables too; settings that were read never change."""
        for model in models_in(plugin.settings):
            for key, expected in (("extra", "forbid"), ("frozen", True)):
                assert model.model_config.get(key) == expected, f"{model.__name__} is not {key}={expected!r}"

    @broken_by("a model, or a nested one, without `hide_input_in_errors=True`.")
    def test_errors_about_settings_do_not_show_what_was_given(self, plugin: AnyPlugin) -> None:
        """What was given may be a secret in the wrong place."""
        for model in models_in(plugin.settings):
            hides = model.model_config.get("hide_input_in_errors")
            assert hides is True, f"{model.__name__} is not hide_input_in_errors=True"

    @broken_by("a field without `Field(description=...)`.")
    def test_every_setting_has_a_description(self, plugin: AnyPlugin) -> None:
        """The settings reference and the command line show it."""
        for model in models_in(plugin.settings):
            for name, field in model.model_fields.items():
                assert field.description, f"{model.__name__}.{name} has none"

    @broken_by("a `str` where a `SecretStr` should be.")
    def test_secret_settings_are_of_a_secret_type(self, plugin: AnyPlugin) -> None:
        """A setting that is called a password, secret or token is a `SecretStr`, so that nothing shows it."""
        for model in models_in(plugin.settings):
            for name, field in model.model_fields.items():
                if SOUNDS_SECRET.search(name) and str in types_in(field.annotation):
                    raise AssertionError(f"{model.__name__}.{name} is a plain string; make it a SecretStr")

    @broken_by(
        "a setting called `type`, `driver_name`, `fallback`, `retrieve_only`, `read_aliases`, "
        "`missing_payload` or the like."
    )
    def test_no_setting_has_a_name_that_core_uses(self, plugin: AnyPlugin) -> None:
        """Core's own keys stand in the same table."""
        taken = sorted(set(plugin.settings.model_fields) & set(DriverTable.model_fields))
        assert not taken, f"{plugin.settings.__name__}.{taken[0]} is core's"

    @broken_by("a secret that is kept, or computed, as a plain `str`.")
    def test_settings_show_no_secret(self, settings: BaseModel) -> None:
        """Neither their representation nor their JSON has a secret in the clear."""
        with all_that_is_said() as said:
            said.note("repr(settings)", repr(settings))
            said.note("str(settings)", str(settings))
            said.note("settings.model_dump_json()", settings.model_dump_json())
        said.require_none_of(secrets_in(settings))


def types_in(annotation: Any) -> Iterator[Any]:
    """Yield every type that an annotation is made of."""
    yield annotation
    for argument in get_args(annotation):
        yield from types_in(argument)


def models_in(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield the model and those of its nested tables."""
    yield model
    for field in model.model_fields.values():
        for each in types_in(field.annotation):
            if isinstance(each, type) and issubclass(each, BaseModel) and each is not model:
                yield from models_in(each)


def secrets_in(settings: BaseModel) -> Iterator[str]:
    """Yield the secrets that are set, and of secret URLs the password."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from secrets_in(value)
        if isinstance(value, SecretBytes):
            value = SecretStr(value.get_secret_value().decode(errors="replace"))
        if isinstance(value, SecretStr):
            secret = value.get_secret_value()
            # Of a URL, errors may show all but the password.
            secret = unquote(urlsplit(secret).password or "") if "://" in secret else secret
            if len(secret) >= SHORTEST_SECRET:
                yield secret
