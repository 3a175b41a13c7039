"""Turns what KMS answers, or what fails on the way to it, into words that say what to mend."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProxyConnectionError,
)
from temporal_payloads.plugin import KeyUnavailableError, PayloadIntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUOTED = 300
"""Characters of KMS' own words that an error quotes."""
_OPERATIONS = {"GenerateDataKey": "kms:GenerateDataKey", "Decrypt": "kms:Decrypt"}
_ADVICE = {
    "AccessDeniedException": "grant {permission} on that key to the role or user of this process, in its "
    "policy or in the key's",
    "NotFoundException": "there is no such key in region {region}: correct the key's URI, or {place}.region",
    "DisabledException": "the key is disabled: enable it",
    "KMSInvalidStateException": "the key cannot be used now; if it is to be deleted, cancel that",
    "InvalidKeyUsageException": "the key must be one for ENCRYPT_DECRYPT",
    "IncorrectKeyException": "that key did not wrap it. If an alias names another key now, put the earlier "
    "key's ARN into {place}.earlier_keys",
    "ThrottlingException": "KMS asks to slow down: raise the quota, or duration in the codec's table",
    "LimitExceededException": "KMS asks to slow down: raise the quota, or duration in the codec's table",
    "KeyUnavailableException": "KMS says that it passes: it is tried again",
    "DependencyTimeoutException": "KMS says that it passes: it is tried again",
    "KMSInternalException": "KMS says that it passes: it is tried again",
    "UnrecognizedClientException": "the access key is not known there: correct the credentials, or "
    "{place}.region",
    "InvalidClientTokenId": "the access key is not known there: correct the credentials, or {place}.region",
    "InvalidSignatureException": "correct the secret access key, or this machine's clock",
    "IncompleteSignature": "correct the secret access key, or this machine's clock",
    "ExpiredTokenException": "the session token has expired: renew the credentials",
}
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)


def code_of(error: ClientError) -> str:
    """Return KMS' name of what went wrong."""
    return error.response.get("Error", {}).get("Code", "")


@dataclass(frozen=True)
class KmsErrors:
    """Turns what botocore and aiohttp raise into errors that say where to look."""

    place: str
    """Where the provider is configured."""

    @contextmanager
    def told(self, operation: str, key_id: str, region: str) -> Iterator[None]:
        """Raise what goes wrong inside as an error of this project."""
        what = f"KMS {operation} with the key {key_id!r} (region {region})"
        try:
            yield
        except ClientError as error:
            code = code_of(error)
            if code == "InvalidCiphertextException":
                raise PayloadIntegrityError(
                    f"{what} failed: KMS says that this is no data key that one of its keys has wrapped, or "
                    "that its encryption context is another one. The payload's encryption-dek was changed, "
                    "or the key's URI lacks its context_NAME parameters"
                ) from error
            message = str(error.response.get("Error", {}).get("Message", ""))[:_QUOTED].rstrip(".")
            answer = ": ".join(filter(None, (code, message)))
            advice = _ADVICE.get(code, "see KMS' own words").format(
                permission=_OPERATIONS[operation], region=region, place=self.place
            )
            raise KeyUnavailableError(f"{what} failed: {answer}; {advice}") from error
        except _NO_CREDENTIALS as error:
            raise KeyUnavailableError(
                f"{what} failed: {error}; give this process AWS credentials, or set "
                f"{self.place}.access_key_id or "
                f"{self.place}.profile"
            ) from error
        except NoRegionError as error:
            raise KeyUnavailableError(
                f"{what} failed: {error} Set {self.place}.region, or name the region in the key's URI"
            ) from error
        except ProxyConnectionError as error:
            # Not as its cause: what botocore wraps in it has the proxy's URL, with the password.
            status = getattr(error.kwargs.get("error"), "status", None)
            why = f"HTTP {status} from the proxy" if status else "the proxy cannot be reached"
            raise KeyUnavailableError(
                f"{what} failed: {why}; look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
            ) from None
        except (BotoCoreError, aiohttp.ClientError, OSError) as error:
            raise KeyUnavailableError(
                f"{what} failed: {_reason(error)}; see that KMS can be reached from here, at "
                f"{self.place}.endpoint_url if that is set"
            ) from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:_QUOTED]}"
