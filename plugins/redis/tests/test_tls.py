"""The driver on a real server that asks for TLS and a password."""

import ssl

import pytest
import trustme
from temporal_payloads.plugin import (
    StorageError,
    StorageMisconfiguredError,
    StorageUnavailableError,
)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    for name, issued in (
        ("server", authority.issue_cert("127.0.0.1")),
        ("elsewhere", authority.issue_cert("redis.example.com")),
        ("client", authority.issue_cert("client")),
    ):
        issued.private_key_and_cert_chain_pem.write_to_path(str(directory / f"{name}.pem"))
    return directory


def tls_context(certificate, clients_of=None):
    """TLS with a certificate of our choice; with `clients_of`, ask for one of the client's own."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients_of)
    context.load_cert_chain(certificate)
    if clients_of:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def settings_of(server, **changes):
    whole = {"host": server.host, "port": server.port, "tls": True, "password": server.password}
    return {**whole, "ca_file": server.ca_file, **changes}


async def test_payloads_go_through_tls_and_a_password(
    redis_tls_server, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(1000, size=1000)
    by_url = {"url": redis_tls_server.url, "ca_file": redis_tls_server.ca_file}
    for settings in (by_url, settings_of(redis_tls_server)):
        async with open_driver(**settings) as driver:
            await driver.check()
            claims = await driver.store(store_context, payloads)
            assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_a_client_certificate_is_shown_to_a_server_that_asks(
    server, certificates, listen, relay_to, open_driver
):
    authority = certificates / "ca.pem"
    context = tls_context(certificates / "server.pem", clients_of=authority)
    async with listen(relay_to(server), context) as port:
        settings = {"host": "127.0.0.1", "port": port, "tls": True, "ca_file": authority}
        mine = certificates / "client.pem"
        async with open_driver(**settings, cert_file=mine, key_file=mine) as driver:
            await driver.check()
        async with open_driver(**settings) as driver:
            # TLS 1.3 tells the client after its handshake: it may see the refusal, or just a lost connection.
            with pytest.raises(StorageError, match=r"redis\.cert_file and .*redis\.key_file"):
                await driver.check()


@pytest.mark.parametrize("trusting", ["the system's authorities", "another authority"])
async def test_an_unknown_authority_is_told(redis_tls_server, certificates, open_driver, trusting):
    ca_file = certificates / "ca.pem" if trusting == "another authority" else None
    async with open_driver(**settings_of(redis_tls_server, ca_file=ca_file)) as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"not trusted.*storage\.drivers\.redis\.ca_file"):
            await driver.check()


async def test_a_certificate_for_another_host_is_told(server, certificates, listen, relay_to, open_driver):
    async with listen(relay_to(server), tls_context(certificates / "elsewhere.pem")) as port:
        settings = {"host": "127.0.0.1", "port": port, "tls": True, "ca_file": certificates / "ca.pem"}
        async with open_driver(**settings) as driver:
            with pytest.raises(
                StorageMisconfiguredError, match=r"not trusted.*storage\.drivers\.redis\.host"
            ):
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


async def test_no_tls_to_a_server_with_is_told(redis_tls_server, open_driver):
    plain = redis_tls_server.url.replace("rediss://", "redis://")
    async with open_driver(url=plain) as driver:
        with pytest.raises(
            StorageUnavailableError, match=r"begin storage\.drivers\.redis\.url with rediss://"
        ):
            await driver.check()


async def test_a_missing_certificate_file_is_told(redis_tls_server, open_driver, tmp_path):
    async with open_driver(**settings_of(redis_tls_server, ca_file=tmp_path / "none.pem")) as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"a file is missing.*redis\.ca_file"):
            await driver.check()
