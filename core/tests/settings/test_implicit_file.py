"""A file that nobody named is not read if somebody else could have written it."""

import os
import sys
from types import SimpleNamespace

import pytest
from temporal_payloads import ConfigurationError, PayloadSettings

posix = pytest.mark.skipif(sys.platform == "win32", reason="a mode says nothing there")


def the_refusal():
    with pytest.raises(ConfigurationError) as caught:
        PayloadSettings.load()
    [problem] = caught.value.problems
    return problem.message


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A working directory whose mode a test can change; pytest's own stays as it is."""
    directory = tmp_path / "shared"
    directory.mkdir(0o755)
    file = directory / "temporal-payloads.toml"
    file.write_text("codecs = ['gzip']")
    file.chmod(0o644)
    monkeypatch.chdir(directory)
    return file


@posix
def test_a_file_that_nobody_named_is_refused_if_others_can_write_it(shared, set_variables):
    assert PayloadSettings.load().codecs == ("gzip",)
    shared.chmod(0o646)
    message = the_refusal()
    assert "is not read, because others can write it (mode 0646)" in message
    assert "chmod go-w" in message
    assert f"TEMPORAL_PAYLOADS_CONFIG_FILE={shared}" in message
    set_variables(CONFIG_FILE=str(shared))
    assert PayloadSettings.load().codecs == ("gzip",)
    assert PayloadSettings.load(shared).codecs == ("gzip",)


@posix
def test_it_is_refused_if_others_can_put_another_one_in_its_place(shared):
    shared.parent.chmod(0o777)
    assert "others can write in its directory (mode 0777)" in the_refusal()
    shared.parent.chmod(0o1777)  # as of /tmp: others can add files, but not replace this one
    assert PayloadSettings.load().codecs == ("gzip",)


class Status:
    """What `stat` tells of a file, with another owner or group."""

    def __init__(self, status, **changes):
        self.__dict__.update(
            {name: getattr(status, name) for name in ("st_mode", "st_uid", "st_gid")}, **changes
        )


@pytest.fixture
def belongs(monkeypatch, shared):
    """Let one of `lstat` and `stat` tell another owner or group; only root could really give files away."""

    def to(path, calls=("stat", "lstat"), **changes):
        for call in calls:
            real = getattr(type(path), call)

            def told(self, real=real, **arguments):
                status = real(self, **arguments)
                return Status(status, **changes) if self.absolute() == path else status

            monkeypatch.setattr(type(path), call, told)

    return to


@posix
@pytest.mark.parametrize("calls", [("stat", "lstat"), ("stat",), ("lstat",)])
def test_it_is_refused_if_it_or_a_link_to_it_belongs_to_somebody_else(shared, belongs, calls):
    belongs(shared, calls, st_uid=4242)
    assert "it belongs to another user (id 4242)" in the_refusal()


@posix
def test_it_is_refused_if_its_directory_belongs_to_somebody_else(shared, belongs):
    belongs(shared.parent, st_uid=4242)
    assert "its directory belongs to another user (id 4242)" in the_refusal()


@posix
def test_what_root_owns_is_trusted(shared, belongs):
    belongs(shared, st_uid=0)
    assert PayloadSettings.load().codecs == ("gzip",)


@posix
def test_a_private_group_may_write_it_and_a_shared_one_may_not(shared, belongs, monkeypatch):
    """Where every user has a group of the same name, files are writable by the group by default."""
    shared.chmod(0o664)
    owner = shared.stat().st_uid
    user = SimpleNamespace(pw_name="ann", pw_gid=1000)
    groups = {
        1000: SimpleNamespace(gr_name="ann", gr_mem=[]),
        1001: SimpleNamespace(gr_name="staff", gr_mem=[]),
        1002: SimpleNamespace(gr_name="ann", gr_mem=["eve"]),
    }
    monkeypatch.setattr("pwd.getpwuid", {owner: user}.__getitem__)
    monkeypatch.setattr("grp.getgrgid", groups.__getitem__)
    belongs(shared, st_gid=1000)
    assert PayloadSettings.load().codecs == ("gzip",)
    belongs(shared, st_gid=1001)
    assert "others can write it (mode 0664)" in the_refusal()
    user.pw_gid = 1002
    belongs(shared, st_gid=1002)
    assert "others can write it" in the_refusal()


@posix
def test_in_a_container_without_user_names_the_group_of_the_owners_number_is_private(
    shared, belongs, monkeypatch
):
    shared.chmod(0o664)

    def nobody(number):
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    belongs(shared, st_gid=shared.stat().st_uid)
    assert PayloadSettings.load().codecs == ("gzip",)
    belongs(shared, st_gid=shared.stat().st_uid + 1)
    assert "others can write it" in the_refusal()


@posix
def test_where_a_volume_is_mounted_read_only_the_mode_of_its_directory_says_nothing(shared, monkeypatch):
    shared.parent.chmod(0o777)
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert PayloadSettings.load().codecs == ("gzip",)
