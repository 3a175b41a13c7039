"""Data keys by KMS. Imported when the provider is opened, for it loads the AWS libraries."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import aioboto3
import aiobotocore
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError, ProfileNotFound
from temporal_payloads.plugin import DataKey, KeyProvider, KeyUnavailableError

from temporal_payloads_aws_kms._errors import KmsErrors, code_of
from temporal_payloads_aws_kms._logs import hide_data_keys
from temporal_payloads_aws_kms._uri import KmsKey, is_same_alias, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pydantic import SecretStr
    from temporal_payloads.plugin import KeyProviderContext
    from types_aiobotocore_kms.client import KMSClient

    from temporal_payloads_aws_kms._settings import KmsSettings


class KmsKeyProvider(KeyProvider):
    """Asks KMS to make and to open data keys, with one client for each region.

    Args:
        session: Where clients come from.
        settings: How KMS is reached.
        place: Where that is configured.
        stack: Closes the clients.
    """

    def __init__(
        self, session: aioboto3.Session, settings: KmsSettings, place: str, stack: AsyncExitStack
    ) -> None:
        self._session = session
        self._settings = settings
        self._place = place
        self._errors = KmsErrors(place)
        self._stack = stack
        self._clients: dict[str, KMSClient] = {}
        self._opening = asyncio.Lock()

    async def make_data_key(self, key: str) -> DataKey:
        """Ask KMS for a data key; see `KeyProvider.make_data_key`. It takes `kms:GenerateDataKey`."""
        kms_key = parse(key)
        region = self._region_of(kms_key)
        with self._errors.told("GenerateDataKey", kms_key.id, region):
            client = await self._client(region)
            made = await client.generate_data_key(
                KeyId=kms_key.id, KeySpec="AES_256", EncryptionContext=kms_key.context
            )
        return DataKey(plaintext=made["Plaintext"], wrapped=made["CiphertextBlob"])

    async def unwrap_data_key(self, key: str, wrapped: bytes) -> bytes:
        """Ask KMS to open a data key; see `KeyProvider.unwrap_data_key`. It takes `kms:Decrypt`.

        KMS is told which key must have wrapped it: anybody could have wrapped one with a key of their own.
        """
        kms_key = parse(key)
        region = self._region_of(kms_key)
        refusals: list[KeyUnavailableError] = []
        for key_id in (kms_key.id, *self._earlier_than(kms_key)):
            try:
                with self._errors.told("Decrypt", key_id, region):
                    client = await self._client(region)
                    opened = await client.decrypt(
                        KeyId=key_id, CiphertextBlob=wrapped, EncryptionContext=kms_key.context
                    )
                    return opened["Plaintext"]
            except KeyUnavailableError as error:
                if not isinstance(error.__cause__, ClientError):
                    raise  # KMS gave no answer, and would give none for another key
                refusals.append(error)
        raise min(refusals, key=_is_of_another_key)

    def _earlier_than(self, key: KmsKey) -> list[str]:
        """Return the keys that an alias named before."""
        return [
            earlier
            for alias, earlier_keys in self._settings.earlier_keys.items()
            if key.is_alias and is_same_alias(alias, key.id)
            for earlier in earlier_keys
        ]

    def _region_of(self, key: KmsKey) -> str:
        region = key.region or self._settings.region or self._session.region_name
        if region is None:
            raise KeyUnavailableError(
                f"The key {key.id!r} is in no region: {NoRegionError()} Set {self._place}.region, or name "
                "the region in the key's URI (?region=...)"
            )
        return region

    async def _client(self, region: str) -> KMSClient:
        async with self._opening:
            if region not in self._clients:
                settings = self._settings
                self._clients[region] = await self._stack.enter_async_context(
                    self._session.client(
                        "kms",
                        region_name=region,
                        endpoint_url=settings.endpoint_url,
                        verify=str(settings.ca_bundle) if settings.ca_bundle else None,
                        config=AioConfig(
                            connect_timeout=settings.connect_timeout.total_seconds(),
                            read_timeout=settings.read_timeout.total_seconds(),
                            retries={"mode": "standard", "total_max_attempts": settings.max_attempts},
                            user_agent=f"temporal-payloads-aws-kms aiobotocore/{aiobotocore.__version__}",
                        ),
                    )
                )
            return self._clients[region]


@asynccontextmanager
async def open_provider(settings: KmsSettings, context: KeyProviderContext) -> AsyncIterator[KmsKeyProvider]:
    """Yield the provider; see `temporal_payloads.plugin.KeyProviderPlugin.open`.

    Raises:
        KeyUnavailableError: There is no such AWS profile, or the AWS libraries refuse a setting.
    """
    hide_data_keys()
    async with AsyncExitStack() as stack:
        try:
            session = aioboto3.Session(
                profile_name=settings.profile,
                aws_access_key_id=settings.access_key_id,
                aws_secret_access_key=_reveal(settings.secret_access_key),
                aws_session_token=_reveal(settings.session_token),
            )
        except ProfileNotFound as error:
            raise KeyUnavailableError(
                f"{error}; correct {context.place}.profile or the variable AWS_PROFILE, or add the profile "
                "to the shared AWS configuration files of this machine"
            ) from error
        except (BotoCoreError, ValueError) as error:
            raise KeyUnavailableError(f"No KMS client from {context.place}: {error}") from error
        yield KmsKeyProvider(session, settings, context.place, stack)


def _is_of_another_key(refusal: KeyUnavailableError) -> bool:
    """Tell whether KMS only said that this key did not wrap it: that says the least of several refusals."""
    answer = refusal.__cause__
    return isinstance(answer, ClientError) and code_of(answer) == "IncorrectKeyException"


def _reveal(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
