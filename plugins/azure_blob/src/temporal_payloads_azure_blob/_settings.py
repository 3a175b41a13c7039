"""The settings of a `[storage.drivers.NAME]` table of type `azure_blob`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, ByteSize, Field, FilePath, SecretStr, field_validator, model_validator
from temporal_payloads.plugin import ContentAddressedSettings, PositiveDuration

from temporal_payloads_azure_blob._account import Account, account_of_connection_string, account_of_url

MIB = 1024 * 1024
DEFAULT_BLOCK_SIZE = 16 * MIB
_CONTAINER_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}", re.ASCII)
_LONGEST_CONTAINER_NAME = 63


def _check_container(name: str) -> str:
    if len(name) > _LONGEST_CONTAINER_NAME or not _CONTAINER_NAME.fullmatch(name):
        raise ValueError(
            "is not a container's name: 3 to 63 lower-case letters, digits and single hyphens, of which the "
            "first and the last are no hyphens"
        )
    return name


class AzureBlobSettings(ContentAddressedSettings):
    """Where payloads are kept in Azure Blob Storage, and how they get there."""

    container: Annotated[str, AfterValidator(_check_container)] = Field(
        description="Container, which must exist.",
    )
    account_url: str | None = Field(
        default=None,
        description="URL of the account's Blob service, such as `https://ACCOUNT.blob.core.windows.net`.",
    )
    connection_string: SecretStr | None = Field(
        default=None,
        description="Connection string of the account, with its key or a SAS; instead of `account_url`.",
    )
    account_key: SecretStr | None = Field(
        default=None, min_length=1, description="One of the account's keys."
    )
    sas_token: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="Shared access signature of the account or the container, `sv=...&sig=...`.",
    )
    client_id: str | None = Field(
        default=None,
        min_length=1,
        description="Client id of the user-assigned managed identity to use. Default: what "
        "`DefaultAzureCredential` finds (environment, workload identity, managed identity, Azure CLI).",
    )
    ca_bundle: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities whose certificates to trust. Default: those of the system.",
    )
    connect_timeout: PositiveDuration = Field(
        default=timedelta(seconds=5), description="Longest wait for a connection."
    )
    read_timeout: PositiveDuration = Field(
        default=timedelta(seconds=20), description="Longest silence of the store in a request."
    )
    max_attempts: int = Field(
        default=3, ge=1, description="How often a request is sent at most, the first time included."
    )
    pool_size: int | None = Field(
        default=None,
        ge=1,
        description="Most requests, and so connections, at once. Default: `storage.concurrency`, but at "
        "least 8.",
    )
    block_size: Annotated[ByteSize, Field(ge=MIB, le=4000 * MIB)] = Field(
        default=ByteSize(DEFAULT_BLOCK_SIZE),
        description="Size, from 1 MiB to 4,000 MiB, over which a payload is written in parallel blocks and "
        "read in parallel ranges of that size.",
    )

    @field_validator("connection_string")
    @classmethod
    def _check_connection_string(cls, text: SecretStr | None) -> SecretStr | None:
        if text is not None:
            account_of_connection_string(text.get_secret_value())
        return text

    @field_validator("account_url")
    @classmethod
    def _check_account_url(cls, url: str | None) -> str | None:
        if url is not None:
            account_of_url(url)
        return url

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if problems := list(self._login_problems()):
            raise ValueError("; ".join(problems))
        _ = self.account  # which says what is wrong with key or SAS
        return self

    def _login_problems(self) -> Iterator[str]:
        logins = [name for name in ("account_key", "sas_token", "client_id") if getattr(self, name)]
        if self.connection_string is None and self.account_url is None:
            yield "no account is named: set account_url, or connection_string"
        if self.connection_string and self.account_url:
            yield "connection_string and account_url each name the account: keep one"
        if self.connection_string and logins:
            yield f"connection_string logs in by itself: remove it, or {' and '.join(logins)}"
        elif len(logins) > 1:
            yield f"{' and '.join(logins)} are several ways to log in: keep one"
        if (self.account_url or "").lower().startswith("http:") and not (self.account_key or self.sas_token):
            yield (
                "an identity's token is sent over https only: write https:// in account_url, or set "
                "account_key or sas_token"
            )

    @property
    def account(self) -> Account:
        """The account and its secrets, from wherever they are set. They are not secret here: mind them."""
        if self.connection_string:
            return account_of_connection_string(self.connection_string.get_secret_value())
        return account_of_url(
            self.account_url or "", key=_reveal(self.account_key), sas=_reveal(self.sas_token)
        )


def _reveal(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
