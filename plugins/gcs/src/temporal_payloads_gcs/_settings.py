"""The settings of a `[storage.drivers.NAME]` table of type `gcs`."""

from __future__ import annotations

import re
import string
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, FilePath, model_validator
from temporal_payloads.plugin import ContentAddressedSettings, PositiveDuration

GOOGLE = "https://storage.googleapis.com"
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", re.ASCII)
_GOOGLES_OWN = re.compile(r"https://[a-z0-9.-]+\.googleapis\.com(:443)?", re.ASCII)
"""Endpoints that nobody else can have, and that no two parsers of URLs read differently."""
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def is_bucket_name(name: str) -> bool:
    """Tell whether this can be a bucket's name. One that can't must never become part of a URL."""
    return bool(_BUCKET_NAME.fullmatch(name)) and ".." not in name


def _check_bucket(bucket: str) -> str:
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
        raise ValueError(
            "is not a bucket's name: lower-case letters, digits, '.', '-' and '_' only, at least 3 of them"
        )
    return bucket


def _check_endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError("must hold no user name or password; set service_file instead")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(
            "must be a URL such as 'https://storage-mine.p.googleapis.com' or 'http://127.0.0.1:4443'"
        )
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must end with the host or the port: the paths are those of the JSON API")
    return url.rstrip("/")


class GCSSettings(ContentAddressedSettings):
    """Where payloads are kept in Google Cloud Storage, and how they get there."""

    bucket: Annotated[str, AfterValidator(_check_bucket)] = Field(
        description="Bucket, which must exist. `{namespace}` in it stands for the Temporal namespace: "
        "`payloads-{namespace}`.",
    )
    service_file: FilePath | None = Field(
        default=None,
        description="Credentials file: a service account's key, or a configuration of workload identity "
        "federation. Default: application default credentials (`GOOGLE_APPLICATION_CREDENTIALS`, gcloud's "
        "own file, the metadata server).",
    )
    endpoint_url: Annotated[str, AfterValidator(_check_endpoint)] | None = Field(
        default=None,
        description="URL of a private endpoint or an emulator. Default: Google's public one.",
    )
    anonymous: bool = Field(
        default=False,
        description="Send no credentials. Only for an emulator, with an `endpoint_url` that is not Google's.",
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

    @model_validator(mode="after")
    def _check_credentials(self) -> GCSSettings:
        url = urlsplit(self.endpoint_url or GOOGLE)
        if self.anonymous and self.service_file:
            raise ValueError("anonymous and service_file contradict each other: remove one of them")
        if self.anonymous and _is_google(url.hostname or ""):
            raise ValueError(
                "anonymous is for emulators: set endpoint_url to one, or remove anonymous to use credentials"
            )
        if not self.anonymous and url.scheme == "http" and url.hostname not in _LOOPBACK:
            raise ValueError(
                "endpoint_url must be https, for whoever listens in could use the token that goes there; "
                "for an emulator, which wants none, set anonymous = true"
            )
        return self

    @property
    def goes_to_google(self) -> bool:
        """Whether requests go to Google itself, and to nobody who has an interest in their tokens."""
        return self.endpoint_url is None or bool(_GOOGLES_OWN.fullmatch(self.endpoint_url))


def _is_google(host: str) -> bool:
    host = host.rstrip(".").lower()
    return any(host == domain or host.endswith(f".{domain}") for domain in ("googleapis.com", "google.com"))
