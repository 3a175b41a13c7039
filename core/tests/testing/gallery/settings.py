"""Settings with one fault each; they are the same for every kind of plugin."""

from functools import partial

from pydantic import ConfigDict, Field, model_serializer
from temporal_payloads.testing import DriverConformance

from gallery.exhibit import Exhibit
from gallery.shelf import ShelfSettings, shelf


def exhibit(name, model, breaks, says, **given):
    return Exhibit(
        name=name,
        kit=DriverConformance,
        plugin=partial(shelf, settings=model),
        settings=partial(model, **given),
        breaks=breaks,
        says=says,
    )


class NotFrozen(ShelfSettings):
    model_config = ConfigDict(frozen=False)


class Tolerant(ShelfSettings):
    model_config = ConfigDict(extra="ignore")


class ShowingInput(ShelfSettings):
    model_config = ConfigDict(hide_input_in_errors=False)


class Undescribed(ShelfSettings):
    shelf: str = "main"


class PlainToken(ShelfSettings):
    token: str = Field("", description="What the shelf asks for.")


class WithAType(ShelfSettings):
    type: str = Field("wood", description="What the shelf is made of.")


class Serialized(ShelfSettings):
    @model_serializer
    def plain(self):
        return {"password": self.password and self.password.get_secret_value()}


SETTINGS = [
    exhibit(
        "settings that can change",
        NotFrozen,
        "settings_are_frozen_and_take_no_unknown_keys",
        "NotFrozen is not frozen=True",
    ),
    exhibit(
        "settings with unknown keys",
        Tolerant,
        "settings_are_frozen_and_take_no_unknown_keys",
        "Tolerant is not extra='forbid'",
    ),
    exhibit(
        "settings that show their input",
        ShowingInput,
        "errors_about_settings_do_not_show_what_was_given",
        "ShowingInput is not hide_input_in_errors=True",
    ),
    exhibit(
        "a setting without description",
        Undescribed,
        "every_setting_has_a_description",
        "Undescribed.shelf has none",
    ),
    exhibit(
        "a secret of a plain type",
        PlainToken,
        "secret_settings_are_of_a_secret_type",
        "PlainToken.token is a plain string; make it a SecretStr",
    ),
    exhibit(
        "a setting of cores name",
        WithAType,
        "no_setting_has_a_name_that_core_uses",
        "WithAType.type is core's",
    ),
    exhibit(
        "settings that are dumped with their secret",
        Serialized,
        "settings_show_no_secret",
        r"a secret is shown by settings.model_dump_json\(\)",
        password="open-sesame",
    ),
]
