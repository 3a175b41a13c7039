"""Each distribution, built and installed, works with core alone, and holds what it should, nothing else."""

import email
import json
import tarfile
import zipfile

import pytest
from support.distributions import CORE, FOLDERS, OFFERS, PLUGINS

DISTRIBUTIONS = tuple(FOLDERS)
TEMPLATES = "temporal_payloads/_cli/templates/"
"""What `temporal-payloads new-plugin` fills in."""
IN_SDIST = {"README.md", "pyproject.toml", "PKG-INFO", ".gitignore", "LICENSE", "src"}

ROUND_TRIP = """
import asyncio, sys
from temporal_payloads import PayloadSettings, build_data_converter

async def main():
    converter = build_data_converter(PayloadSettings(codecs=sys.argv[1:]))
    value = ["a sentence that can be compressed"] * 100
    (payload,) = await converter.encode([value])
    assert await converter.decode([payload]) == [value]
    print(payload.metadata["encoding"].decode())

asyncio.run(main())
"""

BUILD = """
from temporal_payloads import build_data_converter
(driver,) = build_data_converter().external_storage.drivers
print(driver.name())
"""

NAMED_BY = {
    "drivers": "TEMPORAL_PAYLOADS_STORAGE__DRIVER",
    "codecs": "TEMPORAL_PAYLOADS_CODECS",
    "payload_converters": "TEMPORAL_PAYLOADS_PAYLOAD_CONVERTER",
}

MODULES_AFTER = """
import json, sys
{program}
print(json.dumps(sorted(sys.modules)))
"""


def import_name(distribution):
    return distribution.replace("-", "_")


# -- what is in them


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_wheel_holds_its_package_with_types_and_nothing_else(built, distribution):
    wheel, _ = built[distribution]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    package = import_name(distribution)
    assert f"{package}/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {package, f"{package}-0.1.0.dist-info"}
    templates = {name for name in names if name.startswith(TEMPLATES) and name.endswith(".txt")}
    assert bool(templates) == (distribution == "temporal-payloads")
    names = [name for name in names if name not in templates]
    foreign = [
        name for name in names if name.startswith(f"{package}/") and not name.endswith((".py", "/py.typed"))
    ]
    assert foreign == []
    assert f"{package}-0.1.0.dist-info/licenses/LICENSE" in names
    assert not any("/tests/" in name or name.endswith("conftest.py") for name in names)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_sdist_holds_what_is_on_its_list_and_nothing_else(built, distribution):
    _, sdist = built[distribution]
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert {name.partition("/")[0] for name in names} <= IN_SDIST
    assert {name.split("/")[1] for name in names if name.startswith("src/")} == {import_name(distribution)}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_metadata_says_what_an_index_shows(built, distribution):
    wheel, _ = built[distribution]
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(
            archive.read(f"{import_name(distribution)}-0.1.0.dist-info/METADATA")
        )
    assert metadata["Name"] == distribution
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Summary"]
    assert len(metadata.get_payload()) > 100  # the README


@pytest.mark.parametrize("distribution", PLUGINS)
def test_a_plugin_needs_core_and_no_other_plugin(built, distribution):
    wheel, _ = built[distribution]
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(
            archive.read(f"{import_name(distribution)}-0.1.0.dist-info/METADATA")
        )
    ours = [need for need in metadata.get_all("Requires-Dist", []) if need.startswith("temporal-payloads")]
    assert len(ours) == 1
    assert ours[0].startswith(("temporal-payloads<", "temporal-payloads>"))


# -- what they do, installed


def test_core_alone_builds_the_default_converter(install):
    program = "from temporal_payloads import build_data_converter; print(build_data_converter())"
    assert "DataConverter(" in install().run(program)


@pytest.mark.parametrize(
    ("kind", "name", "distribution"),
    [(kind, name, where) for (kind, name), where in OFFERS.items() if kind in NAMED_BY and where != CORE],
)
def test_core_alone_says_what_to_install_for_a_plugin_that_is_named(install, kind, name, distribution):
    variable = NAMED_BY[kind]
    program = """
from temporal_payloads import UnknownPluginError, build_data_converter
try:
    build_data_converter()
except UnknownPluginError as error:
    print(error)
"""
    message = install().run(program, **{variable: name})
    assert variable in message
    assert f"{name!r} is not installed" in message
    assert f"Run: pip install {distribution}" in message


@pytest.mark.parametrize("without", ["aiohttp", "jwt", "pytest", "typer", "pluggy"])
def test_core_alone_brings_only_what_it_needs(install, without):
    found = install().run(f"from importlib.util import find_spec; print(find_spec('{without}') is not None)")
    assert found.strip() == str(without == "pluggy")


def test_the_command_of_core_alone_says_what_to_install(install):
    environment = install()
    command = str(environment.python.with_name("temporal-payloads"))
    program = f"""
import subprocess
ended = subprocess.run([{command!r}, "check"], capture_output=True, text=True)
print(ended.returncode, ended.stdout, ended.stderr)
"""
    told = environment.run(program)
    assert told.startswith("2 ")
    assert "Run: pip install 'temporal-payloads[cli]'" in told


