"""From pydantic's errors to problems that a person can act on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from temporal_payloads._errors import Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

PREFIX = "TEMPORAL_PAYLOADS_"
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


def variable(place: Place) -> str:
    """Return the variable that sets the value at this place."""
    return PREFIX + "__".join(str(part).upper().replace("-", "_") for part in place)


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
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return [_problem(one, model, origins, prefix, also_known) for one in details]


def _problem(
    error: ErrorDetails, model: type[BaseModel], origins: Origins, prefix: Place, also_known: tuple[str, ...]
) -> Problem:
    place = (*prefix, *error["loc"])
    origin = origins.of(place)
    if error["type"] == "missing":
        message = f"is required; set it in the file, or as the variable {variable(place)}"
    elif error["type"] == "extra_forbidden":
        message = "there is no such setting." + _near(error["loc"], model, origin, prefix, also_known)
    else:
        message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return Problem(message, dotted(place), origin)


def _near(
    loc: Place, model: type[BaseModel], origin: str | None, prefix: Place, also_known: tuple[str, ...]
) -> str:
    if origin and origin.upper().startswith(PREFIX):
        # The whole path is compared, so that a forgotten underscore is found as well as a misspelt word.
        paths = {variable((*prefix, *path)).lower() for path in _paths(model)}
        hint = did_you_mean(origin, paths)
        return hint.upper().replace("DID YOU MEAN", "Did you mean")
    fields = _model_at(model, loc[:-1]).model_fields if loc else {}
    return did_you_mean(str(loc[-1]), {*fields, *(also_known if len(loc) == 1 else ())})


def _paths(model: type[BaseModel]) -> Iterator[Place]:
    for name, info in model.model_fields.items():
        yield (name,)
        for inner in _models_in(info.annotation):
            if get_origin(info.annotation) is None:
                yield from ((name, *path) for path in _paths(inner))


def _model_at(model: type[BaseModel], loc: Place) -> type[BaseModel]:
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
