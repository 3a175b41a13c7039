"""The entry point `awskms`: what core needs to know of this plugin, without loading the AWS libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads.plugin import KeyProviderContext, KeyProviderPlugin, hookimpl

from temporal_payloads_aws_kms._settings import KmsSettings
from temporal_payloads_aws_kms._uri import parse

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from temporal_payloads.plugin import KeyProvider


@hookimpl
def temporal_payloads_key_provider() -> KeyProviderPlugin[KmsSettings]:
    """Describe the key provider; see `temporal_payloads.plugin`."""
    return KeyProviderPlugin(
        api_version=1,
        settings=KmsSettings,
        open=_open,
        check_key=lambda _, uri: _check(uri),
        imports=("temporal_payloads_aws_kms._provider",),
        destination=("endpoint_url",),
        ambient_credentials=(
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
            "AWS_DEFAULT_PROFILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_SHARED_CREDENTIALS_FILE",
        ),
    )


def _check(uri: str) -> None:
    parse(uri)


def _open(settings: KmsSettings, context: KeyProviderContext) -> AbstractAsyncContextManager[KeyProvider]:
    # Imported here because it imports aioboto3, which takes a third of a second.
    from temporal_payloads_aws_kms._provider import open_provider  # noqa: PLC0415

    return open_provider(settings, context)
