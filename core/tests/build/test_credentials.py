"""A file that nobody named does not decide where the credentials of the environment are sent."""

import os

import pytest
from temporal_payloads import ConfigurationError, PayloadSettings, build_data_converter

S3 = """
[storage.drivers.s3]
bucket = "payloads"
endpoint_url = "https://elsewhere.example"
"""
S3_WITH_KEY = f"{S3}access_key_id = 'key'\nsecret_access_key = 'secret'\n"
KMS = """
codecs = ["encryption"]
[codec.encryption]
active = "awskms:///alias/orders"
[key_providers.awskms]
endpoint_url = "https://elsewhere.example"
region = "eu-central-1"
"""
REDIS = "[storage.drivers.redis]\n"


def problems_of(settings=None):
    with pytest.raises(ConfigurationError) as caught:
        build_data_converter(settings)
    return caught.value.problems


@pytest.mark.parametrize(
    "variable", ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_DEFAULT_PROFILE"]
)
def test_credentials_that_aws_tools_find_are_not_sent_where_that_file_says(
    write_settings, monkeypatch, variable
):
    file = write_settings(S3)
    monkeypatch.setenv(variable, "value-of-it")
    [problem] = problems_of()
    assert problem.place == "storage.drivers.s3.endpoint_url"
    assert problem.origin == "temporal-payloads.toml"
    assert (
        f"decides where the credentials of {variable} are sent, but nobody named this file" in problem.message
    )
    assert "Set TEMPORAL_PAYLOADS_STORAGE__DRIVERS__S3__ENDPOINT_URL instead" in problem.message
    assert f"TEMPORAL_PAYLOADS_CONFIG_FILE={file}" in problem.message
    assert "value-of-it" not in problem.message


def test_credentials_in_our_variables_are_not_sent_there_either(write_settings, set_variables):
    write_settings(S3)
    set_variables(
        STORAGE__DRIVERS__S3__ACCESS_KEY_ID="key", STORAGE__DRIVERS__S3__SECRET_ACCESS_KEY="hunter2"
    )
    [problem] = problems_of()
    assert "TEMPORAL_PAYLOADS_STORAGE__DRIVERS__S3__SECRET_ACCESS_KEY are sent" in problem.message
    assert "hunter2" not in problem.message


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ("url = 'redis://elsewhere.example/0'", "url"),
        ("host = 'elsewhere.example'", "host"),
        ("cluster = ['elsewhere.example:6379']", "cluster"),
        ("sentinel = {hosts = ['elsewhere.example'], service_name = 'main'}", "sentinel.hosts"),
    ],
)
def test_nor_to_a_redis_that_the_file_names_in_any_of_its_ways(write_settings, set_variables, table, place):
    write_settings(REDIS + table)
    build_data_converter()
    set_variables(STORAGE__DRIVERS__REDIS__PASSWORD="hunter2")
    [problem] = problems_of()
    assert problem.place == f"storage.drivers.redis.{place}"
    assert "TEMPORAL_PAYLOADS_STORAGE__DRIVERS__REDIS__PASSWORD" in problem.message


def test_a_secret_in_an_inner_table_counts_too(write_settings, set_variables):
    write_settings(f"{REDIS}sentinel = {{hosts = ['elsewhere.example'], service_name = 'main'}}")
    set_variables(STORAGE__DRIVERS__REDIS__SENTINEL__PASSWORD="hunter2")
    [problem] = problems_of()
    assert problem.place == "storage.drivers.redis.sentinel.hosts"
    assert "SENTINEL__PASSWORD" in problem.message


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_PROFILE": "prod"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost/"},
        {
            "TEMPORAL_PAYLOADS_KEY_PROVIDERS__AWSKMS__SECRET_ACCESS_KEY": "hunter2",
            "TEMPORAL_PAYLOADS_KEY_PROVIDERS__AWSKMS__ACCESS_KEY_ID": "key",
        },
    ],
)
def test_nor_to_a_key_provider_that_the_file_names(write_settings, monkeypatch, variables):
    write_settings(KMS)
    build_data_converter()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    [problem] = problems_of()
    assert problem.place == "key_providers.awskms.endpoint_url"
    assert f"decides where the credentials of {next(iter(variables))} are sent" in problem.message
    assert "Set TEMPORAL_PAYLOADS_KEY_PROVIDERS__AWSKMS__ENDPOINT_URL instead" in problem.message
    assert "hunter2" not in problem.message


def test_a_key_provider_is_no_other_destination_than_a_driver(write_settings, set_variables, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "prod")
    file = write_settings(KMS)
    build_data_converter(PayloadSettings.load(file))
    set_variables(KEY_PROVIDERS__AWSKMS__ENDPOINT_URL="http://127.0.0.1:5000")
    build_data_converter()


def test_it_stands_in_the_list_of_all_problems(write_settings, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "prod")
    write_settings(f"codecs = ['nothing']\n{S3}regoin = 'x'")
    assert {problem.place for problem in problems_of()} == {
        "codecs[0]",
        "storage.drivers.s3.endpoint_url",
        "storage.drivers.s3.regoin",
    }


def test_a_file_that_was_named_is_trusted(write_settings, set_variables, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "prod")
    file = write_settings(S3)
    build_data_converter(PayloadSettings.load(file))
    set_variables(CONFIG_FILE=file.name)
    build_data_converter()


