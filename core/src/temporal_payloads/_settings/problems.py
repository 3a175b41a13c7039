"""From pydantic's errors to problems that a person can act on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from temporal_payloads._errors import Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

PREFIX = "TEMPORAL_PAYLOADS_"
FILE_VARIABLE = PREFIX + "CONFIG_FILE"
PROFILE_VARIABLE = PREFIX + "PROFILE"
REQUIRED_VARIABLE = PREFIX + "REQUIRED"
OWN_VARIABLES = (FILE_VARIABLE, PROFILE_VARIABLE, REQUIRED_VARIABLE)
"""Variables under our prefix that are no settings but say where to find them, and whether they must be."""
TEMPORAL_PROFILE_VARIABLE = "TEMPORAL_PROFILE"
"""Temporal's own variable for a profile of its client configuration."""
Place = tuple[str | int, ...]
"""Where a value stands, as keys and list positions from the root of the settings."""


@dataclass(frozen=True)
class Origins:
    """Which file or variable each value came from, the strongest source first."""

    values: tuple[Mapping[Place, str], ...] = ()
    tables: tuple[Mapping[Place, str], ...] = field(default=())

    def of(self, place: Place) -> str | None:
        """Return the origin of the value at this place, or of the nearest table around it."""
        for length in range(len(place), 0, -1):
            for origins in self.values:
                if place[:length] in origins:
                    return origins[place[:length]]
        for length in range(len(place), 0, -1):
            # A table may be spread over sources; the weakest, the file, is where a person looks for it.
            for origins in reversed(self.tables):
                if place[:length] in origins:
                    return origins[place[:length]]
        return None


def dotted(place: Place) -> str:
    """Return the place as people write it: `storage.routes[1].driver`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def lies_in(place: str, table: str) -> bool:
    """Tell whether a dotted place is that of the table, or inside it; the root is the empty place."""
    return place == table or not table or place.startswith((f"{table}.", f"{table}["))


def variable(place: Place) -> str:
    """Return the variable that sets the value at this place."""
    return PREFIX + "__".join(str(part).upper().replace("-", "_") for part in place)


def is_variable(origin: str) -> bool:
    """Tell whether this is the name of a variable of ours, and not a file."""
    return origin.upper().startswith(PREFIX)


def place_of(name: str) -> Place:
    """Return the place that a variable's name stands for."""
    return tuple(name[len(PREFIX) :].lower().split("__"))


def explain(
    error: ValidationError,
    model: type[BaseModel],
    origins: Origins,
    prefix: Place = (),
    also_known: tuple[str, ...] = (),
) -> list[Problem]:
    """Turn a validation error into problems; no input value stands in them.

    Args:
        error: What pydantic found.
        model: The model that was validated.
        origins: Where the values came from.
        prefix: Where the model's values stand in the settings.
        also_known: Keys that may stand beside the model's own, for near matches.
    """
    return [_problem(one, model, origins, prefix, also_known) for one in _details(error)]


def explain_settings_error(error: ValidationError, model: type[BaseModel]) -> list[tuple[Place, str]]:
    """Say in the words of the settings what is wrong with a file of a plugin's own.

    Core does so for a plugin's settings. This is for what they name and no variable can set; what it returns
    is what `PluginSettingsError` takes.

    Args:
        error: What pydantic found.
        model: The model that was validated.

    Returns:
        Each problem: the place in the file as keys and list positions, and what is wrong there. No input
        value stands in it.

    Example::

        def read_ring(text: str) -> Ring:
            try:
                return Ring.model_validate_json(text)
            except ValidationError as error:
                found = explain_settings_error(error, Ring)
                raise PluginSettingsError([(("ring", *place), what) for place, what in found]) from error
    """
    return [(one["loc"], _text(one, model, also_known=())) for one in _details(error)]


def _details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False, include_input=False)


