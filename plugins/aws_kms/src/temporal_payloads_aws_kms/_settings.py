"""The settings of a `[key_providers.NAME]` table of the type `awskms`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FilePath, SecretStr, model_validator
from temporal_payloads.plugin import PositiveDuration


def _check_endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError(
            "must hold no user name or password; set access_key_id and secret_access_key instead"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a URL such as 'https://kms.example.com' or 'http://127.0.0.1:5000'")
    return url


class KmsSettings(BaseModel):
    """How KMS is reached, and with which credentials."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    region: str | None = Field(
        None,
        min_length=1,
        description="AWS region of keys whose URI names none. Default: that of the profile or of the "
        "environment.",
    )
    endpoint_url: Annotated[str, AfterValidator(_check_endpoint)] | None = Field(
        None, description="URL of a VPC endpoint or of another server that speaks KMS. Default: AWS."
    )
    profile: str | None = Field(
        None, min_length=1, description="Profile of the shared AWS configuration files."
    )
    access_key_id: str | None = Field(
        None,
        min_length=1,
        description="Static access key. Default: the usual chain (environment, shared files, instance role).",
    )
    secret_access_key: SecretStr | None = Field(None, min_length=1, description="Secret of the access key.")
    session_token: SecretStr | None = Field(
        None, min_length=1, description="Session token, for a temporary access key."
    )
    ca_bundle: FilePath | None = Field(
        None, description="PEM file of the authorities whose certificates to trust. Default: the public ones."
    )
    connect_timeout: PositiveDuration = Field(
        timedelta(seconds=2), description="Longest wait for a connection."
    )
    read_timeout: PositiveDuration = Field(
        timedelta(seconds=5), description="Longest silence of KMS in a request."
    )
    max_attempts: int = Field(
        3, ge=1, description="How often a request is sent at most, the first time included."
    )
    earlier_keys: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="For an alias (`alias/orders`, or its ARN) that has come to name another key: the ARNs "
        "of those that it named before, whose data keys are still opened. An alias that no key of a ring "
        "names is left alone.",
    )

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError(
                "access_key_id and secret_access_key go together: set both, or neither for the usual chain"
            )
        if self.session_token and not self.access_key_id:
            raise ValueError(
                "session_token belongs to an access key: set access_key_id and secret_access_key too"
            )
        if self.profile and self.access_key_id:
            raise ValueError("profile and access_key_id are two sources of credentials: remove one of them")
        return self