def test_a_variable_may_say_where_credentials_go(write_settings, set_variables, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "prod")
    write_settings(S3)
    set_variables(STORAGE__DRIVERS__S3__ENDPOINT_URL="http://127.0.0.1:9000")
    build_data_converter()


def test_a_file_may_say_where_credentials_go_that_it_holds_itself(write_settings, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "prod")
    write_settings(S3_WITH_KEY)
    build_data_converter()


def test_without_credentials_in_the_environment_there_is_nothing_to_protect(write_settings):
    write_settings(S3)
    build_data_converter()


def test_settings_made_in_code_are_trusted(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "prod")
    table = {"bucket": "payloads", "endpoint_url": "https://elsewhere.example"}
    build_data_converter(PayloadSettings(storage={"drivers": {"s3": table}}))


# -- credentials that client libraries find where no variable tells

GCS = """
[storage.drivers.gcs]
bucket = "payloads"
"""
AZURE = """
[storage.drivers.azure_blob]
container = "payloads"
"""
DESTINATIONS = {
    "gcs": ("storage.drivers.gcs.endpoint_url", GCS + "endpoint_url = {!r}"),
    "azure_blob": ("storage.drivers.azure_blob.account_url", AZURE + "account_url = {!r}"),
}
ELSEWHERE = "https://elsewhere.example"


@pytest.fixture
def no_cloud_variables(monkeypatch):
    """Of Google's and Azure's variables none is set; what is in home directories no test sees."""
    for name in os.environ:
        if name.startswith(("GOOGLE_", "CLOUDSDK_", "AZURE_", "IDENTITY_", "MSI_")):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("no_cloud_variables")
@pytest.mark.parametrize(
    ("driver", "url"),
    [
        ("gcs", ELSEWHERE),
        ("gcs", "http://127.0.0.1:4443"),
        ("gcs", "https://googleapis.com.elsewhere.example"),
        ("gcs", "https://elsewhere.example\\.googleapis.com"),
        ("azure_blob", ELSEWHERE),
        ("azure_blob", "https://blob.core.windows.net.elsewhere.example"),
        ("azure_blob", "https://elsewhere.example/.blob.core.windows.net"),
    ],
)
def test_credentials_that_no_variable_tells_of_are_not_sent_where_that_file_says(write_settings, driver, url):
    place, table = DESTINATIONS[driver]
    file = write_settings(table.replace("{!r}", f"'{url}'"))
    [problem] = problems_of()
    assert problem.place == place
    assert problem.origin == "temporal-payloads.toml"
    assert (
        "decides where credentials are sent that stand in another file or come from a metadata server, but "
        "nobody named this file"
    ) in problem.message
    assert f"TEMPORAL_PAYLOADS_CONFIG_FILE={file}" in problem.message
    build_data_converter(PayloadSettings.load(file))


@pytest.mark.usefixtures("no_cloud_variables")
@pytest.mark.parametrize(
    "table",
    [
        GCS,
        f"{GCS}endpoint_url = 'https://storage-mine.p.googleapis.com'",
        f"{GCS}endpoint_url = 'http://127.0.0.1:4443'\nanonymous = true",
        f"{AZURE}account_url = 'https://orders.blob.core.windows.net'",
        f"{AZURE}account_url = 'https://orders.z01.blob.storage.azure.net/'",
        f"{AZURE}account_url = 'http://127.0.0.1:10000/devstoreaccount1'\naccount_key = 'a2V5'",
        f"{AZURE}account_url = 'https://elsewhere.example'\nsas_token = 'sv=1&sig=2'",
        f"{AZURE}connection_string = 'BlobEndpoint=https://elsewhere.example;AccountKey=a2V5'",
    ],
)
def test_they_may_go_to_the_provider_itself_and_a_login_of_the_file_to_anybody(write_settings, table):
    write_settings(table)
    build_data_converter()


@pytest.mark.usefixtures("no_cloud_variables")
@pytest.mark.parametrize(("driver", "setting"), [("gcs", "endpoint_url"), ("azure_blob", "account_url")])
def test_a_variable_may_say_where_they_go(write_settings, set_variables, driver, setting):
    write_settings(DESTINATIONS[driver][1].format(ELSEWHERE))
    set_variables(**{f"STORAGE__DRIVERS__{driver}__{setting}".upper(): "https://orders.example"})
    build_data_converter()


@pytest.mark.usefixtures("no_cloud_variables")
def test_that_file_names_no_file_of_credentials(write_settings, set_variables):
    # Such a file can tell the client to read any other file or variable, and to send it anywhere.
    write_settings("{}", "credentials.json")
    file = write_settings(f"{GCS}service_file = 'credentials.json'")
    [problem] = problems_of()
    assert problem.place == "storage.drivers.gcs.service_file"
    assert "Set TEMPORAL_PAYLOADS_STORAGE__DRIVERS__GCS__SERVICE_FILE instead" in problem.message
    build_data_converter(PayloadSettings.load(file))
    set_variables(STORAGE__DRIVERS__GCS__SERVICE_FILE="credentials.json")
    build_data_converter()


@pytest.mark.usefixtures("no_cloud_variables")
def test_credentials_of_a_file_that_a_variable_names_are_not_sent_where_that_file_says(
    write_settings, set_variables
):
    write_settings("{}", "credentials.json")
    write_settings(DESTINATIONS["gcs"][1].format(ELSEWHERE))
    set_variables(STORAGE__DRIVERS__GCS__SERVICE_FILE="credentials.json")
    [problem] = problems_of()
    assert problem.place == "storage.drivers.gcs.endpoint_url"
