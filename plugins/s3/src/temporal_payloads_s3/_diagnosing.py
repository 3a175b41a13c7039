"""What `temporal-payloads check` finds of a bucket: rights, clock, settings by which payloads are lost."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from temporal_payloads.plugin import COLLECTOR, READERS, WRITERS, Diagnosis

from temporal_payloads_s3._errors import hides_missing, status_of
from temporal_payloads_s3._lifecycle import look_at_lifecycle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from temporal_payloads.plugin import Finding
    from types_aiobotocore_s3.client import S3Client

_DENIED = {"AccessDenied", "AllAccessDisabled", "403"}
_FAILING = {
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_NOTHING_SET = {
    "NoSuchLifecycleConfiguration",
    "ObjectLockConfigurationNotFoundError",
    "NoSuchBucketPolicy",
    "ServerSideEncryptionConfigurationNotFoundError",
}
"""What S3 answers where nothing of the kind is configured."""


@dataclass
class BucketDiagnosis(Diagnosis):
    """Looks at one bucket.

    Args:
        client: Of the store.
        bucket: Its name.
        missing_key: The key of an object that never exists.
        put_arguments: What is asked for with each object.
        written: The keys of what was stored in it for this check.
        named: Whether it must be there: it has a fixed name, or that of a namespace which somebody named.
    """

    client: S3Client
    bucket: str
    missing_key: str
    put_arguments: Mapping[str, str]
    written: list[str]
    named: bool = True

    async def run(self) -> list[Finding]:
        """Return what is found."""
        if not await self._reads_and_clock():
            return self.findings
        await self._lists()
        await self._writes()
        await self._deletes()
        await self._settings()
        return self.findings

    # -- rights

    async def _reads_and_clock(self) -> bool:
        """Look at what the first answer tells; tell whether there is such a bucket."""
        asked = self.context.now()
        answer = await self._tried(
            lambda: self.client.get_object(Bucket=self.bucket, Key=self.missing_key, Range="bytes=0-0")
        )
        self.http_clock(_date_of(answer), asked=asked, answered=self.context.now())
        if isinstance(answer, ClientError) and _code(answer) == "NoSuchBucket":
            told = f"There is no bucket {self.bucket!r}: payloads that belong there cannot be stored"
            if self.named:
                self.found("problem", "bucket", told, f"Create it, or correct {self.place}")
            else:
                told = (
                    f"not looked at: there is no bucket {self.bucket!r}, and nobody has named the namespaces"
                )
                self.found("skipped", "bucket", f"{told} whose payloads are stored (--namespace)")
            return False
        has: bool | None = not isinstance(answer, ClientError) or _code(answer) == "NoSuchKey"
        why = _said(answer)
        if self.written:
            has = True  # for this check has read it back
        elif not has and isinstance(answer, ClientError) and hides_missing(answer):
            has, why = (
                None,
                "without s3:ListBucket S3 says the same of an object that is missing; try --write",
            )
        self.permission("s3:GetObject", has, READERS, why)
        return True

    async def _lists(self) -> None:
        answer = await self._tried(
            lambda: self.client.list_objects_v2(Bucket=self.bucket, Prefix="v0/", MaxKeys=1)
        )
        denied = isinstance(answer, ClientError)
        self.permission("s3:ListBucket", not denied, COLLECTOR, _said(answer))
        if denied and self.context.use != "collector":
            self.found(
                "ok",
                "missing objects",
                "without s3:ListBucket S3 answers 'access denied' where a payload is missing",
            )

    async def _writes(self) -> None:
        if not self.written:
            for permission in ("s3:PutObject", "s3:AbortMultipartUpload"):
                self.permission(permission, None, WRITERS, "it takes --write")
            return
        self.permission("s3:PutObject", True, WRITERS)  # what it was written with
        key = self.written[0]
        arguments: dict[str, Any] = dict(self.put_arguments)
        begun = await self._answer(
            lambda: self.client.create_multipart_upload(Bucket=self.bucket, Key=key, **arguments)
        )
        aborted = begun
        if not isinstance(begun, ClientError):
            upload = begun["UploadId"]
            aborted = await self._answer(
                lambda: self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
            )
            if isinstance(aborted, ClientError):
                self.found(
                    "warning",
                    "clean-up of uploads",
                    f"An upload that this check began is still in the bucket {self.bucket!r}: {key}, "
                    f"upload {upload}",
                    "Abort it with another role, or leave it to a lifecycle rule for incomplete uploads",
                )
        self.permission(
            "s3:AbortMultipartUpload",
            not isinstance(aborted, ClientError),
            WRITERS,
            _said(aborted),
        )

    async def _deletes(self) -> None:
        if not self.written:
            self.permission("s3:DeleteObject", None, COLLECTOR, "it takes --write")
            return
        left: list[str] = []
        permission, refused = "s3:DeleteObject", ""
        for key in self.written:
            head = await self._answer(lambda key=key: self.client.head_object(Bucket=self.bucket, Key=key))  # type: ignore[misc]  # mypy knows no default of a lambda
            version = {} if isinstance(head, ClientError) else _only(head, "VersionId")
            if version:
                permission = "s3:DeleteObjectVersion"
            answer = await self._answer(
                lambda key=key, version=version: self.client.delete_object(  # type: ignore[misc]  # likewise
                    Bucket=self.bucket, Key=key, **version
                )
            )
            if isinstance(answer, ClientError):
                left.append(key)
                refused = _said(answer)
        self.permission(permission, not left, COLLECTOR, refused)
        self.cleaned_up(left, f"the bucket {self.bucket!r}", "Delete it with another role, or leave it to gc")

    # -- settings of the bucket

    async def _settings(self) -> None:
        bucket = self.bucket
        rules = await self._setting(
            "lifecycle",
            "s3:GetLifecycleConfiguration",
            lambda: self.client.get_bucket_lifecycle_configuration(Bucket=bucket),
        )
        if rules is not None:
            self.findings += look_at_lifecycle(rules.get("Rules", []), self.place, self.context.retention)
        versioning = await self._setting(
            "versioning", "s3:GetBucketVersioning", lambda: self.client.get_bucket_versioning(Bucket=bucket)
        )
        if versioning is not None:
            status = versioning.get("Status") or "off"
            self.found("ok", "versioning", f"{status.lower()}{_OF_VERSIONING.get(status, '')}")
        lock = await self._setting(
            "object lock",
            "s3:GetBucketObjectLockConfiguration",
            lambda: self.client.get_object_lock_configuration(Bucket=bucket),
        )
        if lock is not None:
            self._object_lock(lock)
        await self._public_access()
        encryption = await self._setting(
            "encryption",
            "s3:GetEncryptionConfiguration",
            lambda: self.client.get_bucket_encryption(Bucket=bucket),
        )
        if encryption is not None:
            rules_of = encryption.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
            by_default = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules_of]
            named = ", ".join(rule["SSEAlgorithm"] for rule in by_default if "SSEAlgorithm" in rule)
            asked = self.put_arguments.get("ServerSideEncryption")
            told = f"the store encrypts objects ({asked or named})" if asked or named else ""
            self.found("ok", "encryption", told or "the store itself encrypts nothing by default")

    def _object_lock(self, lock: Mapping[str, Any]) -> None:
        retention = lock.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention", {})
        if not retention:
            self.found("ok", "object lock", "no object is locked by default")
            return
        period = f"{retention['Days']} days" if "Days" in retention else f"{retention.get('Years')} years"
        self.found(
            "warning",
            "object lock",
            f"New objects are locked for {period} ({retention.get('Mode', '').lower()}): until then "
            "neither gc nor anybody else deletes what is to be forgotten",
            "Remove the default retention, unless the law asks for it",
        )

    async def _public_access(self) -> None:
        answer = await self._setting(
            "public access",
            "s3:GetBucketPolicyStatus",
            lambda: self.client.get_bucket_policy_status(Bucket=self.bucket),
        )
        if answer is None:
            return
        if answer.get("PolicyStatus", {}).get("IsPublic"):
            self.found(
                "problem",
                "public access",
                f"The policy of the bucket {self.bucket!r} lets everybody in: payloads can be read, or "
                "written, by strangers",
                "Remove what the policy grants to everybody, and block public access to the bucket",
            )
        else:
            self.found("ok", "public access", "no policy opens the bucket to everybody")

    # -- asking

    async def _setting(
        self, check: str, permission: str, ask: Callable[[], Awaitable[Any]]
    ) -> Mapping[str, Any] | None:
        """Return a setting of the bucket, empty if it is not set; None, and that is told, if it is hidden."""
        answer = await self._answer(ask)
        if not isinstance(answer, ClientError):
            found: Mapping[str, Any] = answer
            return found
        if _code(answer) in _NOTHING_SET:
            return {}
        denied = _code(answer) in _DENIED
        why = f"the role lacks {permission}" if denied else f"this store does not tell ({_said(answer)})"
        self.found("skipped", check, f"not looked at: {why}")
        return None

    async def _tried(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Return what the store answers; raise what says that it fails, and nothing of a right."""
        answer = await self._answer(ask)
        if isinstance(answer, ClientError) and status_of(answer) in _FAILING:
            raise answer
        return answer

    async def _answer(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Return what the store answers: an error of its own too, as an object."""
        try:
            return await ask()
        except ClientError as error:
            return error

    def how_to_grant(self, permission: str) -> str:
        """Return how a role is given a right."""
        keys = "" if permission == "s3:ListBucket" else "/v0/*"
        return f"Allow {permission} on arn:aws:s3:::{self.bucket}{keys} for the role"


_OF_VERSIONING = {
    "Enabled": ": what is overwritten or deleted stays as an old version, until gc or a lifecycle rule "
    "removes it",
    "Suspended": ": old versions stay as they are",
}


def _only(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = answer.get(name)
    return {} if value in (None, "null") else {name: value}


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _said(answer: Any) -> str:
    if not isinstance(answer, ClientError):
        return ""
    message = (answer.response["Error"].get("Message") or "").rstrip(".")
    return f"HTTP {status_of(answer)} {_code(answer)}" + (f": {message[:200]}" if message else "")


def _date_of(answer: Any) -> str | None:
    response = answer.response if isinstance(answer, ClientError) else answer
    date: str | None = response["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    return date
