"""From settings to an open driver. Imported when the driver is opened, for it loads the AWS libraries."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import aioboto3
import aiobotocore
from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from botocore.exceptions import BotoCoreError, InvalidRegionError, ProfileNotFound
from temporal_payloads.plugin import StorageMisconfiguredError

from temporal_payloads_s3._client import ConditionalS3Client
from temporal_payloads_s3._driver import OffLoopS3StorageDriver
from temporal_payloads_s3._endpoints import remember_endpoints
from temporal_payloads_s3._once import OnFirstUse, SendingOnce

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from pydantic import SecretStr
    from temporal_payloads.plugin import DriverContext
    from types_aiobotocore_s3.client import S3Client

    from temporal_payloads_s3._settings import S3Settings

_MIN_POOL_SIZE = 10
"""botocore's default: one large payload alone goes in parallel parts."""
_PARALLEL_PARTS = 8


@asynccontextmanager
async def open_driver(settings: S3Settings, context: DriverContext) -> AsyncIterator[OffLoopS3StorageDriver]:
    """Open a client and yield the driver; see `temporal_payloads.plugin.DriverPlugin.open`.

    Raises:
        StorageMisconfiguredError: There is no such AWS profile, or the AWS libraries refuse a setting.
    """
    async with AsyncExitStack() as stack:
        try:
            session = _new_session(settings)
            aioboto3_client = await stack.enter_async_context(_new_client(session, settings, context))
        except ProfileNotFound as error:
            raise StorageMisconfiguredError(
                f"{error}; correct {context.place}.profile or the variable AWS_PROFILE, or add the "
                "profile to the shared AWS configuration files of this machine",
                store_asked=False,
            ) from error
        except InvalidRegionError as error:
            raise StorageMisconfiguredError(
                f"{error} Correct {context.place}.region; if that is not set, the region comes from the "
                "profile or from AWS_DEFAULT_REGION",
                store_asked=False,
            ) from error
        except (BotoCoreError, ValueError) as error:
            raise StorageMisconfiguredError(
                f"No S3 client from {context.place}: {error}", store_asked=False
            ) from error
        remember_endpoints(aioboto3_client)
        client = ConditionalS3Client(
            aioboto3_client,
            put_arguments=_put_arguments(settings),
            multipart_threshold=settings.multipart_threshold,
            part_size=settings.part_size,
            parallel_parts=_PARALLEL_PARTS,
            place=context.place,
            largest_read=context.largest_read,
        )
        once = OnFirstUse(partial(_new_client, session, settings, context, once=True), stack)
        yield OffLoopS3StorageDriver(client, once, settings, context)


def _new_session(settings: S3Settings) -> aioboto3.Session:
    return aioboto3.Session(
        profile_name=settings.profile,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=_reveal(settings.secret_access_key),
        aws_session_token=_reveal(settings.session_token),
    )


def _new_client(
    session: aioboto3.Session, settings: S3Settings, context: DriverContext, *, once: bool = False
) -> AbstractAsyncContextManager[S3Client]:
    """Make a client, not open yet; `once` for one that sends no request again."""
    endpoint_url = settings.endpoint_url or ""
    config = AioConfig(
        connect_timeout=settings.connect_timeout.total_seconds(),
        read_timeout=settings.read_timeout.total_seconds(),
        retries={"mode": "standard", "total_max_attempts": 1 if once else settings.max_attempts},
        http_session_cls=SendingOnce if once else AIOHTTPSession,
        max_pool_connections=settings.pool_size or max(context.concurrency, _MIN_POOL_SIZE),
        s3={
            "addressing_style": settings.addressing_style,
            # Over TLS a signed body protects from nothing more, and is hashed on the event loop.
            "payload_signing_enabled": endpoint_url.startswith("http://"),
        },
        request_checksum_calculation=settings.request_checksum_calculation
        or ("when_required" if endpoint_url else "when_supported"),
        response_checksum_validation=settings.response_checksum_validation,
        # botocore's own is put together anew for each request, twice.
        user_agent=f"temporal-payloads-s3 aiobotocore/{aiobotocore.__version__}",
    )
    client: AbstractAsyncContextManager[S3Client] = session.client(
        "s3",
        region_name=settings.region,
        endpoint_url=settings.endpoint_url,
        verify=str(settings.ca_bundle) if settings.ca_bundle else None,
        config=config,
    )
    return client


def _put_arguments(settings: S3Settings) -> dict[str, str]:
    arguments = {
        "ServerSideEncryption": settings.server_side_encryption,
        "SSEKMSKeyId": settings.kms_key_id,
        "StorageClass": settings.storage_class,
        "Tagging": urlencode(settings.tags),
    }
    return {name: value for name, value in arguments.items() if value}


def _reveal(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
