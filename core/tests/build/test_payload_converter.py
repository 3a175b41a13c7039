"""The payload converter that the settings name: a plugin's, or a class by its import path."""

import sys
from dataclasses import dataclass

import pytest
from temporal_payloads import (
    ConfigurationError,
    PayloadSettings,
    PluginConflictError,
    PluginLoadError,
    UnknownPluginError,
    build_data_converter,
)
from temporal_payloads._build.assembly import assemble
from temporal_payloads.plugin import PayloadConverterPlugin, PluginRegistry, hookimpl
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    PayloadConverter,
)

PYDANTIC = "temporalio.contrib.pydantic:PydanticPayloadConverter"


@dataclass
class Order:
    number: int
    item: str


def the_problem(settings=None, **arguments):
    with pytest.raises(ConfigurationError) as caught:
        build_data_converter(settings, **arguments)
    (problem,) = caught.value.problems
    return problem


def tidy(**options):
    tables = {"tidy": options} if options else {}
    return PayloadSettings(payload_converter="tidy", payload_converters=tables)


@pytest.fixture
def tidy_converter(install):
    """The fake distribution `tidy`, as its module."""
    install("tidy")
    return __import__("tidy_converter")


# -- a plugin by its name


async def test_a_payload_converter_is_a_plugin_by_its_name(tidy_converter):
    converter = build_data_converter(tidy())
    assert converter.payload_converter_class is tidy_converter.TidyPayloadConverter
    payloads = await converter.encode([Order(1, "book")])
    assert payloads[0].data == b'{"item": "book", "number": 1}'
    assert await converter.decode(payloads, [Order]) == [Order(1, "book")]
    assert await DataConverter.default.decode(payloads, [Order]) == [Order(1, "book")]


def test_its_table_has_its_settings(tidy_converter):
    converter = build_data_converter(tidy(indent=True))
    assert converter.payload_converter.to_payload([1]).data == b"[\n  1\n]"


def test_its_settings_can_be_set_by_file_and_variable(tidy_converter, write_settings, set_variables):
    write_settings("""
        payload_converter = "neat"
        [payload_converters.neat]
        type = "tidy"
        indent = false
    """)
    assert build_data_converter().payload_converter_class is tidy_converter.TidyPayloadConverter
    set_variables(PAYLOAD_CONVERTERS__NEAT__INDENT="true")
    assert build_data_converter().payload_converter_class is tidy_converter.IndentedPayloadConverter


def test_the_environment_alone_is_enough(tidy_converter, set_variables):
    set_variables(PAYLOAD_CONVERTER="tidy", PAYLOAD_CONVERTERS__TIDY__INDENT="true")
    assert build_data_converter().payload_converter_class is tidy_converter.IndentedPayloadConverter


def test_the_modules_for_the_sandbox_are_those_that_the_plugin_states(tidy_converter):
    assert assemble(tidy()).sandbox_passthrough == ("tidy_converter",)
    assert assemble(PayloadSettings()).sandbox_passthrough == ()
    assert assemble(PayloadSettings(payload_converter=PYDANTIC)).sandbox_passthrough == ()


def test_a_plugin_that_no_setting_names_is_not_imported(install):
    install("tidy")
    build_data_converter()
    assert "tidy_converter" not in sys.modules


# -- what can be wrong with it


def test_a_plugin_that_is_not_installed_is_told_with_the_pip_line_and_its_origin(monkeypatch, set_variables):
    monkeypatch.setattr("temporal_payloads._plugins.registry.entry_points", lambda group: [])
    set_variables(PAYLOAD_CONVERTER="msgspec")
    with pytest.raises(UnknownPluginError) as caught:
        build_data_converter()
    assert str(caught.value) == (
        "payload_converter (TEMPORAL_PAYLOADS_PAYLOAD_CONVERTER): the payload converter 'msgspec' is not "
        "installed (no payload converter plugin is installed). Run: pip install "
        "temporal-payloads-msgspec-converter"
    )


def test_a_misspelt_plugin_gets_the_near_match(tidy_converter):
    assert the_problem(PayloadSettings(payload_converter="tidyy")).message.endswith("Did you mean 'tidy'?")


@pytest.mark.parametrize("name", ["pydantic", "my.app.converters.Mine"])
def test_a_name_that_is_no_plugin_is_told_how_a_class_is_named(name):
    problem = the_problem(PayloadSettings(payload_converter=name))
    assert problem.place == "payload_converter"
    assert problem.message.startswith(f"there is no payload converter {name!r}")
    assert problem.message.endswith("The import path of a class has the form module:name.")


