"""The settings of a `[storage.drivers.NAME]` table of type `s3`."""

from __future__ import annotations

import re
import string
from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    model_validator,
)
from temporal_payloads.plugin import DEFAULT_MAX_PAYLOAD_SIZE, PositiveDuration

_MIB = 1024 * 1024
_BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]", re.ASCII)
"""S3's rule is stricter since 2018; older buckets and compatible stores have capitals and underscores."""
_ACCESS_POINT = re.compile(r"arn:[A-Za-z0-9:/._-]+", re.ASCII)
_MAX_TAGS = 10


def is_bucket_name(name: str) -> bool:
    """Tell whether this can be a bucket's name. One that can't must never become part of a URL."""
    return bool(_BUCKET_NAME.fullmatch(name)) and ".." not in name


def _check_bucket(bucket: str) -> str:
    if _ACCESS_POINT.fullmatch(bucket):
        return bucket
    try:
        fields = {
            (name, spec, conversion)
            for _, name, spec, conversion in string.Formatter().parse(bucket)
            if name is not None
        }
    except ValueError:
        fields = {("", "", None)}
    if not fields <= {("namespace", "", None)}:
        raise ValueError("{namespace} is the only placeholder that a bucket may have")
    if not is_bucket_name(bucket.replace("{namespace}", "namespace")):
        raise ValueError("is not a bucket's name: letters, digits, '.', '-' and '_' only, at least 3 of them")
    return bucket


def _check_endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError(
            "must hold no user name or password; set access_key_id and secret_access_key instead"
        )
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a URL such as 'https://s3.example.com' or 'http://127.0.0.1:9000'")
    if parts.query or parts.fragment:
        raise ValueError("must end with the host, the port or a path: an endpoint has no query")
    return url


def _check_storage_class(name: str) -> str:
    if name in {"GLACIER", "DEEP_ARCHIVE"}:
        raise ValueError("can't be read without a restore that takes hours; use GLACIER_IR, or another class")
    return name


class S3Settings(BaseModel):
    """Where payloads are kept in S3, and how they get there."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    bucket: Annotated[str, AfterValidator(_check_bucket)] = Field(
        description="Bucket, which must exist, or access point ARN. `{namespace}` in it stands for the "
        "Temporal namespace: `payloads-{namespace}`.",
    )
    region: str | None = Field(
        default=None,
        min_length=1,
        description="AWS region of the bucket. Default: that of the profile or of the environment.",
    )
    endpoint_url: Annotated[str, AfterValidator(_check_endpoint)] | None = Field(
        default=None,
        description="URL of an S3-compatible store or a VPC endpoint. Default: AWS.",
    )
    profile: str | None = Field(
        default=None,
        min_length=1,
        description="Profile of the shared AWS configuration files.",
    )
    access_key_id: str | None = Field(
        default=None,
        min_length=1,
        description="Static access key. Default: the usual chain (environment, shared files, instance role).",
    )
    secret_access_key: SecretStr | None = Field(
        default=None, min_length=1, description="Secret of the access key."
    )
    session_token: SecretStr | None = Field(
        default=None, min_length=1, description="Session token, for a temporary access key."
    )
    addressing_style: Literal["auto", "path", "virtual"] = Field(
        default="auto",
        description="Whether the bucket stands in the URL's path or in its host name. `auto`: in the host "
        "name on AWS, in the path with an `endpoint_url`.",
    )
    ca_bundle: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities whose certificates to trust. Default: the public ones.",
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
        description="Most connections at once. Default: `storage.concurrency`, but at least 10.",
    )
    server_side_encryption: Literal["AES256", "aws:kms"] | None = Field(
        default=None,
        description="Encryption to ask for: `AES256` (SSE-S3) or `aws:kms` (SSE-KMS). Default: the bucket's.",
    )
    kms_key_id: str | None = Field(
        default=None,
        min_length=1,
        description="Id or ARN of the KMS key, with `aws:kms`. Default: the account's key for S3.",
    )
    storage_class: Annotated[str, AfterValidator(_check_storage_class)] | None = Field(
        default=None,
        min_length=1,
        description="Storage class of new objects, such as `STANDARD_IA`. Default: the bucket's.",
    )
    tags: dict[str, str] = Field(
        default_factory=dict,
        max_length=_MAX_TAGS,
        description="Tags of new objects, at most 10, for cost reports and lifecycle rules.",
    )
    request_checksum_calculation: Literal["when_supported", "when_required"] | None = Field(
        default=None,
        description="Whether to send a checksum with each object, beside the signature. Default: "
        "`when_supported` on AWS; with an `endpoint_url` `when_required`, for not every store knows them.",
    )
    response_checksum_validation: Literal["when_supported", "when_required"] = Field(
        default="when_required",
        description="Whether to ask for S3's checksum when reading. Every payload's SHA-256 is verified "
        "anyway.",
    )
    max_payload_size: Annotated[ByteSize, Field(gt=0)] = Field(
        default=ByteSize(DEFAULT_MAX_PAYLOAD_SIZE),
        description="Largest payload that is stored; what is stored already is read whatever its size.",
    )
    multipart_threshold: Annotated[ByteSize, Field(ge=5 * _MIB, le=5120 * _MIB)] = Field(
        default=ByteSize(16 * _MIB),
        description="Size from which a payload is written in parallel parts, 5 MiB to 5 GiB.",
    )
    part_size: Annotated[ByteSize, Field(ge=5 * _MIB, le=5120 * _MIB)] = Field(
        default=ByteSize(8 * _MIB),
        description="Size of the parts, and of the ranges in which larger payloads are read, 5 MiB to 5 GiB.",
    )

    @model_validator(mode="after")
    def _check_credentials(self) -> S3Settings:
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

    @model_validator(mode="after")
    def _check_encryption(self) -> S3Settings:
        if self.kms_key_id and self.server_side_encryption != "aws:kms":
            raise ValueError("kms_key_id takes effect with KMS only: set server_side_encryption = 'aws:kms'")
        return self
