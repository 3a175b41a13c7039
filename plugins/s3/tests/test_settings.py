"""What the settings accept, and what they say of what they don't."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from temporal_payloads_s3._settings import S3Settings


def problem(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        S3Settings(**{"bucket": "payloads", **settings})
    (error,) = caught.value.errors()
    return str(error["msg"])


def test_a_bucket_is_all_that_is_needed() -> None:
    settings = S3Settings(bucket="payloads")
    assert settings.region is None
    assert settings.endpoint_url is None
    assert settings.max_payload_size == 50 * 1024 * 1024


@pytest.mark.parametrize(
    "bucket",
    [
        "payloads",
        "Old_Style.Bucket",
        "payloads-{namespace}",
        "{namespace}",
        "arn:aws:s3:eu-west-1:123456789012:accesspoint/payloads",
    ],
)
def test_a_bucket_may_be_a_name_a_template_or_an_access_point(bucket: str) -> None:
    assert S3Settings(bucket=bucket).bucket == bucket


@pytest.mark.parametrize(
    "bucket", ["a-{workflow}", "a-{namespace!r}", "a-{namespace:>9}", "a-{}", "a-{", "a-{0}"]
)
def test_namespace_is_the_only_placeholder_of_a_bucket(bucket: str) -> None:
    assert "only placeholder" in problem(bucket=bucket)


@pytest.mark.parametrize("bucket", ["", "a", "../etc", "a..b", "a/b", "-ab", "a b", "ab?", "ab#", "bücher"])
def test_what_could_change_the_url_is_no_bucket(bucket: str) -> None:
    assert "not a bucket's name" in problem(bucket=bucket)


@pytest.mark.parametrize("url", ["127.0.0.1:9000", "s3.example.com", "ftp://host", "http://"])
def test_an_endpoint_is_a_url(url: str) -> None:
    assert "must be a URL" in problem(endpoint_url=url)


def test_an_endpoint_holds_no_password_and_the_error_does_not_show_it() -> None:
    with pytest.raises(ValidationError, match="set access_key_id") as caught:
        S3Settings(bucket="payloads", endpoint_url="http://user:hunter2@host:9000")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"access_key_id": "AK"}, "set both"),
        ({"secret_access_key": "SK"}, "set both"),
        ({"session_token": "T"}, "set access_key_id and secret_access_key too"),
        ({"profile": "p", "access_key_id": "AK", "secret_access_key": "SK"}, "remove one of them"),
        ({"kms_key_id": "k"}, "set server_side_encryption = 'aws:kms'"),
        ({"kms_key_id": "k", "server_side_encryption": "AES256"}, "set server_side_encryption = 'aws:kms'"),
        ({"storage_class": "GLACIER"}, "use GLACIER_IR"),
        ({"tags": {str(number): "" for number in range(11)}}, "at most 10 items"),
        ({"part_size": "1MiB"}, "greater than or equal to 5242880"),
        ({"max_payload_size": 0}, "greater than 0"),
        ({"connect_timeout": 0}, "must be longer than 0 seconds"),
        ({"max_attempts": 0}, "greater than or equal to 1"),
        ({"pool_size": 0}, "greater than or equal to 1"),
        ({"addressing_style": "dns"}, "'auto', 'path' or 'virtual'"),
        ({"ca_bundle": "/nonexistent/ca.pem"}, "does not point to a file"),
        ({"buckets": "x"}, "Extra inputs"),
    ],
)
def test_what_is_wrong_says_what_to_do(settings: dict[str, Any], advice: str) -> None:
    assert advice in problem(**settings)


def test_sizes_and_durations_are_read_as_people_write_them(tmp_path: Path) -> None:
    ca_bundle = tmp_path / "ca.pem"
    ca_bundle.touch()
    settings = S3Settings.model_validate(
        {
            "bucket": "payloads",
            "read_timeout": "1m",
            "connect_timeout": 2.5,
            "part_size": "5MiB",
            "max_payload_size": "100MB",
            "ca_bundle": str(ca_bundle),
        }
    )
    assert settings.read_timeout == timedelta(minutes=1)
    assert settings.connect_timeout == timedelta(seconds=2.5)
    assert settings.part_size == 5 * 1024 * 1024
    assert settings.max_payload_size == 100_000_000
    assert settings.ca_bundle == ca_bundle


def test_no_secret_is_shown() -> None:
    settings = S3Settings.model_validate(
        {"bucket": "b-1", "access_key_id": "AK", "secret_access_key": "hunter2", "session_token": "hunter3"}
    )
    assert "hunter" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_every_setting_is_described_in_the_model_and_the_readme() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    for name, field in S3Settings.model_fields.items():
        assert field.description
        assert f"`{name}`" in readme
