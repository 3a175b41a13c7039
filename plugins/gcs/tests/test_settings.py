"""What the settings accept, and what they say of what they don't."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from temporal_payloads_gcs import open_gcs_client
from temporal_payloads_gcs._settings import GCSSettings


def problem(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        GCSSettings(**{"bucket": "payloads", **settings})
    (error,) = caught.value.errors()
    return str(error["msg"])


def test_a_bucket_is_all_that_is_needed() -> None:
    settings = GCSSettings(bucket="payloads")
    assert settings.endpoint_url is None
    assert settings.service_file is None
    assert not settings.anonymous
    assert settings.max_payload_size == 50 * 1024 * 1024
    assert (settings.connect_timeout, settings.read_timeout) == (timedelta(seconds=5), timedelta(seconds=20))


@pytest.mark.parametrize("bucket", ["payloads", "old_style.bucket", "payloads-{namespace}", "{namespace}"])
def test_a_bucket_may_be_a_name_or_a_template(bucket: str) -> None:
    assert GCSSettings(bucket=bucket).bucket == bucket


@pytest.mark.parametrize(
    "bucket", ["a-{workflow}", "a-{namespace!r}", "a-{namespace:>9}", "a-{}", "a-{", "a-{0}"]
)
def test_namespace_is_the_only_placeholder_of_a_bucket(bucket: str) -> None:
    assert "only placeholder" in problem(bucket=bucket)


@pytest.mark.parametrize(
    "bucket", ["", "a", "../etc", "a..b", "a/b", "-ab", "a b", "ab?", "ab#", "bücher", "Payloads"]
)
def test_what_could_change_the_url_is_no_bucket(bucket: str) -> None:
    assert "not a bucket's name" in problem(bucket=bucket)


@pytest.mark.parametrize("url", ["127.0.0.1:4443", "storage.example.com", "ftp://host", "http://"])
def test_an_endpoint_is_a_url(url: str) -> None:
    assert "must be a URL" in problem(endpoint_url=url)


@pytest.mark.parametrize("url", ["https://host/storage/v1", "https://host?a=b", "https://host#a"])
def test_an_endpoint_ends_with_the_host_or_the_port(url: str) -> None:
    assert "must end with the host" in problem(endpoint_url=url)


def test_a_slash_at_its_end_does_not_count() -> None:
    settings = GCSSettings(bucket="payloads", endpoint_url="https://host:4443/")
    assert settings.endpoint_url == "https://host:4443"


def test_an_endpoint_holds_no_password_and_the_error_does_not_show_it() -> None:
    with pytest.raises(ValidationError, match="set service_file") as caught:
        GCSSettings(bucket="payloads", endpoint_url="https://user:hunter2@host:4443")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        None,
        "https://storage.googleapis.com",
        "https://STORAGE.GOOGLEAPIS.COM.",
        "https://storage-mine.p.googleapis.com",
        "https://storage.cloud.google.com",
    ],
)
def test_nobody_is_anonymous_at_google(url: str | None) -> None:
    assert "anonymous is for emulators" in problem(endpoint_url=url, anonymous=True)


@pytest.mark.parametrize("url", ["http://127.0.0.1:4443", "https://gcs.internal", "http://gcs.internal:4443"])
def test_an_emulator_may_be_anonymous(url: str) -> None:
    assert GCSSettings(bucket="payloads", endpoint_url=url, anonymous=True).anonymous


def test_a_token_goes_over_no_open_line_but_this_machines_own() -> None:
    assert "must be https" in problem(endpoint_url="http://gcs.internal:4443")
    GCSSettings(bucket="payloads", endpoint_url="http://127.0.0.1:4443")
    GCSSettings(bucket="payloads", endpoint_url="http://[::1]:4443")


def test_credentials_and_none_contradict_each_other(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("{}")
    told = problem(
        endpoint_url="http://127.0.0.1:4443", anonymous=True, service_file=str(tmp_path / "key.json")
    )
    assert "contradict each other" in told


@pytest.mark.parametrize("setting", ["service_file", "ca_bundle"])
def test_a_file_that_is_not_there_is_told_at_once(setting: str) -> None:
    assert "does not point to a file" in problem(**{setting: "/nonexistent/file"})


@pytest.mark.parametrize("setting", ["connect_timeout", "read_timeout"])
def test_a_timeout_is_longer_than_nothing(setting: str) -> None:
    assert "longer than 0 seconds" in problem(**{setting: "0s"})


def test_an_unknown_setting_is_an_error() -> None:
    assert "Extra inputs" in problem(project="mine")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"endpoint_url": "http://gcs.example.com"}, "endpoint_url must be https"),
        ({"endpoint_url": "https://gcs.example.com/storage"}, "must end with the host or the port"),
        ({"anonymous": True}, "anonymous is for emulators"),
        ({"endpoint_url": "http://127.0.0.1:1", "anonymous": True, "service_file": __file__}, "contradict"),
        ({"read_timeout": timedelta(0)}, "must be longer than 0 seconds"),
    ],
)
def test_a_client_that_is_opened_by_hand_is_held_to_the_same(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        open_gcs_client(**arguments)
