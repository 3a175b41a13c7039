from pathlib import Path

import pytest
from pydantic import ValidationError
from temporal_payloads_filesystem._settings import FilesystemSettings


def problem(**settings):
    with pytest.raises(ValidationError) as caught:
        FilesystemSettings(**settings)
    return str(caught.value)


def test_a_path_is_all_that_is_needed():
    settings = FilesystemSettings(path="/mnt/payloads")
    assert settings.directory == Path("/mnt/payloads")
    assert settings.file_mode == 0o600
    assert settings.max_payload_size == 50 * 1024 * 1024


def test_a_relative_path_counts_from_the_working_directory_that_the_settings_were_read_in(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    settings = FilesystemSettings(path="payloads")
    monkeypatch.chdir("/")
    assert settings.directory == tmp_path / "payloads"


def test_the_home_of_a_user_that_there_is_not_is_told():
    assert "begins with '~nosuchuser', and there is no such user" in problem(path="~nosuchuser/payloads")


def test_a_tilde_is_the_user_s_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert FilesystemSettings(path="~/payloads").directory == Path("/home/somebody/payloads")


@pytest.mark.parametrize(
    ("given", "may"),
    [
        ({"path": "payloads"}, True),
        ({"path": "/mnt/payloads"}, False),
        ({"path": "~/payloads"}, False),
        ({"path": "/mnt/payloads", "create": True}, True),
        ({"path": "payloads", "create": "false"}, False),
    ],
)
def test_only_under_a_relative_path_is_a_store_made_unasked(given, may):
    assert FilesystemSettings(**given).may_create is may


@pytest.mark.parametrize("text", ["0660", "660", "0o660"])
def test_the_mode_is_octal(text):
    assert FilesystemSettings(path="/p", mode=text).file_mode == 0o660


@pytest.mark.parametrize("text", [660, 0o660, "0777", "0060", "0400", "rw", "", "1660", True])
def test_what_is_no_mode_of_files_is_refused(text):
    assert 'in octal, as text, from "0600"' in problem(path="/p", mode=text)


@pytest.mark.parametrize("path", ["", ".", "a\0b"])
def test_a_path_that_names_no_directory_of_its_own_is_refused(path):
    assert "path" in problem(path=path)


def test_settings_that_do_not_exist_are_refused():
    assert "Extra inputs" in problem(path="/p", ttl="7d")