@pytest.mark.parametrize(
    ("distribution", "codec"),
    [
        ("temporal-payloads-gzip-codec", "gzip"),
        ("temporal-payloads-gzip-codec", "zlib"),
        ("temporal-payloads-zstd-codec", "zstd"),
    ],
)
def test_a_codec_works_with_core_alone(install, distribution, codec):
    program = ROUND_TRIP.replace("sys.argv[1:]", repr([codec]))
    assert install(distribution).run(program).strip() == f"binary/{codec}"


ENCRYPTION = {
    "TEMPORAL_PAYLOADS_CODECS": "encryption",
    "TEMPORAL_PAYLOADS_CODEC__ENCRYPTION__ACTIVE": "one",
    "TEMPORAL_PAYLOADS_CODEC__ENCRYPTION__KEYS": '{"one": {"env": "KEY"}}',
    "KEY": "text:test-key-test-key-test-key-test!",
}


def test_encryption_works_with_core_alone(install):
    program = ROUND_TRIP.replace("PayloadSettings(codecs=sys.argv[1:])", "")
    assert (
        install("temporal-payloads-encryption-codec").run(program, **ENCRYPTION).strip() == "binary/encrypted"
    )


def test_without_its_provider_a_key_says_what_to_install(install):
    program = """
from temporal_payloads import ConfigurationError, build_data_converter
try:
    build_data_converter()
except ConfigurationError as error:
    print(error)
"""
    active = {"TEMPORAL_PAYLOADS_CODEC__ENCRYPTION__ACTIVE": "awskms:///alias/orders"}
    message = install("temporal-payloads-encryption-codec").run(program, **ENCRYPTION | active)
    assert "Run: pip install temporal-payloads-aws-kms" in message
    both = install("temporal-payloads-encryption-codec", "temporal-payloads-aws-kms")
    assert both.run(program, **ENCRYPTION | active) == ""


def test_a_payload_converter_works_with_core_alone(install):
    program = ROUND_TRIP.replace("codecs=sys.argv[1:]", "payload_converter='msgspec'")
    assert install("temporal-payloads-msgspec-converter").run(program).strip() == "json/plain"


@pytest.mark.parametrize(
    ("distribution", "variables", "name"),
    [
        ("temporal-payloads-s3", {"S3__BUCKET": "payloads"}, "aws.s3driver"),
        ("temporal-payloads-redis", {"REDIS__URL": "redis://localhost"}, "redis"),
        (
            "temporal-payloads-azure-blob",
            {
                "AZURE_BLOB__CONTAINER": "payloads",
                "AZURE_BLOB__ACCOUNT_URL": "https://a.blob.core.windows.net",
            },
            "azure_blob",
        ),
        ("temporal-payloads-filesystem", {"FILESYSTEM__PATH": "payloads"}, "filesystem"),
        ("temporal-payloads-gcs", {"GCS__BUCKET": "payloads"}, "gcp.gcsdriver"),
        ("temporal-payloads-postgres", {"POSTGRES__URL": "postgresql://localhost/payloads"}, "postgres"),
    ],
)
def test_a_driver_is_built_with_core_alone(install, distribution, variables, name):
    settings = {f"TEMPORAL_PAYLOADS_STORAGE__DRIVERS__{key}": value for key, value in variables.items()}
    assert install(distribution).run(BUILD, **settings).strip() == name


@pytest.mark.parametrize("distribution", PLUGINS)
def test_a_plugin_does_not_bring_another(install, distribution):
    program = "from importlib.metadata import distributions; print([d.name for d in distributions()])"
    ours = {name for name in DISTRIBUTIONS if f"'{name}'" in install(distribution).run(program)}
    assert ours == {"temporal-payloads", distribution}


# -- what is imported, with everything installed


def modules_after(environment, program):
    return {name.partition(".")[0] for name in all_modules_after(environment, program)}


def all_modules_after(environment, program):
    return set(json.loads(environment.run(MODULES_AFTER.format(program=program)).splitlines()[-1]))


def test_settings_that_name_only_gzip_import_no_storage_library(everything):
    program = ROUND_TRIP.replace("sys.argv[1:]", "['gzip']")
    modules = modules_after(everything, program)
    assert "isal" in modules
    unwanted = {
        "aioboto3",
        "aiobotocore",
        "boto3",
        "botocore",
        "redis",
        "hiredis",
        "aiohttp",
        "azure",
        "gcloud",
        "msal",
        "psycopg",
        "backports",
    }
    assert unwanted.isdisjoint(modules)
    assert {name for name in modules if name.startswith("temporal_payloads")} == {
        "temporal_payloads",
        "temporal_payloads_gzip_codec",
    }


def test_importing_the_package_imports_neither_a_worker_nor_what_extras_install(everything):
    modules = all_modules_after(everything, "import temporal_payloads, temporal_payloads.plugin")
    assert {"aiohttp", "jwt", "pytest", "rich", "temporalio.worker"}.isdisjoint(modules)
    assert not any(name.startswith(("temporal_payloads.testing", "temporal_payloads_")) for name in modules)