def test_a_type_that_is_no_plugin_is_told_at_its_place(tidy_converter):
    assert the_problem(tidy(type="tydi")).place == "payload_converters.tidy.type"


def test_two_distributions_that_offer_it_are_told_with_the_table_in_which_to_choose(install):
    install("tidy", "rival")
    with pytest.raises(PluginConflictError, match=r"in its table, \[payload_converters\.NAME\]"):
        build_data_converter(tidy())
    build_data_converter(tidy(type="rival-storage:tidy"))


def test_a_broken_plugin_is_told(install):
    install("broken")
    with pytest.raises(PluginLoadError, match=r"broken-plugins 0\.1"):
        build_data_converter(PayloadSettings(payload_converter="broken"))


def test_wrong_settings_of_the_plugin_are_told_with_place_and_near_match(tidy_converter, write_settings):
    write_settings('payload_converter = "tidy"\n[payload_converters.tidy]\nindnt = true')
    problem = the_problem()
    assert (problem.place, problem.origin) == ("payload_converters.tidy.indnt", "temporal-payloads.toml")
    assert "Did you mean 'indent'?" in problem.message


def test_a_type_that_is_no_text_is_one_problem(tidy_converter, write_settings):
    write_settings('payload_converter = "tidy"\npayload_converters.tidy.type = 3')
    assert the_problem().place == "payload_converters.tidy.type"


class Demanding(DefaultPayloadConverter):
    def __init__(self, wishes):
        super().__init__()


def not_today(_settings):
    raise RuntimeError("it is Sunday")


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (not_today, "the payload converter cannot be made: RuntimeError: it is Sunday"),
        (lambda _settings: None, "the plugin gives None, which is no PayloadConverter class"),
        (lambda _settings: DefaultPayloadConverter(), "which is no PayloadConverter class"),
        (lambda _settings: Demanding, "Demanding cannot be made without arguments, as the SDK does it"),
        (lambda _settings: PayloadConverter, "PayloadConverter cannot be made without arguments"),
    ],
)
def test_a_plugin_whose_class_is_of_no_use_is_told(registry_with, create, message):
    problem = the_problem(tidy(), registry=registry_with(create=create))
    assert problem.place == "payload_converter"
    assert message in problem.message


@pytest.fixture
def registry_with(tidy_converter):
    """Make a registry whose plugin `tidy` differs from the installed one."""

    def make(**changes):
        values = {**vars(tidy_converter.temporal_payloads_payload_converter()), **changes}

        class Plugin:
            @hookimpl
            def temporal_payloads_payload_converter(self):
                return PayloadConverterPlugin(**values)

        registry = PluginRegistry()
        registry.register_payload_converter("tidy", Plugin())
        return registry

    return make


# -- a class by its import path


@pytest.mark.parametrize("path", [PYDANTIC, "temporalio.contrib.pydantic:pydantic_data_converter"])
def test_a_payload_converter_is_named_by_its_import_path(path):
    converter = build_data_converter(PayloadSettings(payload_converter=path))
    assert converter.payload_converter_class is PydanticPayloadConverter


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (":name", "The import path of a class has the form module:name."),
        ("module:", "The import path of a class has the form module:name."),
        (".relative:Name", "The import path of a class has the form module:name."),
        ("no_such_module:Name", "cannot be imported: there is no module 'no_such_module' on Python's path"),
        ("temporalio.converter:PayloadConvertor", "Did you mean 'PayloadConverter'?"),
        ("temporalio.converter:PayloadCodec", "leads to a PayloadConverter class or a DataConverter, to a "),
        ("os:path", "is no valid plugin: it is of type module"),
        ("temporalio.converter:PayloadConverter", "cannot be made without arguments, as the SDK does it"),
    ],
)
def test_what_an_import_path_does_not_lead_to_is_told(path, message):
    problem = the_problem(PayloadSettings(payload_converter=path))
    assert problem.place == "payload_converter"
    assert message in problem.message


def test_a_plugin_object_by_its_import_path_has_settings_in_a_table(tidy_converter):
    tidy_converter.described = tidy_converter.temporal_payloads_payload_converter()
    path, table = "tidy_converter:described", {"indent": True}
    by_path = PayloadSettings(payload_converter=path, payload_converters={path: table})
    by_name = PayloadSettings(payload_converter="mine", payload_converters={"mine": {"type": path, **table}})
    for settings in (by_path, by_name):
        converter = build_data_converter(settings)
        assert converter.payload_converter_class is tidy_converter.IndentedPayloadConverter
        assert assemble(settings).sandbox_passthrough == ("tidy_converter",)


