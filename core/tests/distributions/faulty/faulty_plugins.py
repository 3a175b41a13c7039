"""One plugin for each way of getting the contract wrong."""

from pydantic import BaseModel
from temporal_payloads.plugin import CodecPlugin, PayloadConverterPlugin, hookimpl


class Misspelt:
    @hookimpl
    def temporal_payloads_drivr(self):
        """Never called."""


class WrongArguments:
    @hookimpl
    def temporal_payloads_driver(self, settings):
        """Takes an argument that the hook does not have."""


class Unmarked:
    def temporal_payloads_driver(self):
        """Lacks @hookimpl."""


class Raising:
    @hookimpl
    def temporal_payloads_driver(self):
        raise RuntimeError("it is Sunday")


class ReturningTheWrongType:
    @hookimpl
    def temporal_payloads_driver(self):
        return {"api_version": 1}

    @hookimpl
    def temporal_payloads_payload_converter(self):
        return {"api_version": 1}


class Of:
    """A codec and a payload converter for some version of the plugin API."""

    def __init__(self, api_version):
        self.api_version = api_version

    @hookimpl
    def temporal_payloads_codec(self):
        return CodecPlugin(
            api_version=self.api_version,
            settings=BaseModel,
            encodings=(),
            create=lambda _settings: None,
        )

    @hookimpl
    def temporal_payloads_payload_converter(self):
        return PayloadConverterPlugin(
            api_version=self.api_version, settings=BaseModel, create=lambda _settings: None
        )


misspelt = Misspelt()
wrong_arguments = WrongArguments()
unmarked = Unmarked()
raising = Raising()
wrong_type = ReturningTheWrongType()
of_tomorrow = converter_of_tomorrow = Of(2)
of_yesterday = Of(0)
of_no_number = Of("1")
