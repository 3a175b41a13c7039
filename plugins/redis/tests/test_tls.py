"""The driver on a real server that asks for TLS and a password."""

import pytest
import trustme
from temporal_payloads.plugin import (
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)

pytestmark = pytest.mark.server

PASSWORD = "s3cr3t"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(directory / "other-ca.pem"))
    for name, issued in (
        ("server", authority.issue_cert("127.0.0.1", "localhost")),
        ("named", authority.issue_cert("redis.example.com")),
        ("client", authority.issue_cert("client")),
    ):
        issued.private_key_pem.write_to_path(str(directory / f"{name}.key"))
        for blob in issued.cert_chain_pems:
            blob.write_to_path(str(directory / f"{name}.pem"), append=True)
    return directory


def tls_server(start_server, free_port, certificates, *, certificate="server", clients="no"):
    return start_server(
        "--port", "0", "--tls-port", str(free_port),
        "--tls-cert-file", str(certificates / f"{certificate}.pem"),
        "--tls-key-file", str(certificates / f"{certificate}.key"),
        "--tls-ca-cert-file", str(certificates / "ca.pem"),
        "--tls-auth-clients", clients,
        "--requirepass", PASSWORD,
        port=free_port,
    )  # fmt: skip


@pytest.fixture(scope="session")
def tls(start_server, certificates, find_port):
    return tls_server(start_server, find_port(), certificates)


@pytest.fixture(scope="session")
def mutual_tls(start_server, certificates, find_port):
    return tls_server(start_server, find_port(), certificates, clients="yes")


@pytest.fixture(scope="session")
def tls_for_another_name(start_server, certificates, find_port):
    return tls_server(start_server, find_port(), certificates, certificate="named")


def address(server, **more):
    return {"host": "127.0.0.1", "port": server.port, "tls": True, "password": PASSWORD, **more}


async def test_payloads_go_through_tls_and_a_password(
    tls, certificates, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(1000, size=1000)
    by_url = {"url": f"rediss://:{PASSWORD}@127.0.0.1:{tls.port}/0"}
    for settings in (by_url, address(tls)):
        async with open_driver(**settings, ca_file=certificates / "ca.pem") as driver:
            await driver.check()
            claims = await driver.store(store_context, payloads)
            assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_a_client_certificate_is_shown(mutual_tls, certificates, open_driver):
    settings = address(
        mutual_tls,
        ca_file=certificates / "ca.pem",
        cert_file=certificates / "client.pem",
        key_file=certificates / "client.key",
    )
    async with open_driver(**settings) as driver:
        await driver.check()


async def test_a_missing_client_certificate_is_told(mutual_tls, certificates, open_driver):
    async with open_driver(**address(mutual_tls, ca_file=certificates / "ca.pem")) as driver:
        with pytest.raises(
            StorageMisconfiguredError, match=r"redis\.cert_file and storage\.drivers\.redis\.key_file"
        ):
            await driver.check()


@pytest.mark.parametrize("ca_file", [None, "other-ca.pem"])
async def test_an_unknown_authority_is_told(tls, certificates, open_driver, ca_file):
    trust = {"ca_file": certificates / ca_file} if ca_file else {}
    async with open_driver(**address(tls, **trust)) as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"not trusted.*storage\.drivers\.redis\.ca_file"):
            await driver.check()


async def test_a_certificate_for_another_host_is_told(tls_for_another_name, certificates, open_driver):
    settings = address(tls_for_another_name, ca_file=certificates / "ca.pem")
    async with open_driver(**settings) as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"not trusted.*storage\.drivers\.redis\.host"):
            await driver.check()
    async with open_driver(**settings, check_hostname=False) as driver:
        await driver.check()


async def test_tls_to_a_server_without_is_told(server, open_driver):
    quick = {"connect_timeout": "200ms", "retries": 0}
    async with open_driver(url=f"rediss://127.0.0.1:{server.port}", **quick) as driver:
        with pytest.raises(
            StorageUnavailableError, match=r"begin storage\.drivers\.redis\.url with redis://"
        ):
            await driver.check()
    async with open_driver(host="127.0.0.1", port=server.port, tls=True, **quick) as driver:
        with pytest.raises(StorageUnavailableError, match=r"set storage\.drivers\.redis\.tls = false"):
            await driver.check()


async def test_no_tls_to_a_server_with_is_told(tls, open_driver):
    async with open_driver(url=f"redis://:{PASSWORD}@127.0.0.1:{tls.port}") as driver:
        with pytest.raises(
            StorageUnavailableError, match=r"begin storage\.drivers\.redis\.url with rediss://"
        ):
            await driver.check()


async def test_a_missing_certificate_file_is_told(tls, open_driver, tmp_path):
    async with open_driver(**address(tls, ca_file=tmp_path / "none.pem")) as driver:
        with pytest.raises(
            StorageMisconfiguredError, match=r"file is missing.*storage\.drivers\.redis\.ca_file"
        ):
            await driver.check()


async def test_a_wrong_password_over_tls_is_told(tls, certificates, open_driver):
    settings = {**address(tls, ca_file=certificates / "ca.pem"), "password": "not-it"}
    async with open_driver(**settings) as driver:
        with pytest.raises(StoragePermissionError, match="refused the login") as caught:
            await driver.check()
    assert "not-it" not in str(caught.value)