def test_a_class_by_its_import_path_has_no_settings():
    tables = {PYDANTIC: {"indent": True}}
    problem = the_problem(PayloadSettings(payload_converter=PYDANTIC, payload_converters=tables))
    assert problem.place == f"payload_converters.{PYDANTIC}.indent"


def test_a_class_tells_its_modules_for_the_sandbox_by_an_attribute(tidy_converter):
    settings = PayloadSettings(payload_converter="tidy_converter:TidyPayloadConverter")
    tidy_converter.TidyPayloadConverter.sandbox_passthrough = ("tidy_converter", "tidy_types")
    assert assemble(settings).sandbox_passthrough == ("tidy_converter", "tidy_types")
    tidy_converter.TidyPayloadConverter.sandbox_passthrough = "tidy_converter"
    assert "sandbox_passthrough must be a list of modules" in the_problem(settings).message


# -- on top of the payload converter of a base


async def test_a_plugin_extends_the_payload_converter_of_the_base(tidy_converter):
    converter = build_data_converter(tidy(), base=pydantic_data_converter)
    assert issubclass(converter.payload_converter_class, PydanticPayloadConverter)
    assert converter.payload_converter.to_payload([1, 2]).data == b"[1, 2]"


def test_a_plugin_that_does_not_compose_says_why(tidy_converter):
    class Opaque(PayloadConverter):
        def to_payloads(self, values):
            raise NotImplementedError

        def from_payloads(self, payloads, type_hints=None):
            raise NotImplementedError

    problem = the_problem(tidy(), base=DataConverter(payload_converter_class=Opaque))
    assert problem.place == "payload_converter"
    assert problem.message == (
        "'tidy' does not compose with the base converter's own, Opaque: Opaque has no part that could be "
        "replaced. Leave one of the two out"
    )


def test_a_plugin_that_extends_nothing_composes_with_no_other(registry_with):
    problem = the_problem(tidy(), base=pydantic_data_converter, registry=registry_with(extend=None))
    assert problem.message == (
        "'tidy' does not compose with the base converter's own, PydanticPayloadConverter: it composes with "
        "no other. Give one of the two"
    )


def test_a_plugin_that_fails_to_extend_is_told(registry_with):
    def extend(settings, base):
        raise RuntimeError("it is Sunday")

    problem = the_problem(tidy(), base=pydantic_data_converter, registry=registry_with(extend=extend))
    assert problem.message == "the payload converter cannot be made: RuntimeError: it is Sunday"


@pytest.mark.parametrize("base", [None, pydantic_data_converter], ids=["alone", "extended"])
def test_a_converter_that_was_built_before_is_built_upon_as_it_is(tidy_converter, base):
    built = build_data_converter(tidy(), base=base)
    again = build_data_converter(tidy(), base=built)
    assert again.payload_converter_class is built.payload_converter_class


def test_a_class_that_the_base_has_by_hand_and_the_settings_give_is_no_contradiction(tidy_converter):
    by_hand = DataConverter(payload_converter_class=tidy_converter.TidyPayloadConverter)
    converter = build_data_converter(tidy(), base=by_hand)
    assert converter.payload_converter_class is tidy_converter.TidyPayloadConverter


def test_other_settings_than_those_of_the_base_extend_it_again(tidy_converter):
    converter = build_data_converter(tidy(indent=True), base=build_data_converter(tidy()))
    assert converter.payload_converter.to_payload([1]).data == b"[\n  1\n]"


def test_an_import_path_and_the_base_may_name_the_same_class():
    settings = PayloadSettings(payload_converter=PYDANTIC)
    converter = build_data_converter(settings, base=pydantic_data_converter)
    assert converter.payload_converter_class is PydanticPayloadConverter


def test_an_import_path_is_never_put_in_place_of_the_bases_own():
    settings = PayloadSettings(payload_converter="temporalio.converter:CompositePayloadConverter")
    problem = the_problem(settings, base=pydantic_data_converter)
    assert problem.message == (
        "'temporalio.converter:CompositePayloadConverter' does not compose with the base converter's own, "
        "PydanticPayloadConverter: it composes with no other. Give one of the two"
    )
    assert build_data_converter(settings).payload_converter_class is CompositePayloadConverter
