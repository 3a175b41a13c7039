"""What plugins of every kind have in common: how they register, and their settings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, SecretBytes, SecretStr

from temporal_payloads._plugins.contract import PLUGIN_API_VERSION
from temporal_payloads._plugins.kinds import AnyPlugin, KindName
from temporal_payloads._plugins.registry import PluginRegistry
from temporal_payloads._settings.models import DriverTable

SOUNDS_SECRET = re.compile(r"(^|_)(password|passphrase|secret|token)($|_)")
IMPORTED_BY_REGISTRATION = """
import json, sys
from temporal_payloads.plugin import PluginRegistry
getattr(PluginRegistry(), sys.argv[1])(sys.argv[2])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


class PluginConformance:
    """The part of the kit that is the same for every kind of plugin."""

    entry_point: ClassVar[str]
    """The name under which the installed distribution offers the plugin."""
    client_modules: ClassVar[Sequence[str]] = ()
    """Top-level modules of the libraries that the plugin works with, which registration must not import."""
    kind: ClassVar[KindName]

    def test_the_entry_point_leads_to_this_plugin(self, plugin: AnyPlugin) -> None:
        """The installed distribution offers the plugin under the name that settings use."""
        installed = getattr(PluginRegistry(), self.kind)(self.entry_point)
        assert type(installed) is type(plugin)
        assert installed.settings is plugin.settings

    def test_registration_imports_no_client_library(self) -> None:
        """Loading the plugin is cheap: its libraries are imported when it is opened or created."""
        done = subprocess.run(  # noqa: S603  # this interpreter, and our own program
            [sys.executable, "-c", IMPORTED_BY_REGISTRATION, self.kind, self.entry_point],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert set(self.client_modules).isdisjoint(json.loads(done.stdout))

    def test_it_is_written_for_this_plugin_api(self, plugin: AnyPlugin) -> None:
        """The plugin states the number of the plugin API that it was written for."""
        assert plugin.api_version == PLUGIN_API_VERSION

    def test_settings_are_frozen_and_take_no_unknown_keys(self, plugin: AnyPlugin) -> None:
        """A misspelt key is an error, in nested tables too; settings that were read never change."""
        for model in models_in(plugin.settings):
            assert model.model_config.get("extra") == "forbid", model.__name__
            assert model.model_config.get("frozen") is True, model.__name__

    def test_errors_about_settings_do_not_show_what_was_given(self, plugin: AnyPlugin) -> None:
        """What was given may be a secret in the wrong place."""
        for model in models_in(plugin.settings):
            assert model.model_config.get("hide_input_in_errors") is True, model.__name__

    def test_every_setting_has_a_description(self, plugin: AnyPlugin) -> None:
        """The settings reference and the command line show it."""
        for model in models_in(plugin.settings):
            for name, field in model.model_fields.items():
                assert field.description, f"{model.__name__}.{name}"

    def test_secret_settings_are_of_a_secret_type(self, plugin: AnyPlugin) -> None:
        """A setting that is called a password, secret or token is a `SecretStr`, so that nothing shows it."""
        for model in models_in(plugin.settings):
            for name, field in model.model_fields.items():
                if SOUNDS_SECRET.search(name) and str in types_in(field.annotation):
                    raise AssertionError(f"{model.__name__}.{name} is a plain string; make it a SecretStr")

    def test_no_setting_has_a_name_that_core_uses(self, plugin: AnyPlugin) -> None:
        """Core's own keys stand in the same table."""
        assert set(plugin.settings.model_fields).isdisjoint(DriverTable.model_fields)

    def test_settings_show_no_secret(self, settings: BaseModel) -> None:
        """Neither their representation nor their JSON has a secret in the clear."""
        for secret in secrets_in(settings):
            for shown in (repr(settings), str(settings), settings.model_dump_json()):
                assert secret not in shown


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
    """Yield the secrets that are set."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from secrets_in(value)
        elif isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, SecretBytes):
            yield value.get_secret_value().decode(errors="replace")
