"""What a plugin's settings say that others must share, as data without a secret in it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def identity_of(options: BaseModel, identity: Callable[[Any], Mapping[str, object]] | None) -> dict[str, Any]:
    """Return what counts of a plugin's settings, such as JSON has it.

    Args:
        options: The settings.
        identity: What the plugin says that counts; None if all settings do.
    """
    counting = identity(options) if identity else options.model_dump()
    data: dict[str, Any] = json.loads(json.dumps(counting, sort_keys=True, default=_without_password))
    return data


def _without_password(value: object) -> str:
    # Passwords do not count: what is made of one would let it be guessed.
    if not isinstance(value, SecretStr):
        return str(value)
    # A URL is secret for the password in it; where it leads to is what tells stores apart.
    with suppress(ValueError):
        url = urlsplit(value.get_secret_value())
        user, at, server = url.netloc.rpartition("@")
        return f"{url.scheme}://{user.partition(':')[0]}{at}{server}{url.path}" if server else "secret"
    return "secret"
