"""What the settings take, and what they say of what they don't."""

import pytest
from pydantic import ValidationError
from temporal_payloads_azure_blob._settings import AzureBlobSettings

SECRET = "czNjcjN0"  # base64 of s3cr3t
URL = "https://orders.blob.core.windows.net"
SAS = f"sv=2024-11-04&sp=rcw&sig={SECRET}"
CONNECTION_STRING = (
    f"DefaultEndpointsProtocol=https;AccountName=orders;AccountKey={SECRET};EndpointSuffix=core.windows.net"
)


def settings(**given):
    return AzureBlobSettings(**{"container": "payloads", **given})


def problem(**given):
    with pytest.raises(ValidationError) as caught:
        settings(**given)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_an_account_url_alone_is_enough():
    account = settings(account_url=URL + "/").account
    assert (account.url, account.name, account.key, account.sas) == (URL, "orders", None, None)


def test_an_emulator_has_the_account_in_the_path():
    account = settings(account_url="http://127.0.0.1:10000/devstoreaccount1", account_key=SECRET).account
    assert (account.name, account.key) == ("devstoreaccount1", SECRET)


def test_a_sas_may_begin_with_a_question_mark():
    assert settings(account_url=URL, sas_token=f"?{SAS}").account.sas == SAS


@pytest.mark.parametrize(
    ("text", "url", "name"),
    [
        (CONNECTION_STRING, URL, "orders"),
        (f"AccountName=orders;AccountKey={SECRET}", URL, "orders"),
        (
            f"{CONNECTION_STRING};BlobEndpoint=https://blobs.example.com/;",
            "https://blobs.example.com",
            "orders",
        ),
        (
            f"AccountName=a;AccountKey={SECRET};BlobEndpoint=http://127.0.0.1:10000/a;",
            "http://127.0.0.1:10000/a",
            "a",
        ),
    ],
)
def test_a_connection_string_names_the_account_and_its_key(text, url, name):
    account = settings(connection_string=text).account
    assert (account.url, account.name, account.key) == (url, name, SECRET)


def test_a_connection_string_may_hold_a_sas():
    account = settings(connection_string=f"BlobEndpoint={URL};SharedAccessSignature={SAS}").account
    assert (account.url, account.name, account.sas) == (URL, "orders", SAS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SECRET, "is no connection string"),
        (f"AccountKey={SECRET}", "names no account"),
        ("AccountName=orders", "must hold AccountKey, or SharedAccessSignature"),
        (f"{CONNECTION_STRING};SharedAccessSignature={SAS}", "and not both"),
        (f"AccountName=orders;AccountKey=%{SECRET}", "the account key is not base64"),
        (f"BlobEndpoint=nonsense;AccountKey={SECRET}", "is no URL of a Blob service"),
    ],
)
def test_a_connection_string_that_leads_nowhere_is_told(text, told):
    assert told in problem(connection_string=text)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("orders", "is no URL of a Blob service"),
        ("ftp://orders.blob.core.windows.net", "is no URL of a Blob service"),
        ("https://[orders", "can't be read"),
        (f"{URL}?{SAS}", "what follows it, set as sas_token"),
        (f"https://user:{SECRET}@orders.blob.core.windows.net", "no user name or password"),
        (f"{URL}/payloads", "the container is a setting of its own"),
        ("http://127.0.0.1:10000", "names no account"),
        ("http://127.0.0.1:10000/a/payloads", "must end with the account"),
    ],
)
def test_an_account_url_that_leads_nowhere_is_told(url, told):
    assert told in problem(account_url=url)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "no account is named: set account_url, or connection_string"),
        ({"account_url": URL, "connection_string": CONNECTION_STRING}, "each name the account: keep one"),
        ({"account_url": URL, "account_key": SECRET, "sas_token": SAS}, "several ways to log in: keep one"),
        (
            {"account_url": URL, "sas_token": SAS, "client_id": "x"},
            "sas_token and client_id are several ways",
        ),
        ({"connection_string": CONNECTION_STRING, "sas_token": SAS}, "connection_string logs in by itself"),
        ({"account_url": "http://orders.example.com"}, "token is sent over https only"),
        ({"account_url": "HTTP://orders.example.com"}, "token is sent over https only"),
        ({"account_url": URL, "account_key": f"%{SECRET}"}, "the account key is not base64"),
        ({"account_url": URL, "sas_token": SECRET}, "the SAS has no signature"),
    ],
)
def test_there_is_one_account_and_one_way_to_log_in(given, told):
    assert told in problem(**given)


@pytest.mark.parametrize("name", ["pay", "0rders-2026", "a" * 63])
def test_what_azure_takes_for_a_container_is_taken(name):
    assert settings(account_url=URL, container=name).container == name


@pytest.mark.parametrize(
    "name", ["ab", "Payloads", "pay--loads", "-pay", "pay-", "pay_loads", "a" * 64, "a/b"]
)
def test_what_azure_does_not_take_for_a_container_is_told(name):
    assert "is not a container's name" in problem(account_url=URL, container=name)


@pytest.mark.parametrize(
    "given",
    [
        {"block_size": "1KiB"},
        {"block_size": "5GiB"},
        {"pool_size": 0},
        {"max_attempts": 0},
        {"connect_timeout": "0s"},
        {"read_timeout": 0},
        {"max_payload_size": 0},
        {"bucket": "payloads"},
    ],
)
def test_what_makes_no_sense_is_refused(given):
    assert next(iter(given)) in problem(account_url=URL, **given)


def test_no_secret_is_shown():
    for given in (
        {"account_url": URL, "account_key": SECRET},
        {"account_url": URL, "sas_token": SAS},
        {"connection_string": CONNECTION_STRING},
    ):
        found = settings(**given)
        for shown in (repr(found), str(found), found.model_dump_json(), str(found.model_dump())):
            assert SECRET not in shown
        assert SECRET not in repr(found.account)


def test_every_setting_is_described_for_the_reference():
    assert [name for name, field in AzureBlobSettings.model_fields.items() if not field.description] == []
