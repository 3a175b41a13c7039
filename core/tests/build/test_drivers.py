"""What happens when a driver is opened, before the plugin's own code is asked."""

import sys
import threading
from contextlib import asynccontextmanager

import pytest
from pydantic import BaseModel, ConfigDict
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads.plugin import DriverPlugin, PluginRegistry, StorageError, hookimpl


class NoSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def unused(*_):
    raise AssertionError


def converter_with_driver(*imports, on_open):
    @asynccontextmanager
    async def open_driver(settings, context):
        on_open()
        yield object()

    class Plugin:
        @hookimpl
        def temporal_payloads_driver(self):
            return DriverPlugin(
                api_version=1,
                settings=NoSettings,
                driver_type="slow",
                driver_name="slow",
                open=open_driver,
                confine=unused,
                imports=imports,
            )

    registry = PluginRegistry()
    registry.register_driver("slow", Plugin())
    settings = PayloadSettings(storage={"drivers": {"slow": {}}})
    return build_data_converter(settings, registry=registry)


async def open_driver_of(converter):
    async with converter.external_storage.drivers[0].kept_open():
        pass


async def test_a_client_library_is_imported_in_a_thread_before_the_driver_is_opened(tmp_path, monkeypatch):
    library = "a_slow_client_library"
    (tmp_path / f"{library}.py").write_text("import threading\nthread = threading.current_thread()\n")
    monkeypatch.syspath_prepend(tmp_path)
    threads = []
    converter = converter_with_driver(library, on_open=lambda: threads.append(sys.modules[library].thread))
    assert library not in sys.modules
    try:
        await open_driver_of(converter)
        [thread] = threads
        assert thread is not threading.current_thread()
    finally:
        sys.modules.pop(library, None)


async def test_a_client_library_that_is_missing_is_named_when_the_driver_is_opened():
    converter = converter_with_driver("a_missing_client_library", on_open=lambda: None)
    with pytest.raises(StorageError, match=r"storage\.drivers\.slow.*open.*a_missing_client_library"):
        await open_driver_of(converter)
