"""How to reach a bucket. It imports nothing: processes that time their own imports need it too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class S3Access:
    """How to reach a bucket."""

    endpoint_url: str
    access_key_id: str
    secret_access_key: str
    region: str
    bucket: str

    def options(self, **more: object) -> dict[str, Any]:
        """The same as a `[storage.drivers.s3]` table."""
        return {
            "bucket": self.bucket,
            "endpoint_url": self.endpoint_url,
            "region": self.region,
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
            **more,
        }
