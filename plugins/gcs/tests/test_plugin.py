"""The plugin as core finds it."""

import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import pytest
from temporal_payloads_gcs import _plugin
from temporal_payloads_gcs._settings import GCSSettings


def test_registering_the_plugin_loads_no_google_library() -> None:
    program = (
        "import sys; import temporal_payloads_gcs._plugin as p; p.temporal_payloads_driver();"
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'aiohttp', 'gcloud', 'jwt', 'cryptography'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_entry_point_leads_to_the_plugin() -> None:
    (entry_point,) = entry_points(group="temporal_payloads.drivers", name="gcs")
    assert entry_point.load() is _plugin
    plugin = _plugin.temporal_payloads_driver()
    assert (plugin.api_version, plugin.driver_type, plugin.driver_name) == (
        1,
        "gcp.gcsdriver",
        "gcp.gcsdriver",
    )
    assert plugin.expiry(GCSSettings(bucket="payloads")) is None
    assert plugin.destination == ("endpoint_url", "service_file")
    assert "GOOGLE_APPLICATION_CREDENTIALS" in plugin.ambient_credentials


HERE = {"bucket": "payloads", "endpoint_url": "https://storage-mine.p.googleapis.com"}


@pytest.mark.parametrize(
    "tuned",
    [{"connect_timeout": "1s", "read_timeout": "2s"}, {"service_file": __file__}, {"ca_bundle": __file__}],
)
def test_tuning_and_new_credentials_leave_the_store_what_it_was(tuned: dict[str, Any]) -> None:
    assert identity(HERE | tuned) == identity(HERE)


@pytest.mark.parametrize(
    "other", [{"bucket": "others"}, {"bucket": "payloads-{namespace}"}, {"endpoint_url": None}]
)
def test_another_bucket_or_endpoint_is_another_store(other: dict[str, Any]) -> None:
    assert identity(HERE | other) != identity(HERE)


def identity(settings: dict[str, Any]) -> object:
    plugin = _plugin.temporal_payloads_driver()
    assert plugin.identity
    return plugin.identity(GCSSettings(**settings))
