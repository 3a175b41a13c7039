"""Which storage account the settings name, and with what they log in."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

_DEFAULT_SUFFIX = "core.windows.net"
_AZURES_OWN = re.compile(
    r"https://[a-z0-9.-]+\.blob\.(core\.windows\.net|core\.usgovcloudapi\.net|core\.chinacloudapi\.cn|"
    r"storage\.azure\.net)(:443)?",
    re.ASCII | re.IGNORECASE,
)
"""URLs with hosts that nobody else can have, and that no two parsers of URLs read differently."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """A storage account, and what opens it: a key, a SAS, or with neither an identity of Entra ID."""

    url: str
    """The URL of its Blob service, without a slash at the end."""
    name: str
    key: str | None = field(default=None, repr=False)
    sas: str | None = field(default=None, repr=False)

    @property
    def is_of_azure(self) -> bool:
        """Whether the URL leads to Azure itself, and to nobody who has an interest in what logs in."""
        return bool(_AZURES_OWN.fullmatch(self.url))


def account_of_url(url: str, *, key: str | None = None, sas: str | None = None) -> Account:
    """Return the account that a URL leads to.

    Raises:
        ValueError: It is no such URL, or key or SAS can't be one; the text shows none of them.
    """
    url = url.rstrip("/")
    return Account(url=url, name=_account_name(url), key=_checked_key(key), sas=_checked_sas(sas))


def account_of_connection_string(text: str) -> Account:
    """Return the account that a connection string, as the Azure portal shows it, leads to.

    Raises:
        ValueError: It is no connection string with which one can log in; the text shows nothing of it.
    """
    pairs = [part.partition("=") for part in text.strip().strip(";").split(";")]
    if not all(name and separator for name, separator, _ in pairs):
        raise ValueError("is no connection string: write Name=value pairs with ; between them")
    found = {name.strip().lower(): value.strip() for name, _, value in pairs}
    name, key, sas = (found.get(each) for each in ("accountname", "accountkey", "sharedaccesssignature"))
    if (key is None) == (sas is None):
        raise ValueError("must hold AccountKey, or SharedAccessSignature, and not both")
    url = found.get("blobendpoint")
    if url is None:
        if name is None:
            raise ValueError("names no account: it needs BlobEndpoint, or AccountName")
        scheme, suffix = (
            found.get("defaultendpointsprotocol", "https"),
            found.get("endpointsuffix", _DEFAULT_SUFFIX),
        )
        url = f"{scheme}://{name}.blob.{suffix}"
    url = url.rstrip("/")
    named_by_url = _account_name(url)
    # A host name of the customer's own says nothing about the account.
    return Account(url=url, name=name or named_by_url, key=_checked_key(key), sas=_checked_sas(sas))


def _account_name(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"can't be read: {_EXAMPLE}") from None
    if parts.username or parts.password:
        raise ValueError("must hold no user name or password: set account_key, sas_token or client_id")
    if parts.query or parts.fragment:
        raise ValueError("must end before the ?: what follows it, set as sas_token")
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError(f"is no URL of a Blob service: {_EXAMPLE}")
    path = parts.path.strip("/")
    if "/" in path or (path and ".blob." in host):
        raise ValueError(f"must end with the account: {_EXAMPLE}; the container is a setting of its own")
    if not path and host.replace(".", "").isdigit():
        raise ValueError("names no account: with an IP address, it stands in the path")
    return path or host.partition(".")[0]


_EXAMPLE = (
    "write https://ACCOUNT.blob.core.windows.net (or http://127.0.0.1:10000/devstoreaccount1 for an emulator)"
)


def _checked_key(key: str | None) -> str | None:
    try:
        if key is not None and not base64.b64decode(key, validate=True):
            raise binascii.Error
    except ValueError:  # binascii.Error is one, and so is what is not ASCII
        raise ValueError("the account key is not base64: copy it again") from None
    return key


def _checked_sas(sas: str | None) -> str | None:
    if sas is None:
        return None
    sas = sas.removeprefix("?")
    if "sig" not in parse_qs(sas):
        raise ValueError("the SAS has no signature (sig=...): copy it again, from sv= to the end")
    return sas
