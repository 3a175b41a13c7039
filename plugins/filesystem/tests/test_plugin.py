from importlib.metadata import entry_points

from temporal_payloads.plugin import DriverContext
from temporal_payloads_filesystem import _plugin
from temporal_payloads_filesystem._root import MARK
from temporal_payloads_filesystem._settings import FilesystemSettings


def test_the_entry_point_filesystem_names_the_plugin():
    (found,) = entry_points(group="temporal_payloads.drivers", name="filesystem")
    assert found.load() is _plugin


def test_name_and_type_are_filesystem(plugin):
    assert (plugin.driver_name, plugin.driver_type, plugin.api_version) == ("filesystem", "filesystem", 1)


def test_payloads_do_not_expire(plugin):
    assert plugin.expiry(FilesystemSettings(path="/p")) is None


def test_only_another_directory_is_another_store(plugin):
    here = plugin.identity(FilesystemSettings(path="/p"))
    assert plugin.identity(FilesystemSettings(path="/p/", create=True, mode="0660")) == here
    assert plugin.identity(FilesystemSettings(path="/q")) != here


async def test_opening_and_closing_touches_nothing(plugin, tmp_path):
    settings = FilesystemSettings(path=tmp_path / "payloads", create=True)
    async with plugin.open(settings, DriverContext(name="filesystem", place="here", concurrency=8)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_check_writes_nothing_to_a_store_that_is_only_read(directory, tmp_path, capsys):
    from temporal_payloads._cli import main  # noqa: PLC0415  # as the script of that name does

    (directory / MARK).touch()
    settings = tmp_path / "settings.toml"
    old = f'[storage.drivers.filesystem]\npath = "{directory}"\nretrieve_only = true\n'
    new = f'[storage.drivers.new]\ntype = "filesystem"\npath = "{tmp_path / "new"}"\ncreate = true\n'
    settings.write_text(f'[storage]\ndriver = "new"\n{old}{new}')
    assert main(["check", "--config", str(settings)]) == 0, capsys.readouterr()
    assert [path.name for path in directory.iterdir()] == [MARK]