_MESSAGES = {
    "byte_size": "is not a size; write a number of bytes, zero or more, or one with a unit: '256KiB', '50MB'",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "string_unicode": "is not UTF-8 text",
}
"""Our words where pydantic's are about Python, or say too little."""
_NO_SUCH_SETTING = "there is no such setting."
_NO_TABLES: dict[Place, str] = {
    ("codec",): "; the list of codecs is `codecs`",
    ("storage", "drivers"): "; the name of the default driver is `storage.driver`",
    ("payload_converters",): "; the name of the payload converter is `payload_converter`",
}
"""What was meant by a value where tables belong."""


def _problem(
    error: ErrorDetails, model: type[BaseModel], origins: Origins, prefix: Place, also_known: tuple[str, ...]
) -> Problem:
    place = (*prefix, *error["loc"])
    origin = origins.of(place)
    from_variable = bool(origin and is_variable(origin))
    if error["type"] == "missing":
        # Neither what stands in a list nor what stands under an import path has a variable.
        has_variable = not any(isinstance(part, int) for part in place) and variable(place).isidentifier()
        by_variable = f", or as the variable {variable(place)}" if has_variable else ""
        message = f"{_text(error, model, also_known)}; set it in the file{by_variable}"
    elif error["type"] == "extra_forbidden" and from_variable:
        message = f"{_NO_SUCH_SETTING}{_variable_meant(model, error['loc'], prefix, also_known)}"
    else:
        message = _text(error, model, also_known)
        if message == _MESSAGES["dict_type"] and place in _NO_TABLES:
            message += _NO_TABLES[place]
        elif message == _MESSAGES["dict_type"] and from_variable:
            message += "; in a variable's name, each two underscores go one table deeper"
    return Problem(message, dotted(place), origin)


def _text(error: ErrorDetails, model: type[BaseModel], also_known: tuple[str, ...]) -> str:
    """Say what is wrong, wherever the value comes from."""
    if error["type"] == "missing":
        return "is required"
    if error["type"] == "extra_forbidden":
        *table, name = error["loc"]
        known = [*_model_at(model, table).model_fields, *(() if table else also_known)]
        return f"{_NO_SUCH_SETTING}{did_you_mean(str(name), known)}"
    if error["type"] == "byte_size_unit":
        text = error["msg"].replace("could not interpret byte unit:", "is not a size: there is no unit")
        return f"{text}; units are B, KiB, MiB, GiB, TiB, KB, MB, GB, TB"
    text = _MESSAGES.get(error["type"]) or error["msg"]
    text = text.removeprefix("Value error, ").removeprefix("Input ")
    return text.replace("datetime.timedelta(0)", "0 seconds")


def _variable_meant(model: type[BaseModel], loc: Place, prefix: Place, also_known: tuple[str, ...]) -> str:
    # The whole path is compared, so that a forgotten underscore is found as well as a misspelt word.
    known: list[Place] = [
        *_paths(model),
        *((name,) for name in also_known),
        *((*loc[:-1], name) for name in _model_at(model, loc[:-1]).model_fields),
    ]
    names = [variable((*prefix, *each)) for each in known] + ([] if prefix else list(OWN_VARIABLES))
    # Without the prefix that they all share, for with it any two are alike.
    given = variable((*prefix, *loc)).removeprefix(PREFIX)
    hint = did_you_mean(given, [name.removeprefix(PREFIX) for name in names])
    return hint.replace("mean '", f"mean '{PREFIX}")


def _paths(model: type[BaseModel]) -> Iterator[Place]:
    for name, info in model.model_fields.items():
        yield (name,)
        for inner in _models_in(info.annotation):
            if get_origin(info.annotation) is None:
                yield from ((name, *path) for path in _paths(inner))


def _model_at(model: type[BaseModel], loc: Sequence[str | int]) -> type[BaseModel]:
    """Return the model that a place inside a model's values belongs to."""
    for part in loc:
        if isinstance(part, str) and part in model.model_fields:
            inner = next(_models_in(model.model_fields[part].annotation), None)
            if inner is None:
                break
            model = inner
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
