"""The providers of keys: which are needed, and what is wrong with them."""

import logging
from importlib.metadata import entry_points

import pytest
from support.keys import KEYS, encryption, put_keys_into_environment
from temporal_payloads import ConfigurationError, PayloadSettings, UnknownPluginError, build_data_converter
from temporal_payloads._build.assembly import assemble

KMS_KEY = "awskms:///alias/orders"


@pytest.fixture(autouse=True)
def keys_in_environment(monkeypatch, clean_environment):
    keys: dict[str, str] = {}
    put_keys_into_environment(keys)
    for name, value in keys.items():
        monkeypatch.setenv(name, value)


def settings(*codecs, **values):
    """Settings with these codecs and, under that name, one that encrypts."""
    values.setdefault("codec", {"encryption": encryption("key-1")})
    return PayloadSettings(codecs=codecs or ["encryption"], **values)


def problems_of(settings=None, **arguments):
    with pytest.raises(ConfigurationError) as caught:
        build_data_converter(settings, **arguments)
    return [(problem.place, problem.message) for problem in caught.value.problems]


def the_problem(settings=None, **arguments):
    [problem] = problems_of(settings, **arguments)
    return problem


@pytest.fixture
def installed(monkeypatch):
    """Let only these key providers be installed."""

    def install(*names):
        def found(group):
            return [e for e in entry_points(group=group) if "key_providers" not in group or e.name in names]

        monkeypatch.setattr("temporal_payloads._plugins.registry.entry_points", found)

    return install


def kms(**providers):
    return settings(codec={"encryption": {"active": KMS_KEY}}, key_providers=providers)


def test_a_keys_provider_is_found_by_the_scheme_of_its_uri():
    for tables in ({}, {"awskms": {"region": "eu-central-1"}}):
        assert list(assemble(kms(**tables)).codecs.key_providers) == ["awskms"]


def test_a_key_whose_provider_is_not_installed_is_told_with_the_pip_line(installed):
    installed()
    with pytest.raises(UnknownPluginError) as caught:
        build_data_converter(kms())
    assert str(caught.value) == (
        f"codec.encryption: the key {KMS_KEY!r} has no provider: the key provider 'awskms' is not installed "
        "(no key provider plugin is installed). Run: pip install temporal-payloads-aws-kms"
    )


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gcpkms://projects/p/k", "there is no key provider 'gcpkms' (installed: awskms)."),
        ("awskm:///alias/orders", "Did you mean 'awskms'?"),
        ("AWSKMS:///alias/orders", "Did you mean 'awskms'?"),
    ],
)
def test_a_scheme_that_nobody_knows_is_told_with_the_key(uri, message):
    place, text = the_problem(settings(codec={"encryption": {"active": uri}}))
    assert place == "codec.encryption"
    assert text.startswith(f"the key {uri!r} has no provider: ")
    assert message in text


def test_a_key_that_its_provider_cannot_have_is_told_before_anybody_is_asked():
    place, message = the_problem(settings(codec={"encryption": {"active": "awskms://orders"}}))
    assert place == "codec.encryption"
    assert message.startswith("'awskms://orders' is no key of the provider 'awskms': ")


def test_what_is_wrong_with_the_providers_table_is_told_there_and_once():
    tables = {"awskms": {"regoin": "eu"}}
    found = problems_of(
        settings(
            "a",
            "b",
            codec={name: {"type": "encryption", "active": KMS_KEY} for name in "ab"},
            key_providers=tables,
        )
    )
    assert [place for place, _ in found] == ["key_providers.awskms.regoin"]
    assert "Did you mean 'region'?" in found[0][1]


def test_a_provider_of_another_name_is_chosen_by_its_type():
    found = settings(codec={"encryption": {"active": KMS_KEY}}, key_providers={"awskms": {"type": "nobody"}})
    assert "key_providers.awskms.type" in [place for place, _ in problems_of(found)]


def test_a_provider_that_no_key_needs_is_told():
    place, message = the_problem(settings(key_providers={"awskms": {"region": "eu"}}))
    assert place == "key_providers.awskms"
    assert message == ("no codec has a key whose URI begins with awskms://. Name one, or remove the table")


def test_without_codecs_it_is_told_as_well():
    assert the_problem(PayloadSettings(key_providers={"awskms": {}}))[0] == "key_providers.awskms"


def test_it_is_not_told_while_the_codec_that_may_need_it_is_wrong_itself():
    found = settings(codec={"encryption": {"activ": KMS_KEY}}, key_providers={"awskms": {"region": "eu"}})
    assert "key_providers.awskms" not in [place for place, _ in problems_of(found)]


# -- keys that come later


@pytest.fixture
def ring_file(tmp_path):
    """A key ring's file that has one key, and no other process that writes it."""
    file = tmp_path / "ring.toml"
    file.write_text(f'active = "key-1"\n[keys]\n"key-1" = "{KEYS["key-1"].hex()}"\n')
    return file


@pytest.fixture
def ring_grows(ring_file, monkeypatch):
    """Let the ring's file name another key, and the codec look at it at once."""

    def grow(codec, uri):
        ring_file.write_text(f'{ring_file.read_text()}\n[keys."{uri}"]')
        codec._ring._next_look = 0
        return codec._ring.current()

    return grow


def test_a_provider_may_be_configured_before_a_ring_file_names_its_first_key(ring_file, ring_grows, caplog):
    ring = {"encryption": {"file": str(ring_file)}}
    assembly = assemble(settings(codec=ring, key_providers={"awskms": {"region": "eu-central-1"}}))
    assert list(assembly.codecs.key_providers) == ["awskms"]
    [codec] = [each.codec for each in assembly.codecs.chain._codecs]
    assert KMS_KEY in ring_grows(codec, KMS_KEY).keys
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_its_table_is_checked_all_the_same(ring_file):
    ring = {"encryption": {"file": str(ring_file)}}
    place, _ = the_problem(settings(codec=ring, key_providers={"awskms": {"regoin": "eu"}}))
    assert place == "key_providers.awskms.regoin"
    place, message = the_problem(settings(codec=ring, key_providers={"awskmss": {}}))
    assert place == "key_providers.awskmss"
    assert message.endswith("Did you mean 'awskms'?")


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("gcpkms://p/k", "the key 'gcpkms://p/k' has no provider: there is no key provider 'gcpkms'"),
        ("awskms://orders", "'awskms://orders' is no key of the provider 'awskms'"),
    ],
)
def test_a_key_that_comes_later_and_cannot_be_used_is_logged_with_the_reason(
    ring_file, ring_grows, caplog, uri, why
):
    assembly = assemble(settings(codec={"encryption": {"file": str(ring_file)}}))
    [codec] = [each.codec for each in assembly.codecs.chain._codecs]
    assert list(ring_grows(codec, uri).keys) == ["key-1"]
    assert why in caplog.text
    assert "the keys that were read before are kept" in caplog.text
